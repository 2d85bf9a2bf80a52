/** What `mae bench` finds, in the fields of its JSON; docs/performance.md explains them. */
import type { AdapterReport } from "../gpu/adapter.ts";
import type { TransformerConfig } from "../config/types.ts";
import type { KernelGroup } from "./groups.ts";
import type { Peaks } from "./peaks.ts";

/** Raised when a field changes its meaning or goes away. */
export const reportVersion = 1;

/** Everything that one run of `mae bench` measured. */
export interface BenchReport {
  /** Version of these fields. */
  readonly version: number;
  /** When it started, in UTC. */
  readonly date: string;
  /** Seconds of a measurement, about. */
  readonly seconds: number;
  /** Where it ran. */
  readonly machine: Machine;
  /** What was found for each configuration, in the order asked for. */
  readonly configurations: readonly ConfigReport[];
}

/** Where it ran. */
export interface Machine {
  /** Version of this program. */
  readonly mae: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Operating system and processor family. */
  readonly system: string;
  /** Logical cores. */
  readonly cores: number;
  /** What the adapter says of itself. */
  readonly adapter: AdapterReport;
  /** What it can do at most, as measured. */
  readonly peaks: Peaks;
}

/** What was found for one configuration; a part that was not asked for is missing. */
export interface ConfigReport {
  /** Its name. */
  readonly name: string;
  /** Images per step. */
  readonly batch: number;
  /** Pixels: [height, width]. */
  readonly imageSize: readonly [number, number];
  /** Pixels: [height, width]. */
  readonly patchSize: readonly [number, number];
  /** Values per pixel. */
  readonly channels: number;
  /** The encoder's blocks. */
  readonly encoder: TransformerConfig;
  /** The decoder's blocks. */
  readonly decoder: TransformerConfig;
  /** Share of patches removed. */
  readonly maskRatio: number;
  /** Number format. */
  readonly precision: string;
  /** Whether blocks are computed again on the way back. */
  readonly remat: boolean;
  /** The whole pre-training step. */
  readonly step?: StepReport;
  /** Rivals doing the same pre-training step. */
  readonly peers?: readonly PeerReport[];
  /** The whole fine-tuning step of the encoder with a head. */
  readonly finetune?: StepReport;
  /** Rivals doing the same fine-tuning step. */
  readonly finetunePeers?: readonly PeerReport[];
  /** The encoder on whole images. */
  readonly features?: StepReport;
  /** Rivals making the same features. */
  readonly featuresPeers?: readonly PeerReport[];
  /** Single kernels of a pre-training step. */
  readonly kernels?: readonly KernelReport[];
}

/** A rate of images. */
export interface RateReport {
  /** Images per second. */
  readonly imagesPerSecond: number;
  /** Median milliseconds of a step. */
  readonly millisecondsPerStep: number;
  /** Steps that were timed. */
  readonly steps: number;
  /** Highest number of bytes in GPU buffers and textures. */
  readonly peakBytes: number;
  /** Bytes of main memory that the process holds after the last step; software adapters keep buffers there. */
  readonly residentBytes: number;
}

/** A whole step of training, or the features of a batch. */
export interface StepReport extends RateReport {
  /** Values in all parameters. */
  readonly parameters: number;
  /** Operations of the products and attentions of a step. */
  readonly operations: number;
  /** 1e9 of them per second. */
  readonly gflops: number;
  /** That as a share of the measured peak. */
  readonly share: number;
  /** In half precision, the rate over the one in single precision, where both were measured in this run. */
  readonly overF32?: number;
  /** The time split by kernel; null where the device times no dispatches. */
  readonly split: SplitReport | null;
}

/** The time of a step by kernel; see `splitReport`. */
export interface SplitReport {
  /** Milliseconds of a step as it is, measured beside those with every dispatch timed. */
  readonly millisecondsPerStep: number;
  /** Milliseconds of a step with every dispatch timed. */
  readonly profiledMillisecondsPerStep: number;
  /** Kernels by group, the longest first; `share` is of `millisecondsPerStep`. */
  readonly kernels: readonly (KernelGroup & { readonly share: number })[];
  /** The rest of `millisecondsPerStep`: recording, uploads, waiting; below zero where kernels overlap, or by noise. */
  readonly outside: { readonly milliseconds: number; readonly share: number };
  /** How much equal steps just before and after those differed, as a share of `millisecondsPerStep`. */
  readonly spread: number;
}

/** One kernel at one size. */
export interface KernelReport {
  /** What it does, "product NT, bias, gelu". */
  readonly name: string;
  /** Its sizes, "400 x 768 x 3072"; products are rows x terms x columns. */
  readonly sizes: string;
  /** How often a step runs it. */
  readonly count: number;
  /** Milliseconds of one run. */
  readonly milliseconds: number;
  /** What bounds it. */
  readonly bound: "arithmetic" | "memory";
  /** Operations or bytes of one run. */
  readonly amount: number;
  /** 1e9 operations or bytes per second. */
  readonly rate: number;
  /** The rate as a share of the measured peak. */
  readonly share: number;
  /** The same product by PyTorch, in 1e9 operations per second; only where that was asked for and is there. */
  readonly peerRate?: number;
}

/** A rival's result, or why there is none. */
export interface PeerReport {
  /** `tfjs`, `pytorch` or `jax-js`. */
  readonly peer: string;
  /** Version, device and number format, as the rival says. */
  readonly variant: string;
  /** Images per second; null when there is no result. */
  readonly imagesPerSecond: number | null;
  /** Images per step, fewer than ours where time or memory did not allow more; null without a result. */
  readonly batch: number | null;
  /** Ours over theirs; null without a result. */
  readonly ratio: number | null;
  /** Why there is no result, or what is special about it; empty otherwise. */
  readonly note: string;
}
