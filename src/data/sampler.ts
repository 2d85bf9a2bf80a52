/**
 * Which sample stands where. Everything is a pure function of the seed and a position, so a run resumes from its step
 * number alone and the number of workers changes nothing.
 *
 * A position counts the images of an epoch from 0: micro-batch `m` of step `s` holds positions
 * `(s × accumulate + m) × batch … + batch − 1`. What is left over at the end of an epoch is dropped.
 */
import { InputError } from "../util/errors.ts";
import { Random, Stream } from "../util/random.ts";

/** How a data set is cut into steps. */
export interface EpochPlan {
  /** Images in the data set. */
  readonly samples: number;
  /** How often each is drawn per epoch. */
  readonly repeat: number;
  /** Images of a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches of an optimizer step. */
  readonly accumulate: number;
  /** Optimizer steps of an epoch; at least 1. */
  readonly stepsPerEpoch: number;
}

/** Cuts a data set into steps; `auto` repeats the images just often enough for one. Throws `InputError` when none fills. */
export function planEpoch(
  samples: number,
  repeat: number | "auto",
  batchSize: number,
  accumulate: number,
): EpochPlan {
  const perStep = batchSize * accumulate;
  const times = repeat === "auto" ? Math.max(1, Math.ceil(perStep / samples)) : repeat;
  const stepsPerEpoch = Math.floor(samples * times / perStep);
  if (stepsPerEpoch === 0) {
    const have = `${samples} image${samples === 1 ? "" : "s"} × data.repeat ${times}`;
    throw new InputError(
      `One step takes ${perStep} images (optim.batch_size × optim.accumulate), an epoch has ${have}; ` +
        `lower them or set data.repeat to auto`,
    );
  }
  return { samples, repeat: times, batchSize, accumulate, stepsPerEpoch };
}

/** The samples of an epoch in their order: a permutation of all images, each `repeat` times. */
export function epochOrder(seed: number, epoch: number, samples: number, repeat: number): Uint32Array {
  const order = new Random(seed, Stream.order, epoch).permutation(samples * repeat);
  if (repeat > 1) { for (let i = 0; i < order.length; i++) order[i] %= samples; }
  return order;
}

/** Where a micro-batch, counted from the start of the run, lies. */
export interface MicroBatchPlace {
  /** Epoch, counted from 0. */
  readonly epoch: number;
  /** Optimizer step, counted from the start of the run. */
  readonly step: number;
  /** Position in the epoch of its first image. */
  readonly firstPosition: number;
}

/** The place of a micro-batch. */
export function placeOf(microBatch: number, plan: EpochPlan): MicroBatchPlace {
  const perEpoch = plan.stepsPerEpoch * plan.accumulate;
  return {
    epoch: Math.floor(microBatch / perEpoch),
    step: Math.floor(microBatch / plan.accumulate),
    firstPosition: (microBatch % perEpoch) * plan.batchSize,
  };
}

/** The sample that stands in at a position when `attempt` (at least 1) samples before it were broken. */
export function substituteSample(
  seed: number,
  epoch: number,
  position: number,
  attempt: number,
  samples: number,
): number {
  return new Random(seed, Stream.substitute, epoch, position, attempt).integer(samples);
}

/** The random stream that augments the image at a position. */
export function augmentationStream(seed: number, epoch: number, position: number): Random {
  return new Random(seed, Stream.augment, epoch, position);
}
