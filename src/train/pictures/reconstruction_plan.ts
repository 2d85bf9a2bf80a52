/** What is settled before a picture is masked: which pictures, at which size, under which masks, and what the model predicts. */
import { defaultStatistics } from "../../config/common_sections.ts";
import type { MaskConfig, Size } from "../../config/types.ts";
import { spread } from "../../data/eval_images.ts";
import type { ImageSettings } from "../../sources/read_image.ts";
import type { ImageSource } from "../../sources/source.ts";
import type { RuntimeOptions } from "../../gpu/runtime.ts";
import { asSize, type MaeConfig } from "../../models/mae.ts";
import { keptCount } from "../../ops/tokens/masking.ts";
import { enlargement } from "../../report/figure.ts";
import type { MaskSetting } from "../../report/reconstructions.ts";
import { InputError } from "../../util/errors.ts";
import type { FrozenEvent } from "../run/events.ts";
import type { ModelFacts, ModelSource, ModelSourceOptions } from "../model_files/model_source.ts";
import { maeConfigOf } from "../model_files/pretrained.ts";

/** What to reconstruct, and how. */
export interface ReconstructImagesOptions extends ModelSourceOptions {
  /** Shares of patches to remove, each in (0, 1); that of the checkpoint's training, or 0.75, by default. */
  readonly ratios?: readonly number[];
  /** Ways of choosing them; `random` by default. */
  readonly samplings?: readonly MaskConfig["sampling"][];
  /** Seeds of the masks; 0 by default. */
  readonly seeds?: readonly number[];
  /** Size of the pictures, [height, width], multiples of the patch size; the checkpoint's by default. */
  readonly imageSize?: Size;
  /** `crop` (default) keeps a picture's proportions and crops the centre; `stretch` squeezes the whole picture in. */
  readonly fit?: "crop" | "stretch";
  /** Whether the model predicts normalised patches; what the checkpoint says, or else pixels, by default. */
  readonly normalizedTarget?: boolean;
  /** Most pictures, taken from all over those given; all by default. */
  readonly count?: number;
  /** Whether the orientation stored in a photograph is applied; by default it is. */
  readonly exif?: "apply" | "ignore";
  /** What computes; `auto` by default. */
  readonly backend?: RuntimeOptions["backend"];
  /** Whether a device whose kernels no earlier run has tested is tested first (default). */
  readonly checkKernels?: boolean;
  /** Hears of everything that happens. */
  readonly onEvent?: (event: FrozenEvent) => void;
}

/** What the model's predictions are taken for. */
export interface TargetFact {
  /** Patches normalised by their own mean and deviation, which was undone with the true ones; or pixels. */
  readonly normalized: boolean;
  /** Who says so; `assumed` where nobody does. */
  readonly saidBy: "checkpoint" | "caller" | "assumed";
}

/** Most pixels of a figure: 0.4 GB of memory. */
const MOST_PIXELS = 2 ** 27;

/** Everything that is settled before a picture is read. */
export interface ReconstructionPlan {
  /** How the pictures are masked. */
  readonly settings: readonly MaskSetting[];
  /** Which of the pictures. */
  readonly samples: readonly number[];
  /** How they are read. */
  readonly images: ImageSettings;
  /** Their height and width in pixels. */
  readonly imageSize: Size;
  /** How they come to that size. */
  readonly fit: "crop" | "stretch";
  /** Patches per column and per row of the pictures that the model was trained on. */
  readonly trainedGrid: Size;
  /** What the predictions are. */
  readonly target: TargetFact;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std: readonly number[];
  /** What the user should hear. */
  readonly notices: readonly string[];
}

/**
 * Settles everything that needs no picture and no device.
 * @throws {InputError} when the checkpoint has no decoder, or the options do not suit it
 */
export function planReconstructions(
  source: ModelSource,
  images: ImageSource,
  options: ReconstructImagesOptions,
): ReconstructionPlan {
  const config = maeConfigOf(source);
  const { facts, architecture: { channels } } = source;
  const trained = asSize(config.imageSize);
  const imageSize = options.imageSize ?? trained;
  const grid = gridOf(config, imageSize);
  const settings = settingsOf(options, facts, grid[0] * grid[1]);
  const samples = spread(images.length, options.count ?? Infinity);
  checkAmount(samples.length, settings.length, imageSize);
  const target = targetOf(facts, options);
  return {
    settings,
    samples,
    images: { imageSize, channels, exif: options.exif ?? "apply", ...facts.reading },
    imageSize,
    fit: options.fit ?? "crop",
    trainedGrid: gridOf(config, trained),
    target,
    ...statisticsOf(facts, channels),
    notices: noticesOf(source, images, samples.length, target),
  };
}

