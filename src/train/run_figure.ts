/** The figure at the end of a run: pictures of the data set, masked, and what the model makes of them. */
import type { PretrainConfig } from "../config/types.ts";
import { loadEvalImages } from "../data/eval_images.ts";
import { type ImageSource, pathOfSample } from "../data/source.ts";
import { encodePng, type Picture } from "../formats/png.ts";
import type { Mae } from "../models/mae.ts";
import { drawReconstructions, type ReconstructionRow } from "../report/figure.ts";
import { maskedPicture, pastePicture } from "../report/patches.ts";
import { baseName, joinPath, writeFileAtomic } from "../util/files.ts";
import { reconstruct, toRgb } from "./reconstruct.ts";

/** What the figure says of the run. */
export interface RunFigureFacts {
  /** Optimizer steps made. */
  readonly step: number;
  /** Mean loss of the last logged window; null when nothing was logged. */
  readonly loss: number | null;
}

/**
 * Draws pictures from all over the data set and writes them as PNG.
 * @returns the file and the picture
 */
export async function drawRunFigure(
  model: Mae,
  config: PretrainConfig,
  folder: string,
  source: ImageSource,
  facts: RunFigureFacts,
): Promise<{ path: string; picture: Picture }> {
  const { data, mask, run, target } = config;
  const { imageSize, channels } = config.model;
  const candidates = spread(source.paths.length, 2 * run.figureImages).map((index) =>
    pathOfSample(source, index)
  );
  const { pixels, paths } = await loadEvalImages(candidates, {
    imageSize,
    channels,
    exif: data.exif,
    count: run.figureImages,
  });
  const size = imageSize[0] * imageSize[1] * channels;
  const pictures = paths.map((_, i) => pixels.subarray(i * size, (i + 1) * size));
  const results = await reconstruct(model, pictures, {
    mask,
    seed: run.seed,
    mean: data.mean,
    std: data.std,
    normalizedTarget: target.normalize,
  });
  const rows = results.map((result, i): ReconstructionRow => {
    const original = toRgb(result.original, imageSize, channels);
    const reconstruction = toRgb(result.reconstruction, imageSize, channels);
    return {
      label: baseName(paths[i]),
      size: imageSize,
      original,
      masked: maskedPicture(original, result.mask, imageSize, model.patchSize),
      reconstruction,
      pasted: pastePicture(original, reconstruction, result.mask, imageSize, model.patchSize),
    };
  });
  const picture = drawReconstructions(rows, { maskRatio: mask.ratio, ...figureText(config, facts) });
  const path = joinPath(folder, `reconstructions-step-${String(facts.step).padStart(8, "0")}.png`);
  await writeFileAtomic(path, encodePng(picture));
  return { path, picture };
}

function figureText({ model, run, target }: PretrainConfig, { step, loss }: RunFigureFacts) {
  const { encoder, decoder } = model;
  const shape = `encoder ${encoder.width} x ${encoder.depth}, decoder ${decoder.width} x ${decoder.depth}`;
  const facts = [`step ${step}`, ...(loss === null ? [] : [`loss ${loss.toFixed(4)}`]), shape];
  return {
    title: baseName(run.out),
    notes: [facts.join(", ")],
    footer: target.normalize
      ? "The model predicts normalised patches; each is denormalised with the true mean and deviation of its patch."
      : undefined,
  };
}

/** `count` places spread evenly over 0 … length − 1, each once. */
function spread(length: number, count: number): number[] {
  const wanted = Math.min(length, count);
  return Array.from({ length: wanted }, (_, i) => Math.floor(i * length / wanted));
}
