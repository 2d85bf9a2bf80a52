/**
 * The start-up test of our kernels: whether this device computes with them what the operations' definitions say. A driver
 * that gets one wrong, or refuses it, costs speed and not correctness: the operation is composed from then on.
 */
import { tf } from "../../deps/tfjs.ts";
import type { AdapterReport } from "../../gpu/adapter.ts";
import { currentWebGpu, type OpenWebGpu, submitPending } from "../../gpu/runtime.ts";
import { kernelTarget } from "../../gpu/target.ts";
import { readTensors } from "../../gpu/tensors.ts";
import { cachePath, readAdapterCache, writeAdapterCache } from "../../gpu/tuner_cache.ts";
import { messageOf } from "../../util/errors.ts";
import type { KernelCase } from "./kernel_case.ts";
import { kernelCases } from "./kernel_cases.ts";
import { switchOffKernel, switchOnKernels, withBody } from "../operation.ts";

/** How one operation's kernel came off. */
export interface KernelCheck {
  /** Name of the operation. */
  readonly kernel: string;
  /** Whether it was tried in half precision. */
  readonly half: boolean;
  /** Whether kernel and definition agree. */
  readonly ok: boolean;
  /** By how much they differ, or what went wrong. */
  readonly detail: string;
}

/** Largest difference between an operation's bodies, relative to the largest value of a result. */
const bounds = {
  /** Sums of some hundred products in another order, and functions like exp with the precision that WGSL allows. */
  single: 1e-4,
  /** Half precision has 11 bits, and results are made of values that were rounded to it. */
  half: 2e-2,
};

/**
 * Tries every operation's kernel on the open device, and switches those off that disagree with their definitions, throw, or
 * make the device report an error. Where kernels must be compiled first it takes some seconds. Without a WebGPU device there
 * is nothing to try.
 * @param cases what to try; all but those in half precision where the device has none
 */
export async function checkKernels(cases: readonly KernelCase[] = kernelCases()): Promise<KernelCheck[]> {
  const gpu = currentWebGpu();
  const target = kernelTarget();
  if (!gpu || !target) return [];
  switchOnKernels();
  const checks: KernelCheck[] = [];
  for (const one of cases) if (!one.half || target.half) checks.push(await checkCase(gpu, one));
  switchOff(checks);
  return checks;
}

function switchOff(checks: readonly KernelCheck[]): void {
  for (const { kernel, ok } of checks) if (!ok) switchOffKernel(kernel);
}

/** Tries one case, and tells what is wrong with it. */
async function checkCase(gpu: OpenWebGpu, one: KernelCase): Promise<KernelCheck> {
  const { kernel, half = false } = one;
  try {
    const expected = await definitionOf(one);
    const actual = await kernelNumbers(gpu, one);
    const worst = Math.max(...expected.map((values, i) => relativeDifference(actual[i], values)));
    const detail = `largest difference ${worst.toExponential(1)} of the largest value`;
    return { kernel, half, ok: worst <= bounds[half ? "half" : "single"], detail };
  } catch (error) {
    gpu.guard.check(); // a device that is lost or out of memory is no kernel's fault
    return { kernel, half, ok: false, detail: messageOf(error).trim().split("\n")[0] };
  }
}

/** Errors that a kernel can make a device report; what else may happen to a device is nobody's fault. */
const scopes = ["validation", "internal"] as const;

/**
 * What a case comes to by its definition, on tfjs's CPU backend: it knows nothing of the device, whose driver may take
 * minutes to compile the shaders of tfjs.
 */
async function definitionOf({ run }: KernelCase): Promise<Float32Array[]> {
  const own = tf.getBackend();
  await tf.setBackend("cpu");
  try {
    const tensors = tf.tidy(() => withBody("composed", run));
    const values = tensors.map((tensor) => Float32Array.from(tensor.dataSync()));
    tf.dispose(tensors);
    return values;
  } finally {
    await tf.setBackend(own);
  }
}