function noticesOf(
  { description, notes, facts: { normalizeTarget } }: ModelSource,
  images: ImageSource,
  taken: number,
  target: TargetFact,
): string[] {
  const given = images.length;
  return [
    description,
    ...notes,
    ...(target.saidBy === "assumed" ? [assumption] : []),
    ...(target.normalized === !normalizeTarget && normalizeTarget !== undefined
      ? [contradiction(target)]
      : []),
    ...(taken < given ? [`${taken} of ${given} images, taken from all over them`] : []),
  ];
}

const assumption =
  "The checkpoint does not say what its decoder predicts: taken for pixels, which --target changes";

const targetWords = (normalized: boolean): string => normalized ? "normalised patches" : "pixels";

function contradiction({ normalized }: TargetFact): string {
  return `The checkpoint says that its decoder predicts ${
    targetWords(!normalized)
  }: as you ask, it is taken for ` +
    targetWords(normalized);
}

/** Patches per column and per row. */
function gridOf({ patchSize }: MaeConfig, size: Size): Size {
  const patch = asSize(patchSize);
  if (size.every((side, i) => side > 0 && side % patch[i] === 0)) {
    return [size[0] / patch[0], size[1] / patch[1]];
  }
  const nearest = size.map((side, i) => Math.max(1, Math.round(side / patch[i])) * patch[i]);
  throw new InputError(
    `Images of ${size.join("x")} pixels are no whole number of patches of ${patch.join("x")}; ` +
      `the nearest size is ${nearest.join("x")}`,
  );
}

/** Every ratio with every sampling with every seed; each once. */
function settingsOf(
  { ratios, samplings = ["random"], seeds = [0] }: ReconstructImagesOptions,
  { maskRatio = 0.75 }: ModelFacts,
  length: number,
): MaskSetting[] {
  const wanted = unique(ratios ?? [maskRatio]);
  for (const ratio of wanted) {
    if (!(ratio > 0 && ratio < 1)) {
      throw new InputError(`A mask ratio must be above 0 and below 1, not ${ratio}`);
    }
    const kept = keptCount(length, ratio);
    if (kept > 0 && kept < length) continue;
    throw new InputError(
      kept === 0
        ? `A mask ratio of ${ratio} keeps none of ${length} patches; the largest that does is ${
          largestRatio(length)
        }`
        : `A mask ratio of ${ratio} removes none of ${length} patches`,
    );
  }
  return wanted.flatMap((ratio) =>
    unique(samplings).flatMap((sampling) => unique(seeds).map((seed) => ({ ratio, sampling, seed })))
  );
}

/** To four places, and cut off, so that it does keep one. */
function largestRatio(length: number): number {
  return Math.floor((1 - 1 / length) * 1e4) / 1e4;
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Everything is kept in memory until it is drawn. */
function checkAmount(images: number, settings: number, size: Size): void {
  const [height, width] = size;
  const most = Math.floor(MOST_PIXELS / (height * width * enlargement(size) ** 2 * (1 + 3 * settings)));
  if (images <= most) return;
  throw new InputError(
    `${images} images of ${height}x${width} pixels, masked in ${settings} ${
      settings === 1 ? "way" : "ways"
    }, are too many for one figure, ` +
      `which holds ${most}: give fewer images, ratios, samplings or seeds`,
  );
}

function targetOf(
  { normalizeTarget }: ModelFacts,
  { normalizedTarget }: ReconstructImagesOptions,
): TargetFact {
  if (normalizedTarget !== undefined) return { normalized: normalizedTarget, saidBy: "caller" };
  if (normalizeTarget !== undefined) return { normalized: normalizeTarget, saidBy: "checkpoint" };
  return { normalized: false, saidBy: "assumed" };
}

function statisticsOf({ mean, std }: ModelFacts, channels: number) {
  return {
    ...defaultStatistics(channels),
    ...(mean?.length === channels && { mean }),
    ...(std?.length === channels && { std }),
  };
}
