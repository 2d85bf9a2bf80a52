/** `mae bench`: what is measured, in order. */
import type { AdapterReport } from "../gpu/adapter.ts";
import { setTuning } from "../gpu/tuner.ts";
import { InputError, RunError } from "../util/errors.ts";
import type { BenchConfig } from "./configurations.ts";
import { measureKernels, measureStep, onFreshRuntime } from "./measure.ts";
import { measurePeaks, type Peaks } from "./peaks.ts";
import { peerProducts, Rivals } from "./peers.ts";
import {
  type BenchReport,
  type ConfigReport,
  type KernelReport,
  type Machine,
  reportVersion,
  type StepReport,
} from "./report.ts";

/** Parts of the benchmark, in the order in which they are measured. */
export const benchParts = ["steps", "finetune", "features", "kernels"] as const;
/** Name of a part. */
export type BenchPart = typeof benchParts[number];

/** What to measure. */
export interface BenchOptions {
  /** Seconds of a measurement, about. */
  readonly seconds: number;
  /** Which parts. */
  readonly parts: readonly BenchPart[];
  /** For which configurations. */
  readonly configs: readonly BenchConfig[];
  /** Whether rivals do the same. */
  readonly peers: boolean;
  /** Whether kernels run by the plans that are fastest here (default), or by their first. */
  readonly tune?: boolean;
  /** The version of this program. */
  readonly version: string;
}

/** Hears of results as they come. */
export interface BenchListener {
  /** What is being measured now, and which part of it. */
  onProgress?(what: string, detail?: string): void;
  /** The machine is known, before anything else. */
  onMachine?(machine: Machine): void;
  /** A configuration is done. */
  onConfig?(report: ConfigReport): void;
}

/**
 * Measures everything, one thing after the other.
 *
 * @throws {InputError} when half precision is asked for and the device has none
 * @throws {RunError} where there is no WebGPU adapter, or the device fails
 */
export async function runBench(options: BenchOptions, listener: BenchListener = {}): Promise<BenchReport> {
  setTuning(options.tune ?? true);
  const date = new Date().toISOString();
  listener.onProgress?.("the machine");
  const machine = await measureMachine(options);
  listener.onMachine?.(machine);
  const halves = options.configs.find(({ precision }) => precision === "f16");
  if (halves && machine.peaks.f16 === null) {
    throw new InputError(
      `Precision f16 (${halves.name}) needs a GPU with shader-f16, which this device lacks; use f32`,
    );
  }
  const configurations: ConfigReport[] = [];
  const rivals = options.peers ? new Rivals(options.seconds) : null;
  for (const config of options.configs) {
    const name = config.precision === "f32" ? config.name : `${config.name} in ${config.precision}`;
    const found = await measureConfig(
      config,
      machine.peaks,
      options,
      rivals,
      (what, detail) => listener.onProgress?.(`${name}: ${what}`, detail),
    );
    const report = besideF32(found, configurations);
    configurations.push(report);
    listener.onConfig?.(report);
  }
  return { version: reportVersion, date, seconds: options.seconds, machine, configurations };
}

function measureMachine({ seconds, version }: BenchOptions): Promise<Machine> {
  return onFreshRuntime(async (runtime) => ({
    mae: version,
    deno: Deno.version.deno,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cores: navigator.hardwareConcurrency,
    adapter: known(runtime.adapter),
    peaks: await measurePeaks(runtime, seconds / 5),
  }));
}

function known(adapter: AdapterReport | null): AdapterReport {
  if (adapter === null) throw new RunError("The WebGPU adapter says nothing of itself");
  return adapter;
}

/** What is measured as a whole: its part, its fields in the report, and what progress calls it. */
const wholes = [
  { work: "pretrain", part: "steps", field: "step", peers: "peers", words: "whole training steps" },
  {
    work: "finetune",
    part: "finetune",
    field: "finetune",
    peers: "finetunePeers",
    words: "fine-tuning steps",
  },
  { work: "features", part: "features", field: "features", peers: "featuresPeers", words: "features" },
] as const;

/** In half precision, with its rates over those of the same configuration in single precision, if it is among the others. */
export function besideF32(report: ConfigReport, others: readonly ConfigReport[]): ConfigReport {
  const { name, precision, remat, batch } = report;
  const single = others.find((other) =>
    other.name === name && other.precision === "f32" && other.remat === remat && other.batch === batch
  );
  if (precision === "f32" || !single) return report;
  const compared: Partial<Record<typeof wholes[number]["field"], StepReport>> = {};
  for (const { field } of wholes) {
    const [half, full] = [report[field], single[field]];
    if (half && full) compared[field] = { ...half, overF32: half.imagesPerSecond / full.imagesPerSecond };
  }
  return { ...report, ...compared };
}

async function measureConfig(
  config: BenchConfig,
  peaks: Peaks,
  options: BenchOptions,
  rivals: Rivals | null,
  onProgress: (what: string, detail?: string) => void,
): Promise<ConfigReport> {
  const { parts, seconds } = options;
  const { name, batch, maskRatio, model, precision, remat } = config;
  const { imageSize, patchSize, channels, encoder, decoder } = model;
  const report: { -readonly [Key in keyof ConfigReport]: ConfigReport[Key] } = {
    name,
    batch,
    imageSize,
    patchSize,
    channels,
    encoder,
    decoder,
    maskRatio,
    precision,
    remat,
  };
  for (const { work, part, field, words } of wholes) {
    if (!parts.includes(part)) continue;
    onProgress(words);
    report[field] = await measureStep(work, config, peaks, seconds);
  }
  if (parts.includes("kernels")) {
    const kernels = await measureKernels(config, peaks, seconds, (kernel) => onProgress("kernels", kernel));
    if (rivals) onProgress("products by PyTorch");
    report.kernels = rivals ? await withPeerRates(kernels, seconds) : kernels;
  }
  for (const { work, field, peers, words } of wholes) {
    const ours = report[field]?.imagesPerSecond;
    if (rivals === null || ours === undefined) continue;
    report[peers] = await rivals.measure(work, config, ours, (peer) => onProgress(`${words} by ${peer}`));
  }
  return report;
}

/** Adds PyTorch's rate to the products of linear layers, x Wᵀ. */
async function withPeerRates(kernels: readonly KernelReport[], seconds: number): Promise<KernelReport[]> {
  const isForward = ({ name }: KernelReport) => name.startsWith("product NT");
  const sizes = new Set(kernels.filter(isForward).map((kernel) => kernel.sizes));
  const { rates } = await peerProducts([...sizes], seconds);
  return kernels.map((kernel) => {
    const peerRate = isForward(kernel) ? rates.get(kernel.sizes) : undefined;
    return peerRate === undefined ? kernel : { ...kernel, peerRate };
  });
}
