/**
 * The time of every single dispatch, with its name. Each dispatch gets a compute pass of its own, with time stamps at
 * both ends; where the device has none or they make no sense, there are no times.
 */
import { tf } from "../deps/tfjs.ts";
import { currentWebGpu, type OpenWebGpu, type Runtime } from "../gpu/runtime.ts";
import { kernelTarget } from "../gpu/target.ts";
import { arithmetic } from "./peaks.ts";
import { millisecondsPerRun } from "./timing.ts";

/** One dispatch. */
export interface DispatchTime {
  /** The name of our kernel, or `tfjs` and the name of its operation. */
  readonly name: string;
  /** How long the device took. */
  readonly milliseconds: number;
}

/**
 * Times every dispatch that `work` records, in order, with nanoseconds per tick from `timestampPeriod`. Copies into
 * textures count with the kernel that reads them.
 *
 * @returns the times, and when (by `performance.now()`) the device had done the work
 * @throws {RunError} when the device fails
 */
export async function dispatchTimes(
  runtime: Runtime,
  period: number,
  work: () => void,
): Promise<{ times: DispatchTime[]; end: number }> {
  const gpu = currentWebGpu();
  if (gpu === null) throw new Error("Dispatches are timed on a WebGPU device");
  const stamps = new TimeStamps(gpu.device);
  try {
    const names = recordNames(gpu, stamps, work);
    await runtime.settle();
    const end = performance.now();
    const ticks = await stamps.read();
    return { times: names.map((name, i) => ({ name, milliseconds: ticks[i] * period / 1e6 })), end };
  } finally {
    stamps.destroy();
  }
}

/** Most queries of one set that WebGPU allows. */
const queriesPerSet = 4096;

/** Pairs of time stamps, as many as are needed. */
class TimeStamps {
  readonly #device: GPUDevice;
  readonly #sets: GPUQuerySet[] = [];
  #pairs = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The next pair: its query set and the index of its first stamp. */
  next(): { querySet: GPUQuerySet; first: number } {
    const first = 2 * this.#pairs++ % queriesPerSet;
    if (first === 0) {
      this.#sets.push(this.#device.createQuerySet({ type: "timestamp", count: queriesPerSet }));
    }
    return { querySet: this.#sets[this.#sets.length - 1], first };
  }

  /** Ticks between the stamps of each pair. */
  async read(): Promise<number[]> {
    const ticks: number[] = [];
    for (const querySet of this.#sets) {
      const pairs = Math.min(queriesPerSet / 2, this.#pairs - ticks.length);
      const stamps = await this.#readSet(querySet, 2 * pairs);
      for (let i = 0; i < pairs; i++) ticks.push(Number(stamps[2 * i + 1] - stamps[2 * i]));
    }
    return ticks;
  }

  async #readSet(querySet: GPUQuerySet, count: number): Promise<BigUint64Array> {
    const size = 8 * count;
    const { COPY_SRC, COPY_DST, QUERY_RESOLVE, MAP_READ } = GPUBufferUsage;
    const resolved = this.#device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    const staging = this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST });
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
      this.#device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      return new BigUint64Array(staging.getMappedRange().slice(0));
    } finally {
      resolved.destroy();
      staging.destroy();
    }
  }

