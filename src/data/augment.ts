/** From a decoded image to the pixels of one training or evaluation example. */
import type { AugmentConfig, Size } from "../config/types.ts";
import { centerCropBox, coveringSize, type CropDraws } from "./crop.ts";
import type { Image, ImageWindow } from "./image.ts";
import { resizeBicubic } from "./resize.ts";

export { officialCropShare } from "../config/finetune_types.ts";

/**
 * MAE's augmentation for pre-training, of the box that `randomResizedCropBox` drew: bicubic resizing, then a flip of
 * every other image. One draw for the flip. Pixels [height, width, channels], in `out` when given.
 */
export function augmentForTraining(
  { image, box }: ImageWindow,
  size: Size,
  augment: AugmentConfig,
  random: CropDraws,
  out?: Uint8Array,
): Uint8Array {
  const mirrored = augment.flip && random.uniform(0, 1) < 0.5;
  return resizeBicubic(image, box, size, out, mirrored);
}

/**
 * The evaluation transform: resize so that the image covers `size / cropShare`, crop the centre. With
 * `officialCropShare(size)` and a square size it is that of the official fine-tuning code; with 1, as much of the
 * image as fits is seen. Pixels [height, width, channels], in `out` when given.
 */
export function transformForEvaluation(
  image: Image,
  size: Size,
  cropShare = 1,
  out?: Uint8Array,
): Uint8Array {
  const cover = [Math.trunc(size[0] / cropShare), Math.trunc(size[1] / cropShare)] as const;
  const resizedSize = coveringSize(image.height, image.width, cover);
  const whole = { top: 0, left: 0, height: image.height, width: image.width };
  const resized = resizeBicubic(image, whole, resizedSize);
  const box = centerCropBox(resizedSize[0], resizedSize[1], size);
  return copyBox(resized, resizedSize[1], image.channels, box, out);
}

function copyBox(
  pixels: Uint8Array,
  width: number,
  channels: number,
  box: { top: number; left: number; height: number; width: number },
  out: Uint8Array = new Uint8Array(box.height * box.width * channels),
): Uint8Array {
  const rowLength = box.width * channels;
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * width + box.left) * channels;
    out.set(pixels.subarray(from, from + rowLength), y * rowLength);
  }
  return out;
}
