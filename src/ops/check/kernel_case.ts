/** A small run of an operation, for trying its kernel on a device. */
import { tf } from "../../deps/tfjs.ts";
import { Random } from "../../util/random.ts";

/** An operation on fixed values. */
export interface KernelCase {
  /** The name in the operation's `Bodies`. */
  readonly kernel: string;
  /** Whether it is in half precision, which not every device has. */
  readonly half?: boolean;
  /** Records the operation, and its way back where it has one; the results and the gradients are to be compared. */
  readonly run: () => tf.Tensor[];
}

/** Normal values that depend on the seed. */
export function values(seed: number, ...shape: number[]): tf.Tensor {
  const random = new Random(seed);
  const data = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.normal());
  return tf.tensor(data, shape);
}

/** An operation on tensors. */
export type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;

/** The value and the gradient of each input, for an upstream gradient of fixed values. */
export function bothWays(operation: Operation, ...inputs: tf.Tensor[]): tf.Tensor[] {
  const value = operation(...inputs);
  return [value, ...tf.grads(operation)(inputs, values(99, ...value.shape))];
}
