/**
 * The choice of a plan by measurement. A kernel that can be dealt out in several ways asks `choosePlan` which to use; what
 * nobody has timed yet gets the first, and waits for `tuneKernels`, which times the others with made-up operands, keeps
 * the fastest, and remembers it for the next run (`tuner_cache.ts`).
 */
import { tf } from "../deps/tfjs.ts";
import type { AdapterReport } from "./adapter.ts";
import { DeviceError } from "./guards.ts";
import { currentWebGpu, type OpenWebGpu, submitPending } from "./runtime.ts";
import { type Stopwatch, type Thoroughness, timeOfRun, timeRuns } from "./stopwatch.ts";
import { cachePath, readAdapterCache, useCache, writeAdapterCache } from "./tuner_cache.ts";

/** A kernel on operands of one shape, which several plans can run. It lives until it is timed: it must hold no tensors. */
export interface Tunable<Plan extends object> {
  /** Names the kernel and the shape, and whatever else the time depends on. */
  readonly key: string;
  /** Plain values, at least one; the first is used until they have been timed. */
  readonly candidates: readonly Plan[];
  /** Makes operands of that shape. */
  operands(): tf.Tensor[];
  /** Records one run on them. */
  run(plan: Plan, operands: readonly tf.Tensor[]): void;
}

/** What a device's kernels have been found to run best with. */
interface Choices {
  /** Plans in use, by key. */
  readonly plans: Map<string, object>;
  /** Plans timed by an earlier run of the program; not used before a kernel of ours still has them. */
  readonly remembered: Map<string, unknown>;
  /** Kernels in use that have not been timed. */
  readonly untimed: Map<string, Tunable<object>>;
  /** Keys with several candidates that were asked for since someone began to listen. */
  asked: Set<string> | null;
}

const choicesOf = new WeakMap<AdapterReport, Choices>();
let enabled = true;

/** Turns tuning off or on; turned off, kernels run by their first plans, and no cache is read or written. */
export function setTuning(tune: boolean): void {
  enabled = tune;
  useCache(tune);
}

/** The plan to use for a kernel now: the fastest as far as it is known, else the first. */
export function choosePlan<Plan extends object>(key: string, describe: () => Tunable<Plan>): Plan {
  const gpu = currentWebGpu();
  if (!enabled || !gpu) return describe().candidates[0];
  const choices = choicesFor(gpu);
  const chosen = choices.plans.get(key);
  if (chosen === undefined) return firstChoice(choices, describe());
  choices.asked?.add(key);
  return chosen as Plan;
}

function choicesFor({ adapter }: OpenWebGpu): Choices {
  let choices = choicesOf.get(adapter);
  if (!choices) {
    choices = { plans: new Map(), remembered: new Map(), untimed: new Map(), asked: null };
    choicesOf.set(adapter, choices);
  }
  return choices;
}

function firstChoice<Plan extends object>(choices: Choices, tunable: Tunable<Plan>): Plan {
  const { key, candidates } = tunable;
  if (candidates.length === 1) return candidates[0];
  choices.asked?.add(key);
  if (recall(choices, tunable)) return choices.plans.get(key) as Plan;
  choices.untimed.set(key, tunable);
  return candidates[0];
}

/** Takes the remembered plan into use, where it is still one of the candidates. */
function recall({ plans, remembered, untimed }: Choices, { key, candidates }: Tunable<object>): boolean {
  const text = JSON.stringify(remembered.get(key));
  const plan = candidates.find((candidate) => JSON.stringify(candidate) === text);
  if (!plan) return false;
  plans.set(key, plan);
  untimed.delete(key);
  return true;
}

/** How to tune. */
export interface TuneOptions {
  /** The file of what is remembered; null for none, by default the user's. */
  readonly path?: string | null;
  /** Ends it after the kernel in progress; the others keep their first plans. */
  readonly signal?: AbortSignal;
  /** Hears how many kernels are about to be timed. */
  readonly onStart?: (kernels: number) => void;
  /** What takes the time; the wall clock by default. */
  readonly time?: Stopwatch;
  /** How thoroughly. */
  readonly thoroughness?: Thoroughness;
}

/** What was tuned. */
export interface TuneReport {
  /** Kernels timed. */
  readonly timed: number;
  /** Those of them that now run by another plan than their first. */
  readonly changed: number;
  /** Seconds that it took. */
  readonly seconds: number;
}

const usual: Thoroughness = { milliseconds: 60, tries: 2 };

