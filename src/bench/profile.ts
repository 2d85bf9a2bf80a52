/**
 * The time of every single dispatch, with its name. Each dispatch gets a compute pass of its own, with time stamps at
 * both ends; where the device has none or they make no sense, there are no times.
 */
import { tf } from "../deps/tfjs.ts";
import { currentWebGpu, type OpenWebGpu, type Runtime } from "../gpu/runtime.ts";
import { kernelTarget } from "../gpu/target.ts";
import { arithmetic } from "./peaks.ts";

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

/** Some work, timed in both ways at once. */
export interface TimedTwice {
  /** By the clock: recording, the work, and noticing its end, which takes up to 20 ms more. */
  readonly milliseconds: number;
  /** By the device's time stamps. */
  readonly ticks: number;
}

/** Work for the length of a tick takes at least this, so that noticing its end is small beside it. */
const shortestTicks = 150; // ms

/** How many times as long the second kernel takes. */
const longer = 4;

/**
 * Nanoseconds per tick of the device's time stamps; WebGPU says 1, but Deno hands on the driver's own ticks. Found by
 * timing a short and a long kernel, each by stamps and clock in the same run, so that other programs slow both alike.
 * Null where there are no stamps, or where they do not tell the long kernel from the short one in three tries.
 */
export async function timestampPeriod(runtime: Runtime): Promise<number | null> {
  const target = kernelTarget();
  if (target === null || !runtime.adapter?.features.includes("timestamp-query")) return null;
  const short = arithmetic(target, "f32").run;
  const long = arithmetic(target, "f32", undefined, longer).run;
  const timeTwice = async (run: () => void, runs: number): Promise<TimedTwice> => {
    const start = performance.now();
    const { times, end } = await dispatchTimes(runtime, 1e6, () => {
      for (let i = 0; i < runs; i++) run();
    });
    const ticks = times.reduce((sum, time) => sum + time.milliseconds, 0);
    return { milliseconds: end - start, ticks };
  };
  await timeTwice(long, 1); // compiles
  await timeTwice(short, 1);
  let runs = 1;
  let once = await timeTwice(short, runs);
  while (once.milliseconds < shortestTicks && runs < 1024) once = await timeTwice(short, runs *= 2);
  for (let attempt = 0; attempt < 3; attempt++) {
    const period = periodFrom(once, await timeTwice(long, runs));
    if (period !== null) return period;
    once = await timeTwice(short, runs);
  }
  return null;
}

/** Ticks whose length is less than this factor from a nanosecond are nanoseconds: clocks are not more exact. */
const mostDisagreement = 1.3;

/**
 * Nanoseconds per tick, from kernels of which the second makes four times the work; null when their ticks do not grow with
 * it, or not as their milliseconds do.
 */
export function periodFrom(short: TimedTwice, long: TimedTwice): number | null {
  const growth = long.ticks / short.ticks;
  // Milliseconds are those of the ticks, and some more.
  const [period, upper] = [
    1e6 * (long.milliseconds - short.milliseconds) / (long.ticks - short.ticks),
    1e6 * long.milliseconds / long.ticks,
  ];
  const makesSense = growth > longer / 2 && growth < longer * 2 && period > upper / 2 && period < upper * 1.1;
  if (!makesSense) return null;
  return period < mostDisagreement && period > 1 / mostDisagreement ? 1 : period;
}
