/**
 * Per-image random masking (paper section 3.1): the patches are ordered by noise, the first are kept. The noise decides
 * everything, so other samplings (block, grid) only shape the noise.
 */
import { tf } from "../../deps/tfjs.ts";

/** Which patches the encoder sees. All index tensors are int32. */
export interface Masking {
  /** Patches L of an image. */
  readonly length: number;
  /** Patches kept of each image. */
  readonly kept: number;
  /** Patch index of each kept token, in the order of the noise: [N, kept] */
  readonly idsKeep: tf.Tensor2D;
  /** Patch index of each removed one, in the order of the noise: [N, L − kept] */
  readonly idsRemoved: tf.Tensor2D;
  /** Place of each patch in that order; below `kept` means kept: [N, L] */
  readonly idsRestore: tf.Tensor2D;
  /** 1 where removed, 0 where kept: [N, L] float32 */
  readonly mask: tf.Tensor2D;
}

/** Number of patches kept: the raw floating product, cut off. L = 100 at 0.9 keeps 9, as in the official code. */
export function keptCount(length: number, ratio: number): number {
  return Math.floor(length * (1 - ratio));
}

/** The order of one image's noise: stable ascending argsort. */
export function argsort(noise: Float32Array): Int32Array {
  const order = Int32Array.from(noise, (_, i) => i);
  return order.sort((a, b) => noise[a] - noise[b] || a - b);
}

/**
 * Masking from noise.
 * @param noise [N, L], values or a tensor. Values are ordered on the host; a tensor is ordered on the device, where
 * comparing all pairs takes N·L² values of memory.
 * @param ratio share of patches to remove, in [0, 1)
 * @throws {RangeError} when the shape does not fit
 */
export function maskFromNoise(
  noise: Float32Array | tf.Tensor,
  images: number,
  length: number,
  ratio: number,
): Masking {
  if (!(ratio >= 0 && ratio < 1)) throw new RangeError(`The mask ratio must be in [0, 1), not ${ratio}`);
  if (
    noise instanceof tf.Tensor
      ? noise.rank !== 2 || noise.shape[1] !== length
      : noise.length !== images * length
  ) {
    const given = noise instanceof tf.Tensor ? `[${noise.shape}]` : `${noise.length} values`;
    throw new RangeError(`The noise must be [${images}, ${length}], not ${given}`);
  }
  const kept = keptCount(length, ratio);
  return noise instanceof tf.Tensor
    ? maskOnDevice(noise, length, kept)
    : maskOnHost(noise, images, length, kept);
}

function maskOnHost(noise: Float32Array, images: number, length: number, kept: number): Masking {
  const keep = new Int32Array(images * kept);
  const remove = new Int32Array(images * (length - kept));
  const restore = new Int32Array(images * length);
  const mask = new Float32Array(images * length);
  for (let n = 0; n < images; n++) {
    const order = argsort(noise.subarray(n * length, (n + 1) * length));
    for (let place = 0; place < length; place++) {
      const patch = order[place];
      restore[n * length + patch] = place;
      if (place < kept) {
        keep[n * kept + place] = patch;
      } else {
        remove[n * (length - kept) + place - kept] = patch;
        mask[n * length + patch] = 1;
      }
    }
  }
  return {
    length,
    kept,
    idsKeep: tf.tensor2d(keep, [images, kept], "int32"),
    idsRemoved: tf.tensor2d(remove, [images, length - kept], "int32"),
    idsRestore: tf.tensor2d(restore, [images, length], "int32"),
    mask: tf.tensor2d(mask, [images, length]),
  };
}

function maskOnDevice(noise: tf.Tensor, length: number, kept: number): Masking {
  const images = noise.shape[0];
  const [order, idsRestore, mask] = tf.tidy(() => {
    const place = tf.range(0, length, 1, "float32");
    const mine = tf.reshape(noise, [images, length, 1]);
    const other = tf.reshape(noise, [images, 1, length]);
    const earlier = tf.less(tf.reshape(place, [1, 1, length]), tf.reshape(place, [1, length, 1]));
    const before = tf.logicalOr(tf.less(other, mine), tf.logicalAnd(tf.equal(other, mine), earlier));
    const restore = tf.sum(tf.cast(before, "float32"), 2); // a patch's place is the number of patches before it
    const wanted = tf.reshape(place, [1, length, 1]);
    const isWanted = tf.cast(tf.equal(tf.reshape(restore, [images, 1, length]), wanted), "float32");
    return [
      tf.cast(tf.sum(tf.mul(isWanted, place), 2), "int32"), // [N, L]: the patch at each place
      tf.cast(restore, "int32"),
      tf.cast(tf.greaterEqual(restore, kept), "float32"),
    ];
  });
  const [idsKeep, idsRemoved] = tf.split(order, [kept, length - kept], 1);
  order.dispose();
  return {
    length,
    kept,
    idsKeep: idsKeep as tf.Tensor2D,
    idsRemoved: idsRemoved as tf.Tensor2D,
    idsRestore: idsRestore as tf.Tensor2D,
    mask: mask as tf.Tensor2D,
  };
}

/** Frees the tensors of a masking. */
export function disposeMasking({ idsKeep, idsRemoved, idsRestore, mask }: Masking): void {
  tf.dispose([idsKeep, idsRemoved, idsRestore, mask]);
}
