/** Running sums over micro-batches. */
import { tf } from "../../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import { type Storage, storageOf } from "../../gpu/operand.ts";
import { partOf, partsOf } from "../../gpu/parts.ts";
import { currentWebGpu } from "../../gpu/runtime.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { bindings, declareQuads, loadQuads } from "../templates/wgsl.ts";

type Body = (sum: tf.Tensor, term: tf.Tensor) => tf.Tensor;

const bodies: Bodies<Body> = { name: "accumulate", composed: tf.add, kernel: kernelBody };

/**
 * Adds to a running sum, and takes both tensors over: the caller uses only what is returned, which may be `sum` itself.
 * @param sum a tensor that nobody else holds
 * @param term of the same shape
 */
export function accumulate(sum: tf.Tensor, term: tf.Tensor): tf.Tensor {
  const next = chooseBody(bodies)(sum, term);
  term.dispose();
  if (next !== sum) sum.dispose();
  return next;
}

const threads = 64;

/** Traffic: 8 bytes read and 4 written per value; one operation. */
function kernelBody(sum: tf.Tensor, term: tf.Tensor): tf.Tensor {
  // A tensor of the same values under another shape would see its values change.
  if ((currentWebGpu()?.backend.refCount(sum.dataId as object) ?? 0) > 1) return tf.add(sum, term);
  const wide = sum.size % 4 === 0;
  for (const part of partsOf(sum.size)) {
    const operands = [term, sum].map((tensor) => partOf(tensor, part));
    const items = wide ? part.count / 4 : part.count;
    launch(source(wide ? storageOf(operands[0]) : null), {
      inputs: operands[0].texture ? operands : operands.slice(0, 1),
      inPlace: [{ tensor: sum, texture: false, ...part }],
      uniform: new Uint32Array([items, 0, 0, 0]).buffer,
      workgroups: coverThreads(items, threads),
    });
  }
  return sum;
}

/** @param storage how quads are read; null for single values, where the size is no multiple of four */
function source(storage: Storage | null): KernelSource {
  const item = storage ? "vec4f" : "f32";
  const declare = (name: string) =>
    storage ? declareQuads(name, storage) : `var<storage, read> ${name}_quads: array<f32>;`;
  const load = (name: string) =>
    storage ? loadQuads(name, storage) : `fn ${name}(i: u32) -> f32 { return ${name}_quads[i]; }`;
  const textures = storage === "texture";
  return {
    name: `accumulate_${storage ?? "single"}`,
    code: () => `
${
      bindings(
        declare("term"),
        ...(textures ? [declare("sum")] : []),
        `var<storage, read_write> next: array<${item}>;`,
        "var<uniform> sizes: vec4u; // items",
      )
    }
${load("term")}
${textures ? load("sum") : `fn sum(i: u32) -> ${item} { return next[i]; }`}
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i < sizes.x) { next[i] = sum(i) + term(i); }
}`,
  };
}
