/** The words beside reconstructions: title, notes, caption and facts, for the figure and for the page. */
import type { Size } from "../config/types.ts";
import { percentOf, type ReconstructionText } from "../report/reconstructions.ts";
import { baseName } from "../util/files.ts";
import { targetSentence } from "./reconstruct.ts";
import type { ReconstructedImages } from "./reconstruct_images.ts";
import type { TargetFact } from "./reconstruction_plan.ts";

/**
 * What a figure of reconstructions says.
 * @param title bold, at the top: the checkpoint's name as the user gave it
 */
export function reconstructionText(result: ReconstructedImages, title: string): ReconstructionText {
  return {
    title: baseName(title),
    notes: [result.description, masksOf(result)],
    footer: captionOf(result.target),
    settings: result.settings,
  };
}

/** What was done, by name, for the page. */
export function reconstructionFacts(result: ReconstructedImages): [name: string, value: string][] {
  const { checkpoint, description, rows, given, imageSize, patchSize, fit, trainedGrid } = result;
  const grid: Size = [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]];
  const isResampled = trainedGrid.join() !== grid.join();
  const how = fit === "crop" ? "resized and cropped at the centre" : "stretched";
  return [
    ["Checkpoint", checkpoint],
    ["Model", description],
    ["Pictures", `${rows.length} of ${given}, ${how} to ${by(imageSize)} pixels (height x width)`],
    [
      "Patches",
      `${by(grid)} of ${by(patchSize)} pixels` +
      (isResampled ? `; positions resampled from ${by(trainedGrid)} patches` : ""),
    ],
    ["Target", captionOf(result.target)],
  ];
}

const by = (size: Size): string => size.join(" x ");

/** "64 x 64 pixels in 8 x 8 patches; masks: 75% random, seed 0". */
function masksOf({ imageSize, patchSize, settings }: ReconstructedImages): string {
  const grid: Size = [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]];
  const list = (values: readonly (string | number)[]) => [...new Set(values)].join(", ");
  const ratios = list(settings.map(({ ratio }) => percentOf(ratio)));
  const samplings = list(settings.map(({ sampling }) => sampling));
  const seeds = list(settings.map(({ seed }) => seed));
  return `${by(imageSize)} pixels in ${by(grid)} patches; removed: ${ratios}, ${samplings}, seed ${seeds}`;
}

function captionOf({ normalized, saidBy }: TargetFact): string {
  const doubt = saidBy === "assumed" ? " (The checkpoint does not say so; it is taken for one.)" : "";
  return `${targetSentence(normalized)}${doubt}`;
}
