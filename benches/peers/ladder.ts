/** What the rivals that run on Deno share: their arguments, and a batch that fits time and memory. */

/** A configuration as `mae bench` hands it over. */
export interface Shape {
  readonly name: string;
  readonly image: number;
  readonly patch: number;
  readonly channels: 1 | 3 | 4;
  readonly encoder: readonly [width: number, depth: number, heads: number];
  readonly decoder: readonly [width: number, depth: number, heads: number];
  readonly batch: number;
  readonly ratio: number;
}

/** The arguments: the shape, then `--NAME VALUE` pairs. */
export function readArguments(): { shape: Shape; flag: (name: string, otherwise: string) => string } {
  const [shape, ...rest] = Deno.args;
  return {
    shape: JSON.parse(shape),
    flag: (name, otherwise) => rest.includes(`--${name}`) ? rest[rest.indexOf(`--${name}`) + 1] : otherwise,
  };
}

/** A training step of some batch that was made ready. */
export interface Ready {
  /** Makes one step and waits for it. */
  readonly step: () => Promise<void>;
  /** Frees everything. */
  readonly close: () => Promise<void>;
}

/** What the lines say besides times. */
export interface Identity {
  readonly peer: string;
  readonly version: string;
  readonly device: string;
  readonly precision: string;
}

/** How long to measure, and how long the program may take. */
export interface Effort {
  readonly seconds: number;
  readonly limit: number;
}

/**
 * Measures a batch of 1, one of 4, and then the whole batch or as much of it as time and memory allow; prints a line of
 * JSON for the very first step and for each batch. The last line counts, and whatever stops the program later, the first
 * is there.
 */
export async function climb(
  shape: Shape,
  identity: Identity,
  { seconds, limit }: Effort,
  prepare: (batch: number) => Promise<Ready>,
): Promise<void> {
  const start = performance.now();
  const measured: Measured[] = [];
  while (true) {
    const left = limit - (performance.now() - start) / 1000;
    const batch = measured.length === 0 ? 1 : nextBatch(shape.batch, left - seconds, measured);
    if (batch === null) return;
    const say = (millisecondsPerStep: number, first: boolean) => {
      const imagesPerSecond = 1000 * batch / millisecondsPerStep;
      const line = { name: shape.name, ...identity, batch, imagesPerSecond, millisecondsPerStep, first };
      // deno-lint-ignore no-console -- the line is the result
      console.log(JSON.stringify(line));
    };
    const onFirst = (milliseconds: number) => measured.length === 0 && say(milliseconds, true);
    // On the way up one step is enough: time is better spent on the batch that counts.
    const last = batch === shape.batch || measured.length === 2;
    const result = await measure(batch, last ? seconds : 0, prepare, onFirst);
    measured.push(result);
    say(result.millisecondsPerStep, false);
  }
}

/** What one batch took. */
interface Measured {
  readonly batch: number;
  readonly millisecondsPerStep: number;
  /** Of the machine's memory, or 0 where other programs gave back more. */
  readonly bytes: number;
  /** Of the machine's memory when it started. */
  readonly available: number;
}

async function measure(
  batch: number,
  seconds: number,
  prepare: (batch: number) => Promise<Ready>,
  onFirst: (milliseconds: number) => void,
): Promise<Measured> {
  const { available } = Deno.systemMemoryInfo();
  let lowest = available;
  const { step, close } = await prepare(batch);
  const first = performance.now();
  await step(); // compiles
  onFirst(performance.now() - first);
  const times: number[] = [];
  const start = performance.now();
  while (times.length === 0 || performance.now() - start < 1000 * seconds) {
    const before = performance.now();
    await step();
    times.push(performance.now() - before);
    lowest = Math.min(lowest, Deno.systemMemoryInfo().available);
  }
  await close();
  const millisecondsPerStep = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  return { batch, millisecondsPerStep, bytes: Math.max(0, available - lowest), available };
}

/** The next batch to try, or null when there is none. Time and memory are a constant (weights, AdamW) plus a share per image. */
function nextBatch(wanted: number, secondsLeft: number, measured: readonly Measured[]): number | null {
  const last = measured[measured.length - 1];
  const first = measured[0];
  const images = last.batch - first.batch;
  const perImage = (value: (one: Measured) => number) =>
    images === 0 ? value(last) : Math.max(0, value(last) - value(first)) / images;
  const [time, memory] = [perImage((one) => one.millisecondsPerStep), perImage((one) => one.bytes)];
  const timeLeft = 900 * secondsLeft / 2 - last.millisecondsPerStep; // two steps, and some time to compile
  const memoryLeft = 0.6 * last.available - last.bytes;
  // After one image nobody knows what a second one costs; mostly far less than the first.
  const inTime = images === 0
    ? (timeLeft > last.millisecondsPerStep ? 3 : 0)
    : timeLeft / Math.max(time, 1e-3);
  const more = Math.floor(Math.min(inTime, memoryLeft / Math.max(memory, 1)));
  const batch = Math.min(wanted, last.batch + more);
  return batch > last.batch && measured.length < 3 ? batch : null;
}