  destroy(): void {
    for (const set of this.#sets) set.destroy();
  }
}

/** Parts of tfjs's backend and engine that are replaced while names are recorded. */
interface Hooks {
  commandEncoder: GPUCommandEncoder | null;
  /** Called before every dispatch is recorded. */
  ensureCommandEncoderReady(): void;
}

/** Runs `work` with stamps around every dispatch, and gives the names in order. */
function recordNames({ backend }: OpenWebGpu, stamps: TimeStamps, work: () => void): string[] {
  const hooks = backend as unknown as Hooks;
  const engine = tf.engine();
  const [ensure, runKernel] = [hooks.ensureCommandEncoderReady, engine.runKernel];
  const names: string[] = [];
  const running: string[] = []; // tfjs operations in progress, which record dispatches without names
  const seen = new WeakSet<GPUCommandEncoder>();
  hooks.ensureCommandEncoderReady = () => {
    ensure.call(backend);
    backend.endComputePassEncoder();
    const encoder = hooks.commandEncoder;
    if (encoder === null || seen.has(encoder)) return;
    seen.add(encoder);
    stampPasses(encoder, stamps, (label) => names.push(running.length > 0 ? `tfjs ${running[0]}` : label));
  };
  engine.runKernel = ((name: string, ...rest: unknown[]) => {
    running.push(name);
    try {
      return (runKernel as (...args: unknown[]) => unknown).call(engine, name, ...rest);
    } finally {
      running.pop();
    }
  }) as typeof engine.runKernel;
  try {
    work();
    return names;
  } finally {
    hooks.ensureCommandEncoderReady = ensure;
    engine.runKernel = runKernel;
  }
}

/** Puts a pair of stamps around each compute pass and the copies into textures before it. */
function stampPasses(encoder: GPUCommandEncoder, stamps: TimeStamps, onPass: (label: string) => void): void {
  const [begin, copy] = [encoder.beginComputePass, encoder.copyBufferToTexture];
  let started: ReturnType<TimeStamps["next"]> | null = null;
  encoder.copyBufferToTexture = (...args) => {
    if (started === null) {
      started = stamps.next();
      const { querySet, first } = started;
      // A copy has no stamps of its own: an empty pass before it takes the first one.
      begin.call(encoder, { timestampWrites: { querySet, beginningOfPassWriteIndex: first } }).end();
    }
    copy.apply(encoder, args);
  };
  encoder.beginComputePass = (descriptor) => {
    const { querySet, first } = started ?? stamps.next();
    const both = started === null ? { beginningOfPassWriteIndex: first } : {};
    started = null;
    const timestampWrites = { querySet, ...both, endOfPassWriteIndex: first + 1 };
    const pass = begin.call(encoder, { ...descriptor, timestampWrites });
    const setPipeline = pass.setPipeline;
    let named = false;
    pass.setPipeline = (pipeline) => {
      if (!named) onPass(pipeline.label);
      named = true;
      setPipeline.call(pass, pipeline);
    };
    return pass;
  };
}

/**
 * Nanoseconds per tick of the device's time stamps, found by timing multiply-adds in both ways; WebGPU says 1, but Deno
 * hands on the driver's own ticks. Null where there are no stamps, or they make no sense in three tries.
 */
export async function timestampPeriod(runtime: Runtime): Promise<number | null> {
  const target = kernelTarget();
  if (target === null || !runtime.adapter?.features.includes("timestamp-query")) return null;
  const { run } = arithmetic(target, "f32");
  const clock = { now: () => performance.now(), settle: () => runtime.settle() };
  const ticksOf = async (runs: number) => {
    const { times } = await dispatchTimes(runtime, 1e6, () => {
      for (let i = 0; i < runs; i++) run();
    });
    return times.reduce((sum, time) => sum + time.milliseconds, 0);
  };
  for (let attempt = 0; attempt < 3; attempt++) {
    const milliseconds = await millisecondsPerRun(clock, run, { seconds: 0.3, tries: 3 });
    const runs = Math.max(1, Math.ceil(20 / milliseconds));
    const period = periodFrom(runs * milliseconds, await ticksOf(runs), await ticksOf(2 * runs));
    if (period !== null) return period;
  }
  return null;
}

/** Largest factor between two ways of timing the same work. */
const mostDisagreement = 1.3;

/**
 * Nanoseconds per tick, from some work's milliseconds by the clock and its ticks, once and twice as much of it. Exactly 1
 * where that is as likely; null when twice the work is not twice the ticks.
 */
export function periodFrom(milliseconds: number, once: number, twice: number): number | null {
  const agrees = (ratio: number) => ratio < mostDisagreement && ratio > 1 / mostDisagreement;
  if (!agrees(twice / once / 2)) return null;
  const period = 1e6 * milliseconds * 3 / (once + twice);
  return agrees(period) ? 1 : period;
}
