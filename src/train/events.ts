/** What a run tells whoever started it. Nothing in `src/train` prints. */
import type { MetricsRecord } from "../report/metrics.ts";

/** The run is about to make its first step. */
export interface StartEvent {
  readonly kind: "start";
  /** The run's folder. */
  readonly run: string;
  readonly adapter: string;
  readonly backend: "webgpu" | "cpu";
  /** Values in all parameters of the model. */
  readonly parameters: number;
  /** Images in the data set. */
  readonly samples: number;
  /** How often each is drawn per epoch. */
  readonly repeat: number;
  readonly stepsPerEpoch: number;
  readonly steps: number;
  /** Steps made before, when resumed. */
  readonly startStep: number;
  readonly learningRate: number;
  /** Images per optimizer step. */
  readonly images: number;
}

/** One optimizer step was made. */
export interface StepEvent {
  readonly kind: "step";
  readonly step: number;
  readonly steps: number;
  /** Fractional epoch after the step. */
  readonly epoch: number;
  /** Mean loss of the last logged window; null before the first. */
  readonly loss: number | null;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
  /** Share of the time spent waiting for data, 0 to 1. */
  readonly dataWait: number;
}

/** Everything a run reports. */
export type PretrainEvent =
  | StartEvent
  | StepEvent
  | { readonly kind: "log"; readonly record: MetricsRecord }
  | { readonly kind: "checkpoint"; readonly path: string; readonly step: number }
  | { readonly kind: "notice" | "warning"; readonly message: string };
