/** What the jobs after pre-training need: resolved configurations of fine-tuning and of linear probing. */
import type {
  AugmentConfig,
  DataConfig,
  DataSource,
  OptimConfig,
  ReadingOptions,
  RunConfig,
  Size,
  TransformerConfig,
} from "./types.ts";

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

/** `model:` of a classifier. */
export interface ClassifierModelConfig {
  /** Preset name the encoder came from, or "custom". */
  readonly encoderName: string;
  /** The blocks. */
  readonly encoder: TransformerConfig;
  /** Size of the images after cropping, in pixels; a multiple of `patchSize`. */
  readonly imageSize: Size;
  /** Size of a patch in pixels. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** What the head reads: the average of the patch tokens, or the class token. */
  readonly pooling: "average" | "class_token";
  /** What every layer norm adds to the variance. */
  readonly normEpsilon: number;
}

/** `model:` of fine-tuning. */
export interface FinetuneModelConfig extends ClassifierModelConfig {
  /** Rate at which the last block's branches are left out in training; it rises linearly from 0 in the first. */
  readonly dropPath: number;
  /** How many of the last blocks are trained: 0, 0.5, or a whole number; or all. */
  readonly trainBlocks: number | "all";
}

/** `data.augment:` of fine-tuning. */
export interface FinetuneAugmentConfig extends AugmentConfig {
  /** RandAugment; null leaves it out. */
  readonly randAugment: RandAugmentConfig | null;
  /** Colour jitter; null leaves it out. It stands back where there is RandAugment. */
  readonly colorJitter: ColorJitterConfig | null;
  /** Random erasing; null leaves it out. */
  readonly erasing: ErasingConfig | null;
}

/**
 * `data:` of labelled images: `train` holds `train/` and `val/` (or `validation/`, or `test/`), or folders of classes, or it is a
 * manifest with labels.
 */
export interface LabelledDataConfig<Augment extends AugmentConfig | null = AugmentConfig | null>
  extends Omit<DataConfig, "augment"> {
  /** Images to validate with, where they are not found under `train`; else null. */
  readonly val: DataSource | null;
  /** Share of each class's images to validate with, where there are no others for it; else null. */
  readonly split: number | null;
  /** What is done to an image each time it is trained on; null for the evaluation transform. */
  readonly augment: Augment;
  /** Share of the resized image's sides that the evaluation's centre crop keeps, in (0, 1]. */
  readonly cropShare: number;
}

/** `optim:` of fine-tuning. */
export interface FinetuneOptimConfig extends OptimConfig {
  /** What the learning rate is multiplied with from one layer to the one before it; 1 for the same everywhere. */
  readonly layerDecay: number;
  /** Decay of the exponential moving average of the parameters; null keeps none. It is what is evaluated and kept. */
  readonly ema: number | null;
}

/** `run:` of jobs that evaluate. */
export interface EvaluatedRunConfig extends Omit<RunConfig, "figureImages"> {
  /** Epochs between two evaluations; the last epoch is always evaluated. */
  readonly evaluateEvery: number;
}

/** Everything `mae finetune` needs. */
export interface FinetuneConfig {
  /** The checkpoint whose encoder is fine-tuned: a run, a checkpoint's folder or a file; null trains from scratch. */
  readonly from: string | null;
  /** The classifier. */
  readonly model: FinetuneModelConfig;
  /** The images. */
  readonly data: LabelledDataConfig<FinetuneAugmentConfig>;
  /** Mixing and smoothing of labels. */
  readonly mix: MixConfig;
  /** Schedule and AdamW. */
  readonly optim: FinetuneOptimConfig;
  /** Where and how it runs. */
  readonly run: EvaluatedRunConfig;
}

/**
 * `optim:` of a linear probe: LARS. Batch normalisation takes its statistics from each micro-batch, as on each GPU of the
 * official code.
 */
export interface LinprobeOptimConfig extends
  Pick<
    OptimConfig,
    "batchSize" | "accumulate" | "epochs" | "warmupEpochs" | "blr" | "lr" | "minLr" | "weightDecay"
  > {
  /** Momentum of LARS. */
  readonly momentum: number;
}

/** Everything `mae linprobe` needs. */
export interface LinprobeConfig {
  /** The checkpoint whose encoder is probed; null probes a randomly initialised one, for comparison. */
  readonly from: string | null;
  /** The frozen encoder. */
  readonly model: ClassifierModelConfig;
  /** The images; without augmentation features are computed once. */
  readonly data: LabelledDataConfig;
  /** Schedule and LARS. */
  readonly optim: LinprobeOptimConfig;
  /** Where and how it runs. */
  readonly run: EvaluatedRunConfig;
}

/** What a checkpoint says about the encoder in it; a configuration starts from it where it says nothing itself. */
export interface EncoderOfCheckpoint {
  /** The blocks. */
  readonly encoder: TransformerConfig;
  /** Size of a patch in pixels. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** Size of the images it was trained on; null where the checkpoint does not say. */
  readonly imageSize: Size | null;
  /** Per-channel mean of its images' pixels in [0, 1], where the checkpoint says. */
  readonly mean?: readonly number[];
  /** Per-channel standard deviation, likewise. */
  readonly std?: readonly number[];
  /** Depth, bands and range of its images, where the checkpoint says that they are unusual. */
  readonly reading?: Omit<Partial<ReadingOptions>, "exif">;
  /** What its layer norms add to the variance, where the checkpoint says; 1e-6 is MAE's. */
  readonly normEpsilon?: number;
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

/** Colour jitter as timm has it by default. */
export const defaultColorJitter: ColorJitterConfig = { brightness: 0.4, contrast: 0.4, saturation: 0.4 };

/** How much of the resized image's side an evaluation crop keeps: the official 224 of 256, and all of it above 224. */
export function officialCropShare(size: Size): number {
  return Math.max(...size) <= 224 ? 224 / 256 : 1;
}
