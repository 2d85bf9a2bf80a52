/** Colour jitter as torchvision's `ColorJitter` on Pillow images, without hue, which timm does not use here. */
import type { ColorJitterConfig } from "../config/finetune_types.ts";
import { adjustBrightness, adjustContrast, adjustSaturation } from "./colors.ts";
import type { CropDraws } from "./crop.ts";
import type { Image } from "../images/image.ts";

const ADJUSTMENTS = [
  ["brightness", adjustBrightness],
  ["contrast", adjustContrast],
  ["saturation", adjustSaturation],
] as const;

/**
 * Changes brightness, contrast and saturation in random order. Draws, in order: the order (two integers), then the factors
 * of what has a strength above 0, brightness first.
 */
export function jitterColors(image: Image, config: ColorJitterConfig, draws: CropDraws): Image {
  const order = [0, 1, 2];
  for (let i = 2; i > 0; i--) {
    const j = draws.integer(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const factors = ADJUSTMENTS.map(([property]) => {
    const strength = config[property];
    return strength > 0 ? draws.uniform(Math.max(0, 1 - strength), 1 + strength) : 1;
  });
  let jittered = image;
  for (const i of order) {
    if (factors[i] !== 1) jittered = ADJUSTMENTS[i][1](jittered, factors[i]);
  }
  return jittered;
}
