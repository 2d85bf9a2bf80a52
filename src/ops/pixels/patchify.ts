/** Cutting images into patches and putting them back together. */
import { tf } from "../../deps/tfjs.ts";
import type { Size } from "../../config/types.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { patchifyKernel, type PatchLayout } from "./patchify_kernel.ts";
import { holdsIntegers } from "../templates/row_values.ts";

/** Grid of patches, rows by columns. Throws `RangeError` when the image is not a whole number of patches. */
export function patchGrid(imageSize: Size, patchSize: Size): Size {
  const rows = imageSize[0] / patchSize[0];
  const columns = imageSize[1] / patchSize[1];
  if (!Number.isInteger(rows) || !Number.isInteger(columns) || rows < 1 || columns < 1) {
    throw new RangeError(
      `Images of ${imageSize[0]}x${imageSize[1]} are no whole number of ${patchSize[0]}x${
        patchSize[1]
      } patches`,
    );
  }
  return [rows, columns];
}

const bodies: Bodies<(images: tf.Tensor, layout: PatchLayout) => tf.Tensor> = {
  name: "patchify",
  composed(images, { grid: [rows, columns], patch: [p, q], channels }) {
    const count = images.shape[0];
    const cut = tf.transpose(tf.reshape(images, [count * rows, p, columns, q * channels]), [0, 2, 1, 3]);
    return tf.reshape(cut, [count, rows * columns, p * q * channels]);
  },
  kernel: patchifyKernel,
};

/**
 * Images to patches; not differentiable, as patches are data.
 * @param images [N, H, W, C]
 * @returns [N, L, p·q·C]; inside a patch the order is row, column, channel (channel fastest), as in the official code
 */
export function patchify(images: tf.Tensor, patchSize: Size): tf.Tensor3D {
  const [, height, width, channels] = images.shape as [number, number, number, number];
  const grid = patchGrid([height, width], patchSize);
  return tf.tidy(() => {
    const floats = holdsIntegers(images) ? tf.mul(images, 1) : images;
    return chooseBody(bodies)(floats, { grid, patch: patchSize, channels }) as tf.Tensor3D;
  });
}

/**
 * Patches to images, the inverse of `patchify`.
 * @param patches [N, L, p·q·C]
 * @returns [N, H, W, C]
 */
export function unpatchify(patches: tf.Tensor, imageSize: Size, patchSize: Size): tf.Tensor4D {
  const [rows, columns] = patchGrid(imageSize, patchSize);
  const [p, q] = patchSize;
  const [count, length, values] = patches.shape;
  const channels = values / (p * q);
  if (length !== rows * columns || !Number.isInteger(channels)) {
    throw new RangeError(`Patches [${patches.shape}] do not make images of ${imageSize[0]}x${imageSize[1]}`);
  }
  const joined = tf.transpose(tf.reshape(patches, [count * rows, columns, p, q * channels]), [0, 2, 1, 3]);
  return tf.reshape(joined, [count, imageSize[0], imageSize[1], channels]);
}
