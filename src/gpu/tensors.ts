/** Moving values between typed arrays and the device. */
import { tf } from "../deps/tfjs.ts";
import { decodeHalves, isHalf } from "./half.ts";
import { currentWebGpu } from "./runtime.ts";

/** Typed arrays that tensors are made of. */
export type TensorValues = Float32Array | Int32Array;

/**
 * Reads a tensor's values. Costs a wait of about 11 ms on WebGPU whatever the size; reads started together share it.
 * Unlike `tensor.data()` it leaves no copy behind on the host, which an in-place kernel would make stale.
 */
export async function readTensor(tensor: tf.Tensor): Promise<Float32Array> {
  const gpu = currentWebGpu();
  const entry = gpu?.backend.tensorMap.get(tensor.dataId as object);
  if (gpu && entry && !entry.values && entry.resource) {
    const { resource } = entry;
    const bytes = await gpu.guard.allowLarge(() =>
      gpu.backend.getBufferData(resource as Parameters<typeof gpu.backend.getBufferData>[0])
    );
    gpu.guard.check();
    if (isHalf(tensor)) return decodeHalves(new Uint16Array(bytes as ArrayBuffer).subarray(0, tensor.size));
    const values = entry.dtype === "float32"
      ? new Float32Array(bytes)
      : Float32Array.from(new Int32Array(bytes));
    return values.length === tensor.size ? values : values.slice(0, tensor.size);
  }
  const values = await tensor.data();
  return values instanceof Float32Array ? values.slice() : Float32Array.from(values as Int32Array);
}

/** Reads several tensors with one wait. */
export function readTensors(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map(readTensor));
}

/**
 * Overwrites a variable's values from the host.
 * @throws {RangeError} when the number of values differs from the variable's size.
 */
export function writeVariable(variable: tf.Variable, values: Float32Array): void {
  if (values.length !== variable.size) {
    throw new RangeError(`A variable of ${variable.size} values was given ${values.length}`);
  }
  const next = tf.tensor(values, variable.shape, "float32");
  variable.assign(next);
  next.dispose();
}