/** Times every kernel that was used and not timed yet, unless an earlier run of the program did. */
export async function tuneKernels(options: TuneOptions = {}): Promise<TuneReport> {
  const start = performance.now();
  const gpu = currentWebGpu();
  const result = { timed: 0, changed: 0 };
  if (enabled && gpu) {
    const choices = choicesFor(gpu);
    await remember(gpu, options);
    for (const tunable of [...choices.untimed.values()]) recall(choices, tunable);
    const waiting = [...choices.untimed.values()];
    if (waiting.length > 0) options.onStart?.(waiting.length);
    for (const tunable of waiting) {
      if (options.signal?.aborted) break;
      const plan = await fastestPlan(gpu, tunable, options);
      choices.plans.set(tunable.key, plan);
      choices.untimed.delete(tunable.key);
      result.timed++;
      if (plan !== tunable.candidates[0]) result.changed++;
      await writeAdapterCache(gpu.adapter, "plans", { [tunable.key]: plan }, pathOf(options));
    }
    submitPending(gpu.backend);
    if (result.timed > 0) gpu.guard.trim(); // of the made-up operands
  }
  return { ...result, seconds: (performance.now() - start) / 1000 };
}

/**
 * Tunes the kernels of a whole computation before it is done in earnest, so that all of it runs by the same plans.
 * @param name tells everything that its kernels and their shapes depend on: where they are known by it, nothing is run
 * @param trial runs every kernel once
 */
export async function tuneFor(
  name: string,
  trial: () => void | Promise<void>,
  options: TuneOptions = {},
): Promise<TuneReport> {
  const start = performance.now();
  const gpu = currentWebGpu();
  if (!enabled || !gpu) return { timed: 0, changed: 0, seconds: 0 };
  const choices = choicesFor(gpu);
  const keys = (await remember(gpu, options))[name];
  if (Array.isArray(keys) && keys.every((key) => choices.remembered.has(key))) {
    return { timed: 0, changed: 0, seconds: 0 };
  }
  const asked = new Set<string>();
  choices.asked = asked;
  try {
    await trial();
  } finally {
    choices.asked = null;
  }
  const { timed, changed } = await tuneKernels(options);
  if (!options.signal?.aborted) {
    await writeAdapterCache(gpu.adapter, "computations", { [name]: [...asked] }, pathOf(options));
  }
  return { timed, changed, seconds: (performance.now() - start) / 1000 };
}

/** Reads what earlier runs found; gives the keys of the computations they tuned. */
async function remember(gpu: OpenWebGpu, options: TuneOptions): Promise<Readonly<Record<string, unknown>>> {
  const { plans = {}, computations = {} } = await readAdapterCache(gpu.adapter, pathOf(options));
  const { remembered } = choicesFor(gpu);
  for (const [key, plan] of Object.entries(plans)) remembered.set(key, plan);
  return computations;
}

function pathOf({ path }: TuneOptions): string | null {
  return path === undefined ? cachePath() : path;
}

/** Times the candidates. One that the device refuses is out; where it refuses all, the first stays, to be refused in use. */
async function fastestPlan(
  gpu: OpenWebGpu,
  tunable: Tunable<object>,
  { time = timeRuns, thoroughness = usual }: TuneOptions,
): Promise<object> {
  const operands = tunable.operands();
  let [best] = tunable.candidates;
  let shortest = Infinity;
  try {
    for (const plan of tunable.candidates) {
      const record = () => tunable.run(plan, operands);
      if (!await accepts(gpu, record)) continue;
      const duration = await timeOfRun(record, shortest, thoroughness, time);
      // What is within the uncertainty is no reason to leave the first.
      if (duration < 0.97 * shortest) [best, shortest] = [plan, duration];
    }
  } finally {
    tf.dispose(operands);
  }
  return best;
}

/** Makes one run, which also compiles the kernel, and sees whether the device takes it. */
async function accepts({ backend, device, guard }: OpenWebGpu, record: () => void): Promise<boolean> {
  submitPending(backend);
  const kinds = ["validation", "out-of-memory", "internal"] as const;
  for (const kind of kinds) device.pushErrorScope(kind);
  let recorded = true;
  try {
    tf.tidy(record);
    submitPending(backend);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    recorded = false;
  }
  const errors = [];
  for (const _ of kinds) errors.push(await device.popErrorScope());
  await device.queue.onSubmittedWorkDone();
  guard.check();
  return recorded && errors.every((error) => error === null);
}
