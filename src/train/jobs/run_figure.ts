/** The figure at the end of a run: pictures of the data set, masked, and what the model makes of them. */
import { readingOf } from "../../config/common_sections.ts";
import type { PretrainConfig } from "../../config/types.ts";
import { type EvalImages, loadEvalImages, spread } from "../../data/eval_images.ts";
import type { Loader } from "../../data/loader.ts";
import type { ImageSource } from "../../sources/source.ts";
import { drawReconstructions, type ReconstructionRow } from "../../report/reconstructions.ts";
import { RunError } from "../../util/errors.ts";
import { baseName } from "../../util/files.ts";
import type { PretrainParts } from "./pretrain_job.ts";
import { reconstruct, targetSentence, toRgb, viewOf } from "../pictures/reconstruct.ts";
import { writeFigure } from "../run/write_figure.ts";

/** What the figure says of the run. */
export interface RunFigureFacts {
  /** Optimizer steps made. */
  readonly step: number;
  /** Mean loss of the last logged window; null when nothing was logged. */
  readonly loss: number | null;
}

/**
 * Draws pictures from all over the data set and writes them as PNG and for TensorBoard.
 * @returns the file; null when the configuration wants none, or with a warning when no image can be read any more
 * @throws {RunError} when the file cannot be written
 */
export async function drawRunFigure(parts: PretrainParts, facts: RunFigureFacts): Promise<string | null> {
  const { config, onEvent } = parts;
  if (config.run.figureImages === 0) return null;
  const rows = await reconstructRows(parts);
  if (rows.length === 0) {
    onEvent({
      kind: "warning",
      message: "No figure was drawn: no image of the data set can be read any more",
    });
    return null;
  }
  const picture = drawReconstructions(rows, {
    settings: [{ ...config.mask, seed: config.run.seed }],
    ...figureText(config, facts),
  });
  return await writeFigure(parts, "reconstructions", facts.step, picture);
}

/** The rows of the figure; fewer than wanted where images are broken. */
async function reconstructRows(
  { config, model, source, loader }: PretrainParts,
): Promise<ReconstructionRow[]> {
  const { data, mask, run, target } = config;
  const { imageSize, channels } = config.model;
  const { pixels, paths } = await loadFigureImages(config, source, loader);
  const size = imageSize[0] * imageSize[1] * channels;
  const pictures = paths.map((_, i) => pixels.subarray(i * size, (i + 1) * size));
  const results = await reconstruct(model, pictures, {
    mask,
    seed: run.seed,
    mean: data.mean,
    std: data.std,
    normalizedTarget: target.normalize,
  });
  return results.map((result, i) => ({
    label: baseName(paths[i]),
    size: imageSize,
    original: toRgb(result.original, imageSize, channels),
    views: [viewOf(result, model)],
  }));
}

/** Images from all over the data set, those known to be broken left out; none when all turn out to be. */
async function loadFigureImages(
  { data, model, run }: PretrainConfig,
  source: ImageSource,
  loader: Loader,
): Promise<Pick<EvalImages, "pixels" | "paths">> {
  const broken = new Set(loader.broken.map(({ path }) => path));
  const samples = spread(source.length, 2 * run.figureImages + broken.size)
    .filter((sample) => !broken.has(source.path(sample)));
  try {
    return await loadEvalImages(source, {
      samples,
      imageSize: model.imageSize,
      channels: model.channels,
      ...readingOf(data),
      count: run.figureImages,
    });
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return { pixels: new Uint8Array(), paths: [] };
  }
}

function figureText({ model, run, target }: PretrainConfig, { step, loss }: RunFigureFacts) {
  const { encoder, decoder } = model;
  const shape = `encoder ${encoder.width} x ${encoder.depth}, decoder ${decoder.width} x ${decoder.depth}`;
  const facts = [`step ${step}`, ...(loss === null ? [] : [`loss ${loss.toFixed(4)}`]), shape];
  return {
    title: baseName(run.out),
    notes: [facts.join(", ")],
    footer: targetSentence(target.normalize),
  };
}