/** Runs a case with its kernels and reads what it gives. Throws what the device reports of it. */
async function kernelNumbers({ device, backend }: OpenWebGpu, { run }: KernelCase): Promise<Float32Array[]> {
  submitPending(backend);
  for (const filter of scopes) device.pushErrorScope(filter);
  let tensors: tf.Tensor[] = [];
  let failure: unknown;
  try {
    tensors = tf.tidy(() => withBody("kernel", run));
  } catch (error) {
    failure = error;
  }
  submitPending(backend);
  const reported = await Promise.all(scopes.map(() => device.popErrorScope()));
  try {
    for (const error of reported) if (error) throw new Error(error.message);
    if (failure) throw failure;
    return await readTensors(tensors);
  } finally {
    tf.dispose(tensors);
  }
}

function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  let worst = 0;
  expected.forEach((value, i) => {
    if (Object.is(value, actual[i])) return;
    const difference = Math.abs(actual[i] - value) / largest;
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
  });
  return worst;
}

/** The one sentence for whoever uses the device; null where every kernel agrees. */
export function kernelWarning(checks: readonly KernelCheck[]): string | null {
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return null;
  const names = failed.map((check) => `${kernelName(check)} (${check.detail})`).join(", ");
  return `Switched off on this device, because they do not compute what they should: the kernels of ${names}. ` +
    "Training is correct but slower without them; a newer driver may help, and mae doctor tests again";
}

const section = "self_test";
const agreed = "ok";
const known = new WeakMap<AdapterReport, Map<string, KernelCheck>>();

/** Names an operation and its precision, for people and for the cache. */
export function kernelName({ kernel, half }: { readonly kernel: string; readonly half?: boolean }): string {
  return half ? `${kernel} in f16` : kernel;
}

/**
 * The same once per device: what this process or, by the cache, an earlier one has found out is not tried again.
 * @param half whether kernels are to run in half precision
 * @param options.path the cache's file; null for none
 * @param options.onStart hears that there is something to try, which takes its time
 */
export async function checkKernelsOnce(
  half: boolean,
  { path = cachePath(), onStart = () => {} }: { path?: string | null; onStart?: () => void } = {},
): Promise<readonly KernelCheck[]> {
  const gpu = currentWebGpu();
  if (!gpu) return [];
  const results = known.get(gpu.adapter) ?? await rememberedChecks(gpu.adapter, path);
  known.set(gpu.adapter, results);
  const cases = kernelCases().filter((one) => half || !one.half);
  const untried = cases.filter((one) => !results.has(kernelName(one)));
  if (untried.length > 0) {
    onStart();
    const fresh = await checkKernels(untried);
    for (const check of fresh) results.set(kernelName(check), check);
    await storeChecks(gpu.adapter, fresh, path);
  }
  const all = cases.flatMap((one) => results.get(kernelName(one)) ?? []);
  switchOnKernels();
  switchOff(all);
  return all;
}

/** What the cache holds of the operations that there are. */
async function rememberedChecks(
  adapter: AdapterReport,
  path: string | null,
): Promise<Map<string, KernelCheck>> {
  const stored = (await readAdapterCache(adapter, path))[section] ?? {};
  const checks = new Map<string, KernelCheck>();
  for (const { kernel, half = false } of kernelCases()) {
    const detail = stored[kernelName({ kernel, half })];
    if (typeof detail === "string") {
      checks.set(kernelName({ kernel, half }), { kernel, half, ok: detail === agreed, detail });
    }
  }
  return checks;
}

/** Puts results into the cache, over older ones: what `mae doctor` finds holds for the next run. */
export async function storeChecks(
  adapter: AdapterReport,
  checks: readonly KernelCheck[],
  path: string | null = cachePath(),
): Promise<void> {
  const entries = checks.map((check) => [kernelName(check), check.ok ? agreed : check.detail]);
  await writeAdapterCache(adapter, section, Object.fromEntries(entries), path);
}
