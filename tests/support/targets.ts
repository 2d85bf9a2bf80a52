/** Kernel targets that every device can be asked to serve, and tensors in half precision. */
import type { tf } from "../../src/deps/tfjs.ts";
import { coverThreads, launch } from "../../src/gpu/kernel.ts";
import { kernelTarget, type Target, withTarget } from "../../src/gpu/target.ts";
import { testOnWebGpu } from "./backends.ts";

/** The device's own target, and the family of GPUs with and without subgroups. */
export const kernelTargets: readonly { name: string; changes: Partial<Target> }[] = [
  { name: "own target", changes: {} },
  { name: "tiles", changes: { family: "tiles" } },
  { name: "tiles without subgroups", changes: { family: "tiles", lanes: 1 } },
];

/** Registers a test on WebGPU for each of these targets; `record` runs what is recorded for the target. */
export function testOnTargets(
  name: string,
  test: (record: <Result>(work: () => Result) => Result) => Promise<void>,
): void {
  for (const target of kernelTargets) {
    testOnWebGpu(`${name} (${target.name})`, () => test((work) => withTarget(target.changes, work)));
  }
}

/** Whether the open device has half precision; what does not is tested without. */
export function halfAvailable(): boolean {
  return kernelTarget()?.half ?? false;
}

/** The values in half precision. */
export function toHalf(tensor: tf.Tensor): tf.Tensor {
  const quads = Math.ceil(tensor.size / 4);
  const [x, y] = coverThreads(quads, 64);
  return launch({
    name: `test_to_half_${quads}_${x}`,
    code: () => `
@group(0) @binding(0) var<storage, read> values: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> halves: array<vec4<f16>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * ${x * 64}u;
  if (i < ${quads}u) { halves[i] = vec4<f16>(values[i]); }
}`,
  }, { inputs: [tensor], outputs: [{ shape: tensor.shape, half: true }], workgroups: [x, y] })[0];
}
