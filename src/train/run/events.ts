/** What a run tells whoever started it. Nothing in `src/train` prints. */
import type { MetricsRecord } from "../../report/metrics.ts";
import type { EvaluationSummary } from "../checkpoint/checkpoint.ts";

/** The run is about to make its first step. */
export interface StartEvent {
  /** Tells the events apart. */
  readonly kind: "start";
  /** The run's folder. */
  readonly run: string;
  /** The driver's name for the device. */
  readonly adapter: string;
  /** Where it computes. */
  readonly backend: "webgpu" | "cpu";
  /** Values in all parameters of the model. */
  readonly parameters: number;
  /** Images in the data set. */
  readonly samples: number;
  /** How often each is drawn per epoch. */
  readonly repeat: number;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Steps made before, when resumed. */
  readonly startStep: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Images per optimizer step. */
  readonly images: number;
}

/** One optimizer step was made. */
export interface StepEvent {
  /** Tells the events apart. */
  readonly kind: "step";
  /** Optimizer steps made, this one included. */
  readonly step: number;
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Fractional epoch after the step. */
  readonly epoch: number;
  /** Mean loss of the last logged window; null before the first. */
  readonly loss: number | null;
  /** Learning rate of this step. */
  readonly learningRate: number;
  /** Images trained on per second, since this session began. */
  readonly imagesPerSecond: number;
  /** Seconds to the end at the pace so far. */
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
  | ProgressEvent
  | { readonly kind: "notice" | "warning"; readonly message: string };

/** A classifier was evaluated on its validation set. */
export interface EvaluationEvent extends EvaluationSummary {
  /** Tells the events apart. */
  readonly kind: "evaluation";
  /** Fractional epoch. */
  readonly epoch: number;
  /** Whether it is the best so far, which is kept as `checkpoints/best`. */
  readonly isBest: boolean;
}

/** Everything that a run with evaluations reports. */
export type FinetuneEvent = PretrainEvent | EvaluationEvent;

/** Part of a longer work besides training is done. */
export interface ProgressEvent {
  /** Tells the events apart. */
  readonly kind: "progress";
  /** What is being worked at, to stand before a share: "features of the training images". */
  readonly what: string;
  /** What is done of it, 0 to 1. */
  readonly share: number;
  /** What else is to be said, the most wanted first: "812 images/s". */
  readonly facts?: readonly string[];
}

/** Everything that work with a frozen encoder reports. */
export type FrozenEvent = ProgressEvent | { readonly kind: "notice" | "warning"; readonly message: string };

/** Everything that a linear probe reports. */
export type LinprobeEvent = FinetuneEvent;
