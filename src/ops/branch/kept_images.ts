/**
 * The images of a batch that a branch works on, where drop path (stochastic depth, Huang et al. 2016) leaves some out. What
 * is left out costs nothing: the branch's kernels see the other images only, side by side.
 */
import { tf } from "../../deps/tfjs.ts";
import { copyValues, type ValueCopy } from "../../gpu/copies.ts";
import { allocateOutput } from "../../gpu/kernel.ts";

/** What drop path leaves of a batch for one branch. */
export interface KeptImages {
  /** Numbers of the images that go through the branch, rising from 0 on. */
  readonly images: readonly number[];
  /** What their branch is multiplied with before the residual sum. */
  readonly scale: number;
}

/**
 * Refuses what is no part of a batch of `count` images.
 * @throws {RangeError} when images are named that are not there, or not in order
 */
export function checkKept({ images }: KeptImages, count: number): void {
  const inOrder = images.every((image, i) =>
    Number.isInteger(image) && image > (i === 0 ? -1 : images[i - 1])
  );
  if (inOrder && (images.at(-1) ?? 0) < count) return;
  throw new RangeError(`Images of a branch must rise within 0 to ${count - 1}, not ${images.join(", ")}`);
}

/** What each image's branch is multiplied with, to multiply [N, …] of that rank with: 0 where it is left out. */
export function branchScales({ images, scale }: KeptImages, count: number, rank: number): tf.Tensor {
  const scales = new Float32Array(count);
  for (const image of images) scales[image] = scale;
  return tf.tensor(scales, [count, ...Array<number>(rank - 1).fill(1)]);
}

/**
 * Those images side by side, in a buffer with room for all; the tensor itself where they are all.
 * @param x [N, …], in single precision
 * @returns [K, …]
 */
export function takeImages(x: tf.Tensor, kept: KeptImages | undefined): tf.Tensor {
  if (!kept || isAll(kept, x)) return x;
  const taken = allocateOutput({ shape: [kept.images.length, ...x.shape.slice(1)], room: x.size });
  const values = x.size / x.shape[0];
  copyValues(
    runsOf(kept.images).map(({ first, place, length }) => ({
      from: x,
      to: taken,
      fromFirst: first * values,
      toFirst: place * values,
      count: length * values,
    })),
  );
  return taken;
}

/**
 * The batch with those images in place of its own; just those where they are all.
 * @param taken [K, …] in any rank, in single precision
 * @param batch [N, …], in single precision
 * @returns [N, …]
 */
export function putImages(taken: tf.Tensor, batch: tf.Tensor, kept: KeptImages | undefined): tf.Tensor {
  if (!kept || isAll(kept, batch)) return tf.reshape(taken, batch.shape);
  const all = allocateOutput(batch.shape);
  const values = batch.size / batch.shape[0];
  const copy = (from: tf.Tensor, read: number, written: number, length: number): ValueCopy => ({
    from,
    to: all,
    fromFirst: read * values,
    toFirst: written * values,
    count: length * values,
  });
  copyValues([
    ...runsOf(kept.images).map(({ first, place, length }) => copy(taken, place, first, length)),
    ...runsOf(othersThan(kept, batch)).map(({ first, length }) => copy(batch, first, first, length)),
  ]);
  return all;
}

function isAll({ images }: KeptImages, batch: tf.Tensor): boolean {
  return images.length === batch.shape[0];
}

function othersThan({ images }: KeptImages, batch: tf.Tensor): number[] {
  const own = new Set(images);
  return Array.from({ length: batch.shape[0] }, (_, image) => image).filter((image) => !own.has(image));
}

/** Images that follow each other: the first, its place in the list, and how many. */
interface Run {
  readonly first: number;
  readonly place: number;
  length: number;
}

function runsOf(images: readonly number[]): Run[] {
  const runs: Run[] = [];
  images.forEach((image, place) => {
    const run = runs.at(-1);
    if (run && run.first + run.length === image) run.length++;
    else runs.push({ first: image, place, length: 1 });
  });
  return runs;
}
