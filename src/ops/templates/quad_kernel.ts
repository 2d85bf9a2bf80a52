/** Kernels in which every thread makes one quad (four values side by side) of a result, whatever the device. */
import type { tf } from "../../deps/tfjs.ts";
import { coverThreads, launch } from "../../gpu/kernel.ts";
import { operandOf, storageOf } from "../../gpu/operand.ts";
import { bindings, declareQuads, loadQuads } from "./wgsl.ts";

/** Such a kernel and its tensors. */
export interface QuadKernel {
  /** Tells everything that the code depends on, but for where the inputs are stored. */
  readonly name: string;
  /** Tensors read in quads: `name(i)` in the code is quad i of the tensor `name`. */
  readonly quads: Readonly<Record<string, tf.Tensor>>;
  /** Those of `quads` of which only a small part is read: to copy them into textures would cost more than it saves. */
  readonly sparse?: readonly string[];
  /** Tensors read value by value, as arrays. */
  readonly values?: Readonly<
    Record<string, { readonly type: "i32" | "u32" | "f32"; readonly tensor: tf.Tensor }>
  >;
  /** Tensors to make, as arrays of quads under their names; every size is a multiple of 4. */
  readonly results: Readonly<Record<string, readonly number[]>>;
  /** Numbers under their names, in `sizes`. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Functions that the code uses. */
  readonly functions?: string;
  /** Threads, one for each quad of the results unless given; the code of thread i. */
  readonly threads?: number;
  /** What thread `i` does. */
  readonly code: string;
}

const threadsPerGroup = 64;

/** Records such a kernel. Traffic: what it reads and writes; there is next to no arithmetic. */
export function launchQuads(kernel: QuadKernel): tf.Tensor[] {
  const { quads, values = {}, results, sizes = {} } = kernel;
  const operands = Object.entries(quads).map(([name, tensor]) => ({
    name,
    operand: kernel.sparse?.includes(name) ? { tensor, texture: false } : operandOf(tensor),
  }));
  const shapes = Object.values(results);
  const made = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1) / 4, 0);
  const threads = kernel.threads ?? made;
  const numbers = [...Object.entries(sizes), ["threads", threads] as const];
  const storages = operands.map(({ operand }) => storageOf(operand));
  const struct = numbers.map(([name]) => `${name}: u32`).join(", ");
  const code = () => `
struct Sizes { ${struct} }
${
    bindings(
      ...operands.map(({ name }, i) => declareQuads(name, storages[i])),
      ...Object.entries(values).map(([name, { type }]) => `var<storage, read> ${name}: array<${type}>;`),
      ...Object.keys(results).map((name) => `var<storage, read_write> ${name}: array<vec4f>;`),
      "var<uniform> sizes: Sizes;",
    )
  }
${operands.map(({ name }, i) => loadQuads(name, storages[i])).join("\n")}
${kernel.functions ?? ""}
@compute @workgroup_size(${threadsPerGroup})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threadsPerGroup}u;
  if (i >= sizes.threads) { return; }
${kernel.code}
}`;
  const uniform = new Uint32Array(Math.ceil(numbers.length / 4) * 4);
  uniform.set(numbers.map(([, value]) => value));
  return launch({ name: [kernel.name, ...storages].join("_"), code }, {
    inputs: [...operands.map(({ operand }) => operand), ...Object.values(values).map(({ tensor }) => tensor)],
    outputs: shapes,
    uniform: uniform.buffer,
    workgroups: coverThreads(threads, threadsPerGroup),
  });
}
