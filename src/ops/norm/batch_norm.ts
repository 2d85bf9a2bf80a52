/** Batch normalisation of vectors without gain and bias (Ioffe and Szegedy 2015), as PyTorch's `BatchNorm1d`. */
import { tf } from "../../deps/tfjs.ts";
import { differentiable } from "../operation.ts";

/** Mean and variance of every column. */
export interface ColumnStatistics {
  /** [D] */
  readonly mean: tf.Tensor;
  /** [D] */
  readonly variance: tf.Tensor;
}

/**
 * (x − mean) / √(variance + eps) over the rows of a batch, with the biased variance; differentiable in x. Composed of
 * tfjs's operations on every backend: it is next to nothing beside the linear layer that follows.
 * @param x [N, D]
 * @param observe is given the batch's mean and unbiased variance, to copy from
 * @returns [N, D]
 * @throws {RangeError} when the batch has fewer than two rows
 */
export function normalizeBatch(
  x: tf.Tensor,
  eps: number,
  observe: (statistics: ColumnStatistics) => void = () => {},
): tf.Tensor2D {
  const rows = x.shape[0];
  if (x.rank !== 2 || rows < 2) {
    throw new RangeError(`Batch normalisation needs two rows or more, [N, D], not [${x.shape}]`);
  }
  return differentiable<tf.Tensor2D>([x], () => {
    const mean = tf.mean(x, 0);
    const centred = tf.sub(x, mean);
    const variance = tf.mean(tf.square(centred), 0);
    observe({ mean, variance: tf.mul(variance, rows / (rows - 1)) });
    const inverse = tf.rsqrt(tf.add(variance, eps)); // [D]
    const normalized = tf.mul(centred, inverse);
    return {
      value: normalized,
      saved: [normalized, inverse],
      gradients: (dy, [normalized, inverse]) => {
        const along = tf.mul(normalized, tf.mean(tf.mul(dy, normalized), 0));
        return [tf.mul(inverse, tf.sub(tf.sub(dy, tf.mean(dy, 0)), along))];
      },
    };
  });
}

/**
 * The same with given statistics, as in evaluation; differentiable in x.
 * @param x [N, D]
 * @returns [N, D]
 */
export function normalizeColumns(
  x: tf.Tensor,
  { mean, variance }: ColumnStatistics,
  eps: number,
): tf.Tensor2D {
  return differentiable<tf.Tensor2D>([x], () => {
    const inverse = tf.rsqrt(tf.add(variance, eps));
    return {
      value: tf.mul(tf.sub(x, mean), inverse),
      saved: [inverse],
      gradients: (dy, [inverse]) => [tf.mul(dy, inverse)],
    };
  });
}
