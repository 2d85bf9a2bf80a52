/** The reconstruction figure, after figures 2 to 4 of the paper: one row per image, columns for each way of masking it. */

import type { MaskConfig, Size } from "../config/types.ts";
import type { Canvas } from "./canvas.ts";
import { drawFigure, type FigureText } from "./figure.ts";

/** Which patches were removed: the columns of a group show what became of it. */
export interface MaskSetting extends MaskConfig {
  /** Seed of the masks. */
  readonly seed: number;
}

/** What the model made of one image masked in one way. Pictures are `[H, W, 3]` RGB. */
export interface ReconstructedView {
  /** The original with its removed patches in gray. */
  readonly masked: Uint8Array;
  /** The model's prediction for all patches. */
  readonly reconstruction: Uint8Array;
  /** The prediction with the visible patches pasted from the original. */
  readonly pasted: Uint8Array;
  /** Mean squared error on the removed patches in the scale of the model's target, as training reports it. */
  readonly loss?: number;
  /** Peak signal-to-noise ratio of the removed patches in dB; null where they are equal to the original. */
  readonly psnr?: number | null;
}

/** One image with what the model made of it. */
export interface ReconstructionRow {
  /** Its name. */
  readonly label: string;
  /** Height and width of the pictures in pixels. */
  readonly size: Size;
  /** `[H, W, 3]` RGB. */
  readonly original: Uint8Array;
  /** One per setting. */
  readonly views: readonly ReconstructedView[];
}

/** Words and settings of a reconstruction figure. */
export interface ReconstructionText extends Omit<FigureText, "groups"> {
  /** How the images were masked, in the order of every row's views. */
  readonly settings: readonly MaskSetting[];
}

/** Names of the stages of a view, the original first. */
export const STAGES = ["original", "masked", "reconstruction", "reconstruction + visible"] as const;

/** `75%`; `93.75%` */
export function percentOf(ratio: number): string {
  return `${Math.round(ratio * 10000) / 100}%`;
}

/** What tells each setting from the others: `75%`, `75% block`, `75% seed 1`. */
export function settingTitles(settings: readonly MaskSetting[]): string[] {
  const differs = (pick: (setting: MaskSetting) => unknown) => new Set(settings.map(pick)).size > 1;
  const bySampling = differs(({ sampling }) => sampling);
  const bySeed = differs(({ seed }) => seed);
  return settings.map(({ ratio, sampling, seed }) =>
    [percentOf(ratio), ...(bySampling ? [sampling] : []), ...(bySeed ? [`seed ${seed}`] : [])].join(", ")
  );
}

/** `loss 0.4123, PSNR 18.2 dB`; empty where nothing was measured. */
export function scoreText({ loss, psnr }: Pick<ReconstructedView, "loss" | "psnr">): string {
  return [
    ...(loss === undefined ? [] : [`loss ${lossText(loss)}`]),
    ...(psnr === undefined ? [] : [`PSNR ${psnrText(psnr)}`]),
  ].join(", ");
}

/** `0.4123`; large ones shorter. */
export function lossText(loss: number): string {
  return loss < 100 ? loss.toFixed(4) : loss.toPrecision(5);
}

/** `18.2 dB`, or `exact` where no pixel differs. */
export function psnrText(psnr: number | null): string {
  return psnr === null ? "exact" : `${psnr.toFixed(1)} dB`;
}

/**
 * The figure of masked autoencoding: original, and for each setting masked, reconstruction, reconstruction with the visible
 * patches pasted; beneath them loss and PSNR where the rows have them.
 *
 * @param rows images, usually six to eight
 * @param text what the figure says; it should say how a normalised target was denormalised
 * @throws {RangeError} where a picture does not match its size
 */
export function drawReconstructions(rows: readonly ReconstructionRow[], text: ReconstructionText): Canvas {
  const { settings, ...words } = text;
  const titles = settingTitles(settings);
  const isOne = settings.length === 1;
  const [original, masked, ...others] = STAGES;
  const columns = [
    original,
    ...settings.flatMap((_, s) => [isOne ? `${masked} ${titles[s]}` : masked, ...others]),
  ];
  const groups = titles.map((title, s) => ({
    title: isOne ? "" : `${masked} ${title}`,
    start: 1 + 3 * s,
    count: 3,
  }));
  const figureRows = rows.map(({ label, size, original, views }) => ({
    label,
    size,
    pictures: [
      original,
      ...views.flatMap(({ masked, reconstruction, pasted }) => [masked, reconstruction, pasted]),
    ],
    remarks: views.map(scoreText),
  }));
  return drawFigure(columns, figureRows, { ...words, groups });
}

/** Means over all images for one setting; a score is null where no image has it. */
export interface MeanScores {
  /** Mean of the losses. */
  readonly loss: number | null;
  /** Mean of the ratios in dB, exact images left out. */
  readonly psnr: number | null;
}

/** What each setting's reconstructions are like on average. */
export function meanScores(
  rows: readonly ReconstructionRow[],
  settings: readonly MaskSetting[],
): MeanScores[] {
  return settings.map((_, s) => ({
    loss: mean(rows.flatMap(({ views }) => views[s].loss ?? [])),
    psnr: mean(rows.flatMap(({ views }) => views[s].psnr ?? [])),
  }));
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value) / values.length;
}
