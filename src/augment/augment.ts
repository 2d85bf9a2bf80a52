/** From a decoded image to the pixels of one training or evaluation example. */
import type { AugmentConfig, PixelValues, Size } from "../config/types.ts";
import { centerCropBox, coveringSize, type CropDraws } from "./crop.ts";
import type { Box, DeepImage, DeepWindow, Image, ImageWindow } from "../images/image.ts";
import { flipHorizontally, resizeBicubic } from "../images/resize.ts";
import { resizeDeep } from "../images/resize_float.ts";

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

/** {@linkcode augmentForTraining} at the image's depth. */
export function augmentDeepForTraining(
  { image, box }: DeepWindow,
  size: Size,
  augment: AugmentConfig,
  random: CropDraws,
  out?: Float32Array,
): Float32Array {
  const mirrored = augment.flip && random.uniform(0, 1) < 0.5;
  const pixels = resizeDeep(image, box, size, out);
  if (mirrored) flipHorizontally(pixels, size, image.channels);
  return pixels;
}

/** Resizes the whole image so that it covers `size / cropShare`, by `resize`, and copies the centre to `out`. */
function centered<P extends PixelValues>(
  { height, width, channels }: Pick<Image, "height" | "width" | "channels">,
  size: Size,
  cropShare: number,
  resize: (whole: Box, size: Size) => P,
  out: P,
): P {
  const cover = [Math.trunc(size[0] / cropShare), Math.trunc(size[1] / cropShare)] as const;
  const resizedSize = coveringSize(height, width, cover);
  const resized = resize({ top: 0, left: 0, height, width }, resizedSize);
  const box = centerCropBox(resizedSize[0], resizedSize[1], size);
  const rowLength = box.width * channels;
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * resizedSize[1] + box.left) * channels;
    out.set(resized.subarray(from, from + rowLength), y * rowLength);
  }
  return out;
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
  out: Uint8Array = new Uint8Array(size[0] * size[1] * image.channels),
): Uint8Array {
  return centered(image, size, cropShare, (box, to) => resizeBicubic(image, box, to), out);
}

/** {@linkcode transformForEvaluation} at the image's depth. */
export function transformDeepForEvaluation(
  image: DeepImage,
  size: Size,
  cropShare = 1,
  out: Float32Array = new Float32Array(size[0] * size[1] * image.channels),
): Float32Array {
  return centered(image, size, cropShare, (box, to) => resizeDeep(image, box, to), out);
}
