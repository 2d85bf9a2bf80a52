/** What fine-tuning does to images and labels: the resolved settings of its data path. */
export type { Size } from "./types.ts";

/** How geometric operations read between pixels; `random` draws bilinear or bicubic for each. */
export type OperationInterpolation = "bilinear" | "bicubic" | "random";

/** RandAugment (Cubuk et al. 2019) as timm has it, with the operations that grow with the magnitude. */
export interface RandAugmentConfig {
  /** Operations drawn for an image, with replacement. */
  readonly operations: number;
  /** Mean strength, 0 (nothing) to 10. */
  readonly magnitude: number;
  /** Standard deviation of the strength; it is cut to 0 … 10. */
  readonly deviation: number;
  /** Chance that a drawn operation is carried out. */
  readonly probability: number;
  /** How rotations, shears and translations are resampled. */
  readonly interpolation: OperationInterpolation;
}

/** Colour jitter: each factor is uniform on `[max(0, 1 − strength), 1 + strength]`; strength 0 leaves that property alone. */
export interface ColorJitterConfig {
  /** Of the brightness factor. */
  readonly brightness: number;
  /** Of the contrast factor. */
  readonly contrast: number;
  /** Of the saturation factor. */
  readonly saturation: number;
}

/** Random erasing (Zhong et al. 2017) in timm's pixel mode. */
export interface ErasingConfig {
  /** Chance that an image loses a rectangle. */
  readonly probability: number;
  /** Area of the rectangle as a share of the image's: `[low, high]`. */
  readonly area: readonly [number, number];
  /** Height over width of the rectangle, drawn log-uniformly: `[low, high]`. */
  readonly aspect: readonly [number, number];
}

/** Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019), one draw for the whole batch, and label smoothing. */
export interface MixConfig {
  /** Both parameters of mixup's beta distribution; 0 switches it off. */
  readonly mixup: number;
  /** Both parameters of CutMix's beta distribution; 0 switches it off. */
  readonly cutmix: number;
  /** Chance that a batch is mixed at all. */
  readonly probability: number;
  /** Chance of CutMix where both are on. */
  readonly switchProbability: number;
  /** Share of a label that is spread over all classes. */
  readonly labelSmoothing: number;
}

/** `rand-m9-mstd0.5-inc1` as the official fine-tuning code runs it. */
export const officialRandAugment: RandAugmentConfig = {
  operations: 2,
  magnitude: 9,
  deviation: 0.5,
  probability: 0.5,
  interpolation: "bicubic",
};

/** The random erasing of the official fine-tuning code. */
export const officialErasing: ErasingConfig = {
  probability: 0.25,
  area: [0.02, 1 / 3],
  aspect: [0.3, 1 / 0.3],
};

/** Mixing and smoothing of the paper's fine-tuning recipe (table 9). */
export const officialMix: MixConfig = {
  mixup: 0.8,
  cutmix: 1,
  probability: 1,
  switchProbability: 0.5,
  labelSmoothing: 0.1,
};
