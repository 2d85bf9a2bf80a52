/** Sum of squares of each of many tensors: what the global gradient norm is made of. */
import { tf } from "../../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import { type Storage, storageOf } from "../../gpu/operand.ts";
import { type Part, partOf, partsOf } from "../../gpu/parts.ts";
import { kernelTarget } from "../../gpu/target.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { bindings, declareQuads, loadQuads, repeat } from "../templates/wgsl.ts";

type Body = (tensors: readonly tf.Tensor[]) => tf.Tensor1D;

const bodies: Bodies<Body> = { name: "sumOfSquares", composed: composedBody, kernel: kernelBody };

/** Partial sums whose total is the sum of squares of all the tensors' values; how many there are is the body's affair. */
export function partialSumsOfSquares(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return chooseBody(bodies)(tensors);
}

function composedBody(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.tidy(() => tf.stack(tensors.map((tensor) => tf.sum(tf.square(tensor)))) as tf.Tensor1D);
}

/** Threads of a workgroup, which makes one partial sum, and how many items each of them adds up. */
interface SquaresPlan {
  readonly threads: number;
  readonly perThread: number;
}

/** On software adapters a workgroup is one subgroup, which adds up its lanes without a barrier. */
function planForDevice(): SquaresPlan {
  const target = kernelTarget();
  return target?.family === "lanes"
    ? { threads: target.lanes, perThread: 128 }
    : { threads: 128, perThread: 64 };
}

/** One launch: a part of a tensor, its items (quads where the tensor's size allows), and its place in the partials. */
interface SquaresLaunch {
  readonly tensor: tf.Tensor;
  readonly part: Part;
  readonly items: number;
  readonly groups: number;
  readonly offset: number;
}

/** Traffic: 4 bytes read per value; two operations. Every partial sum is made in a fixed order. */
function kernelBody(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  const plan = planForDevice();
  const launches: SquaresLaunch[] = [];
  let total = 0;
  for (const tensor of tensors) {
    for (const part of partsOf(tensor.size)) {
      const items = tensor.size % 4 === 0 ? part.count / 4 : part.count;
      const groups = Math.ceil(items / (plan.threads * plan.perThread));
      launches.push({ tensor, part, items, groups, offset: total });
      total += groups;
    }
  }
  let partials: tf.Tensor | null = null;
  for (const { tensor, part, items, groups, offset } of launches) {
    const input = partOf(tensor, part);
    const source = squaresSource(plan, tensor.size % 4 === 0 ? storageOf(input) : null);
    const [x, y] = coverThreads(groups, 1);
    const made: tf.Tensor[] = launch(source, {
      inputs: [input],
      ...(partials === null ? { outputs: [[total]] } : { inPlace: [partials] }),
      uniform: new Uint32Array([items, offset, groups, 0]).buffer,
      workgroups: [x, y],
    });
    partials ??= made[0];
  }
  return (partials ?? tf.zeros([1])) as tf.Tensor1D;
}

/** @param storage how quads are stored; null for single values, where the size is no multiple of four */
function squaresSource({ threads, perThread }: SquaresPlan, storage: Storage | null): KernelSource {
  const lanes = kernelTarget()?.family === "lanes";
  return {
    name: `squares_${storage ?? "single"}_${threads}_${perThread}_${lanes}`,
    code: () => `
${
      bindings(
        storage ? declareQuads("x", storage) : "var<storage, read> x_values: array<f32>;",
        "var<storage, read_write> partials: array<f32>;",
        "var<uniform> sizes: vec4u; // items, first partial, partials",
      )
    }
${storage ? loadQuads("x", storage) : "fn x(i: u32) -> vec4f { return vec4f(x_values[i], 0.0, 0.0, 0.0); }"}
${lanes ? "" : `var<workgroup> totals: array<f32, ${threads}>;`}
@compute @workgroup_size(${threads})
fn main(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let group = id.x + id.y * groups.x;
  var total = 0.0;
  let end = min(sizes.x, (group + 1u) * ${threads * perThread}u);
  for (var i = group * ${threads * perThread}u + thread; i < end; i += ${threads}u) {
    let value = x(i);
    total += dot(value, value);
  }
${lanes ? sumOverLanes(threads) : sumOverThreads(threads)}
  if (thread == 0u && group < sizes.z) { partials[sizes.y + group] = total; }
}`,
  };
}

function sumOverLanes(lanes: number): string {
  return repeat(Math.log2(lanes), (i) => `  total += subgroupShuffleXor(total, ${1 << i}u);`);
}

function sumOverThreads(threads: number): string {
  return `  totals[thread] = total;
${
    repeat(Math.log2(threads), (i) => {
      const half = threads >> (i + 1);
      return `  workgroupBarrier();
  if (thread < ${half}u) { totals[thread] += totals[thread + ${half}u]; }`;
    })
  }
  total = totals[0];`;
}
