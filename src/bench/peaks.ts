/** What the machine can do at most: multiply-adds in registers, and bytes through kernels that only copy. */
import { tf } from "../deps/tfjs.ts";
import { type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, storageOf } from "../gpu/operand.ts";
import type { Runtime } from "../gpu/runtime.ts";
import { cpuLanes, type Family, kernelTarget, type Target } from "../gpu/target.ts";
import { bindings, declareQuads, loadQuads, repeat } from "../ops/templates/wgsl.ts";
import { type Clock, type Effort, millisecondsPerRun } from "./timing.ts";

/** Measured peaks. */
export interface Peaks {
  /** How kernels are written for this device. */
  readonly family: Family;
  /** 1e9 multiplications and additions per second in single precision. */
  readonly f32: number;
  /** The same in half precision; null where the device has none. */
  readonly f16: number | null;
  /** 1e9 bytes per second, read and written, from buffer to buffer. */
  readonly buffers: number;
  /** The same read through a texture, the copy into the texture included; null where kernels read buffers. */
  readonly textures: number | null;
}

/** The larger of the two bandwidths, which memory-bound kernels are compared with. */
export function bandwidthOf({ buffers, textures }: Peaks): number {
  return Math.max(buffers, textures ?? 0);
}

/** Measures the peaks of the open WebGPU device. `seconds` is for each of the four figures. */
export async function measurePeaks(runtime: Runtime, seconds: number): Promise<Peaks> {
  const target = kernelTarget();
  if (target === null) throw new Error("Peaks are measured on a WebGPU device");
  const clock: Clock = { now: () => performance.now(), settle: () => runtime.settle() };
  const effort = { seconds, tries: 3 };
  return {
    family: target.family,
    f32: await arithmeticRate(clock, target, "f32", effort),
    f16: target.half ? await arithmeticRate(clock, target, "f16", effort) : null,
    buffers: await copyRate(runtime, clock, false, effort),
    textures: target.family === "lanes" ? await copyRate(runtime, clock, true, effort) : null,
  };
}

/** How many sums a thread keeps going at once, and how often the loop is unrolled. No one choice is best everywhere. */
const variants = [
  { chains: 2, unroll: 8 },
  { chains: 4, unroll: 4 },
  { chains: 4, unroll: 8 },
  { chains: 8, unroll: 8 },
] as const;

/** A dispatch of multiply-adds, and how many operations it is. */
export interface ArithmeticRun {
  /** Records it. */
  readonly run: () => void;
  /** Multiplications and additions. */
  readonly operations: number;
}

/** The best of the variants. Every one is first brought to a length that can be timed. */
async function arithmeticRate(
  clock: Clock,
  target: Target,
  format: "f32" | "f16",
  { seconds, tries }: Effort,
): Promise<number> {
  let best = 0;
  for (const variant of variants) {
    const { run, operations } = arithmetic(target, format, variant);
    const effort = { seconds: seconds / variants.length, tries };
    best = Math.max(best, operations / (await millisecondsPerRun(clock, run, effort)) / 1e6);
  }
  return best;
}

/** Multiply-adds in registers, `times` as many as usual; nothing is read, and a number per thread is written. */
export function arithmetic(
  { family, lanes, threads }: Target,
  format: "f32" | "f16",
  { chains, unroll }: { chains: number; unroll: number } = variants[2],
  times = 1,
): ArithmeticRun {
  const perGroup = family === "lanes" ? lanes : Math.min(threads, 256);
  const groups = family === "lanes" ? 512 : 4096;
  const turns = times * Math.ceil((family === "lanes" ? 32768 : 8192) / chains / unroll); // some milliseconds
  const source: KernelSource = {
    name: `bench_arithmetic_${format}_${perGroup}_${chains}_${unroll}_${turns}`,
    code: () => `
${bindings("var<storage, read_write> sums: array<f32>;", "var<uniform> factors: vec4f;")}
@compute @workgroup_size(${perGroup})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4<${format}>(${format}(factors.x)); // not known to the compiler
  let term = vec4<${format}>(${format}(factors.y));
${repeat(chains, (c) => `  var sum${c} = vec4<${format}>(${format}(id.x % 64u + ${c}u));`)}
  for (var turn = 0u; turn < ${turns}u; turn++) {
${repeat(unroll, () => repeat(chains, (c) => `    sum${c} = sum${c} * factor + term;`))}
  }
  let total = ${Array.from({ length: chains }, (_, c) => `sum${c}`).join(" + ")};
  sums[id.x] = f32(total.x + total.y + total.z + total.w);
}`,
  };
  return {
    run: () => {
      const uniform = new Float32Array([0.5, 1, 0, 0]).buffer;
      tf.dispose(
        launch(source, { inputs: [], outputs: [[groups * perGroup]], uniform, workgroups: [groups] }),
      );
    },
    operations: groups * perGroup * turns * unroll * chains * 4 * 2,
  };
}

/** Larger than any cache, smaller than the device's limits. */
const mostCopied = 256 * 2 ** 20; // bytes

/** Quads that one workgroup copies. */
const rowQuads = 1024;

/** Copies a tensor, quad by quad. */
async function copyRate(
  runtime: Runtime,
  clock: Clock,
  texture: boolean,
  effort: Effort,
): Promise<number> {
  const limits = runtime.adapter?.limits;
  const limit = Math.min(limits?.maxStorageBufferBindingSize ?? 0, limits?.maxBufferSize ?? 0, mostCopied);
  const rows = Math.min(Math.floor(limit / 16 / rowQuads), limits?.maxTextureDimension2D ?? 0);
  const [from, to] = [tf.zeros([4 * rowQuads * rows]), tf.zeros([4 * rowQuads * rows])];
  try {
    const milliseconds = await millisecondsPerRun(clock, copy(from, to, texture, rows), effort);
    return 8 * from.size / milliseconds / 1e6;
  } finally {
    tf.dispose([from, to]);
    await runtime.settle();
    runtime.trim();
  }
}

function copy(from: tf.Tensor, to: tf.Tensor, texture: boolean, rows: number): () => void {
  const operand = operandOf(from);
  const storage = texture ? storageOf(operand) : "buffer";
  // On software adapters starting a workgroup is dear and a large one is a loop with its state in memory.
  const threads = cpuLanes() ?? 256;
  const source: KernelSource = {
    name: `bench_copy_${storage}_${threads}`,
    code: () => `
${bindings(declareQuads("x", storage), "var<storage, read_write> y: array<vec4f>;")}
${loadQuads("x", storage)}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = group.x * ${rowQuads}u + thread;
  for (var i = first; i < first + ${rowQuads}u; i += ${threads}u) { y[i] = x(i); }
}`,
  };
  const inputs = [texture ? operand : from];
  const workgroups = [rows] as const;
  return () => void launch(source, { inputs, inPlace: [to], workgroups });
}
