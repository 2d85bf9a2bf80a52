/** Where random erasing strikes (timm's `RandomErasing`, pixel mode, one rectangle). */
import type { ErasingConfig, Size } from "../config/finetune_types.ts";
import type { Erasure } from "../ops/pixels/pixel_changes.ts";
import { Random, Stream } from "../util/random.ts";
import { type CropDraws, roundHalfToEven } from "./crop.ts";

/** The random draws of an erasure; `Random` is one. */
export interface ErasingDraws extends CropDraws {
  /** 32 random bits. */
  bits(): number;
}

/**
 * The rectangle an image loses, or null: ten tries for one smaller than the image in both directions. Draws, in order: whether
 * at all, then area and aspect of each try, top and left of the one that fits, and the key of its noise. In tiny images the
 * rectangle may be empty.
 */
export function drawErasure(
  [height, width]: Size,
  config: ErasingConfig,
  draws: ErasingDraws,
): Erasure | null {
  if (draws.uniform(0, 1) >= config.probability) return null;
  const [logLow, logHigh] = config.aspect.map(Math.log);
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = draws.uniform(...config.area) * height * width;
    const aspect = Math.exp(draws.uniform(logLow, logHigh));
    const rows = roundHalfToEven(Math.sqrt(area * aspect));
    const columns = roundHalfToEven(Math.sqrt(area / aspect));
    if (rows >= height || columns >= width) continue;
    const top = draws.integer(height - rows + 1);
    const left = draws.integer(width - columns + 1);
    return { box: { top, left, height: rows, width: columns }, key: draws.bits() };
  }
  return null;
}

/** What each image of a micro-batch loses, as a function of the seed, the micro-batch (counted from the run's start) and the slot. */
export function drawErasures(
  count: number,
  size: Size,
  config: ErasingConfig,
  seed: number,
  microBatch: number,
): (Erasure | null)[] {
  return Array.from(
    { length: count },
    (_, slot) => drawErasure(size, config, new Random(seed, Stream.erase, microBatch, slot)),
  );
}
