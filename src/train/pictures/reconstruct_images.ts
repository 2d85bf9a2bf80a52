/** Reconstructions of a user's pictures: several masks of each, side by side. */
import type { PixelValues, Size } from "../../config/types.ts";
import { loadEvalImages } from "../../data/eval_images.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import type { ImageSource } from "../../sources/source.ts";
import type { Mae } from "../../models/mae.ts";
import type { MaskSetting, ReconstructedView, ReconstructionRow } from "../../report/reconstructions.ts";
import { baseName } from "../../util/files.ts";
import type { FrozenEvent } from "../run/events.ts";
import { openTestedRuntime } from "../features/frozen.ts";
import { openModelSource } from "../model_files/model_source.ts";
import { openMae } from "../model_files/pretrained.ts";
import { reconstruct, shownBytes, toRgb, viewOf } from "./reconstruct.ts";
import {
  planReconstructions,
  type ReconstructImagesOptions,
  type ReconstructionPlan,
  type TargetFact,
} from "./reconstruction_plan.ts";

/** Pictures with everything the model made of them. */
export interface ReconstructedImages {
  /** The file of the checkpoint. */
  readonly checkpoint: string;
  /** The model, in one sentence. */
  readonly description: string;
  /** How the pictures were masked: every ratio with every sampling with every seed. */
  readonly settings: readonly MaskSetting[];
  /** The pictures as RGB, each with one view per setting. */
  readonly rows: readonly ReconstructionRow[];
  /** Files of the rows. */
  readonly paths: readonly string[];
  /** Files that could not be read. */
  readonly broken: readonly BrokenFile[];
  /** Pictures that were given, those left out included. */
  readonly given: number;
  /** Height and width of the pictures in pixels. */
  readonly imageSize: Size;
  /** How they came to that size. */
  readonly fit: "crop" | "stretch";
  /** Height and width of a patch in pixels. */
  readonly patchSize: Size;
  /** Patches per column and per row of the pictures that the model was trained on. */
  readonly trainedGrid: Size;
  /** What the predictions are. */
  readonly target: TargetFact;
}

/**
 * Masks pictures and lets a checkpoint's masked autoencoder fill them in. The mask of a picture depends on the seed and on
 * its place in the list alone, so that a larger ratio removes what a smaller one does and more.
 * @param from a run, a checkpoint or a file that holds encoder and decoder
 * @throws {InputError} when the checkpoint has no decoder or cannot be read, or the options do not suit it
 * @throws {RunError} when no picture can be read, or the backend asked for cannot be opened
 */
export async function reconstructImages(
  from: string,
  images: ImageSource,
  options: ReconstructImagesOptions = {},
): Promise<ReconstructedImages> {
  const { onEvent = () => {}, backend, checkKernels } = options;
  using source = await openModelSource(from, options);
  const plan = planReconstructions(source, images, options);
  for (const message of plan.notices) onEvent({ kind: "notice", message });
  const loaded = await loadEvalImages(images, { ...plan.images, samples: plan.samples, fit: plan.fit });
  for (const { path, reason } of loaded.broken) {
    onEvent({ kind: "warning", message: `Skipping ${path}: ${reason}` });
  }
  await openTestedRuntime({ backend, checkKernels, onEvent });
  const model = await openMae(source, { imageSize: plan.imageSize });
  try {
    const views = await viewsOf(model, loaded.pixels, plan, onEvent);
    const { settings, imageSize, fit, target } = plan;
    const { path: checkpoint, description } = source;
    const rows = rowsOf(loaded.paths, loaded.pixels, plan, views, model);
    const [paths, broken] = [loaded.paths, loaded.broken];
    const rest = { given: images.length, patchSize: model.patchSize, trainedGrid: plan.trainedGrid };
    return { checkpoint, description, settings, rows, paths, broken, imageSize, fit, target, ...rest };
  } finally {
    model.dispose();
  }
}

/** One list of views per setting. */
async function viewsOf(
  model: Mae,
  pixels: PixelValues,
  { settings, mean, std, target }: ReconstructionPlan,
  onEvent: (event: FrozenEvent) => void,
): Promise<ReconstructedView[][]> {
  const pictures = picturesOf(model, pixels);
  const all = settings.length * pictures.length;
  const views: ReconstructedView[][] = [];
  for (const [s, { seed, ...mask }] of settings.entries()) {
    const results = await reconstruct(model, pictures, {
      mask,
      seed,
      mean,
      std,
      normalizedTarget: target.normalized,
      onPicture: (index) =>
        onEvent({
          kind: "progress",
          what: "reconstructions",
          share: (s * pictures.length + index + 1) / all,
        }),
    });
    views.push(results.map((result) => viewOf(result, model)));
  }
  return views;
}

function picturesOf({ imageSize, channels }: Mae, pixels: PixelValues): PixelValues[] {
  const size = imageSize[0] * imageSize[1] * channels;
  return Array.from({ length: pixels.length / size }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
}

function rowsOf(
  paths: readonly string[],
  pixels: PixelValues,
  statistics: Pick<ReconstructionPlan, "mean" | "std">,
  views: readonly (readonly ReconstructedView[])[],
  model: Mae,
): ReconstructionRow[] {
  const labels = labelsOf(paths);
  return picturesOf(model, pixels).map((picture, i) => ({
    label: labels[i],
    size: model.imageSize,
    original: toRgb(shownBytes(picture, statistics), model.imageSize, model.channels),
    views: views.map((ofSetting) => ofSetting[i]),
  }));
}

/** The files' names; where two are equal, the paths below the folder that all of them share. */
function labelsOf(paths: readonly string[]): string[] {
  const names = paths.map(baseName);
  if (new Set(names).size === names.length) return names;
  const folders = paths.map((path) => path.split(/[\\/]/).slice(0, -1));
  const [first] = folders;
  const differ = first.findIndex((part, i) => folders.some((parts) => parts[i] !== part));
  const shared = differ < 0 ? first.length : differ;
  return paths.map((path) => path.split(/[\\/]/).slice(shared).join("/"));
}
