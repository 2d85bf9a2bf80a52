/** Comparing arrays of floats. */
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";

/** Largest absolute difference; infinite when a value is not finite or the lengths differ. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

function largest(values: ArrayLike<number>): number {
  return largestDifference(values, new Float32Array(values.length));
}

/** Fails when any value is further off than the bound. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number,
  what: string,
): void {
  const difference = largestDifference(actual, expected);
  if (!(difference <= bound)) throw new Error(`${what} is off by ${difference}, more than ${bound}`);
}

/** Fails when any value is further off than the bound times the largest expected value. */
export function assertRelative(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number,
  what: string,
): void {
  assertClose(actual, expected, bound * Math.max(largest(expected), 1e-30), what);
}

/** Gradients of sum(op(inputs) · upstream), and the value. */
export async function valueAndGradients(
  op: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  upstream: tf.Tensor,
): Promise<{ value: Float32Array; gradients: Float32Array[] }> {
  const value = op(...inputs);
  // dy is passed to the tape directly, so that no operation of tfjs needs a gradient of its own.
  const gradients = tf.grads((...args: tf.Tensor[]) => op(...args))(inputs, upstream);
  return { value: await readTensor(value), gradients: await Promise.all(gradients.map(readTensor)) };
}

/** A tensor of seeded normal values. */
export function randomTensor(shape: number[], seed: number): tf.Tensor {
  return tf.randomNormal(shape, 0, 1, "float32", seed);
}

/** Central differences of sum(op(inputs) · upstream) in every value of every input. */
export async function numericGradients(
  op: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  upstream: tf.Tensor,
  step = 1e-2,
): Promise<Float32Array[]> {
  const weights = await readTensor(upstream);
  const evaluate = async (changed: tf.Tensor[]) =>
    (await readTensor(op(...changed))).reduce((sum, value, i) => sum + value * weights[i], 0);
  const results: Float32Array[] = [];
  for (const [which, input] of inputs.entries()) {
    const values = await readTensor(input);
    const gradient = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const at = (offset: number) => {
        const moved = values.slice();
        moved[i] += offset;
        return evaluate(inputs.map((other, j) => j === which ? tf.tensor(moved, input.shape) : other));
      };
      gradient[i] = (await at(step) - await at(-step)) / (2 * step);
    }
    results.push(gradient);
  }
  return results;
}
