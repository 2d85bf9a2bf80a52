/**
 * RandAugment with timm's "increasing" operations (`rand-m9-mstd0.5-inc1`): a few operations per image, drawn with
 * replacement, each carried out with some chance and at a normally distributed strength.
 */
import type { RandAugmentConfig } from "../config/finetune_types.ts";
import { type Interpolation, rotate, transformAffine } from "./affine.ts";
import {
  adjustBrightness,
  adjustContrast,
  adjustSaturation,
  adjustSharpness,
  autoContrast,
  equalize,
  invert,
  posterize,
  solarize,
  solarizeAdd,
} from "./colors.ts";
import { type CropDraws, roundHalfToEven } from "./crop.ts";
import type { Image } from "../images/image.ts";

/** The random draws of the augmentation; `Random` is one. */
export interface AugmentDraws extends CropDraws {
  /** Normal with the given mean and standard deviation. */
  normal(mean: number, deviation: number): number;
}

/** The largest strength; operations take strengths as shares of it. */
const HIGHEST_LEVEL = 10;

/** An operation, and how strong it is. */
interface Operation {
  /** Its argument at a strength from 0 to 10, drawing a sign where it has one. */
  readonly argument: (level: number, isNegated: () => boolean) => number;
  /** Carries it out. */
  readonly apply: (
    image: Image,
    argument: number,
    interpolation: () => Interpolation,
    fill: readonly number[],
  ) => Image;
}

const noArgument = () => 0;

/** From 0 up to `most`, in whole numbers. */
function wholeNumber(level: number, most: number): number {
  return Math.trunc(level / HIGHEST_LEVEL * most);
}

/** Up to `most` either way. */
function signed(most: number): Operation["argument"] {
  return (level, isNegated) => level / HIGHEST_LEVEL * most * (isNegated() ? -1 : 1);
}

/** A factor from 1 towards 0.1 or 1.9. */
const enhancement: Operation["argument"] = (level, isNegated) => 1 + signed(0.9)(level, isNegated);

/** Largest shear, and largest translation as a share of the image's side. */
const MOST_SHEAR = 0.3, MOST_TRANSLATION = 0.45;

/** timm's names of the operations. */
export type OperationName =
  | "AutoContrast"
  | "Equalize"
  | "Invert"
  | "Rotate"
  | "PosterizeIncreasing"
  | "SolarizeIncreasing"
  | "SolarizeAdd"
  | "ColorIncreasing"
  | "ContrastIncreasing"
  | "BrightnessIncreasing"
  | "SharpnessIncreasing"
  | "ShearX"
  | "ShearY"
  | "TranslateXRel"
  | "TranslateYRel";

/** The operations in timm's order. */
const OPERATIONS: Readonly<Record<OperationName, Operation>> = {
  AutoContrast: { argument: noArgument, apply: autoContrast },
  Equalize: { argument: noArgument, apply: equalize },
  Invert: { argument: noArgument, apply: invert },
  Rotate: {
    argument: signed(30),
    apply: (image, degrees, interpolation, fill) => rotate(image, degrees, interpolation(), fill),
  },
  PosterizeIncreasing: { argument: (level) => 4 - wholeNumber(level, 4), apply: posterize },
  SolarizeIncreasing: { argument: (level) => 256 - wholeNumber(level, 256), apply: solarize },
  SolarizeAdd: { argument: (level) => wholeNumber(level, 110), apply: solarizeAdd },
  ColorIncreasing: { argument: enhancement, apply: adjustSaturation },
  ContrastIncreasing: { argument: enhancement, apply: adjustContrast },
  BrightnessIncreasing: { argument: enhancement, apply: adjustBrightness },
  SharpnessIncreasing: { argument: enhancement, apply: adjustSharpness },
  ShearX: {
    argument: signed(MOST_SHEAR),
    apply: (image, shear, interpolation, fill) =>
      transformAffine(image, [1, shear, 0, 0, 1, 0], interpolation(), fill),
  },
  ShearY: {
    argument: signed(MOST_SHEAR),
    apply: (image, shear, interpolation, fill) =>
      transformAffine(image, [1, 0, 0, shear, 1, 0], interpolation(), fill),
  },
  TranslateXRel: {
    argument: signed(MOST_TRANSLATION),
    apply: (image, share, interpolation, fill) =>
      transformAffine(image, [1, 0, share * image.width, 0, 1, 0], interpolation(), fill),
  },
  TranslateYRel: {
    argument: signed(MOST_TRANSLATION),
    apply: (image, share, interpolation, fill) =>
      transformAffine(image, [1, 0, 0, 0, 1, share * image.height], interpolation(), fill),
  },
};

/** All operations, in the order they are drawn from. */
export const operationNames = Object.keys(OPERATIONS) as readonly OperationName[];

/** An operation's argument (degrees, factor, bits, …) at a strength from 0 to 10; `isNegated` decides about its sign. */
export function operationArgument(name: OperationName, level: number, isNegated: () => boolean): number {
  return OPERATIONS[name].argument(level, isNegated);
}

/**
 * Carries out an operation on an image; a new image.
 * @param interpolation asked only by operations that resample
 * @param fill one value per channel for what comes from outside the image
 */
export function applyOperation(
  image: Image,
  name: OperationName,
  argument: number,
  interpolation: () => Interpolation,
  fill: readonly number[],
): Image {
  return OPERATIONS[name].apply(image, argument, interpolation, fill);
}

/** The colour that fills gaps: the data set's mean, as a byte per channel. */
export function fillColor(mean: readonly number[]): number[] {
  return mean.map((value) => Math.min(255, roundHalfToEven(255 * value)));
}

/**
 * Augments an image, gray or RGB; alpha is moved but not recoloured. Draws, in order: the operations, then for each whether
 * it is carried out, and if so its strength, its sign and its interpolation as far as it has them.
 */
export function randAugment(
  image: Image,
  config: RandAugmentConfig,
  fill: readonly number[],
  draws: AugmentDraws,
): Image {
  const names = Array.from(
    { length: config.operations },
    () => operationNames[draws.integer(operationNames.length)],
  );
  const interpolation = (): Interpolation => {
    if (config.interpolation !== "random") return config.interpolation;
    return draws.integer(2) === 0 ? "bilinear" : "bicubic";
  };
  let augmented = image;
  for (const name of names) {
    if (draws.uniform(0, 1) >= config.probability) continue;
    const strength = config.deviation > 0
      ? draws.normal(config.magnitude, config.deviation)
      : config.magnitude;
    const level = Math.max(0, Math.min(HIGHEST_LEVEL, strength));
    const argument = operationArgument(name, level, () => draws.uniform(0, 1) >= 0.5);
    augmented = applyOperation(augmented, name, argument, interpolation, fill);
  }
  return augmented;
}
