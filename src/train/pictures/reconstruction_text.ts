/** The words beside reconstructions: title, notes, caption and facts, for the figure and for the page. */
import type { Size } from "../../config/types.ts";
import { percentOf, type ReconstructionText } from "../../report/reconstructions.ts";
import { targetSentence } from "./reconstruct.ts";
import type { ReconstructedImages } from "./reconstruct_images.ts";
import type { TargetFact } from "./reconstruction_plan.ts";

/**
 * What a figure of reconstructions says.
 * @param checkpoint the checkpoint as the user gave it, whose name is the title
 */
export function reconstructionText(result: ReconstructedImages, checkpoint: string): ReconstructionText {
  return {
    title: nameOf(checkpoint),
    notes: [result.description, masksOf(result)],
    footer: captionOf(result.target),
    settings: result.settings,
  };
}

/** `run` for the folder of a run; `run, step-00001000` for a checkpoint in it; else the name of the file or folder. */
function nameOf(path: string): string {
  const [name, folder, run] = path.split(/[\\/]+/).filter((part) => part !== "").reverse();
  return folder === "checkpoints" && run !== undefined ? `${run}, ${name}` : name ?? path;
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
