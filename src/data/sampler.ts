/**
 * Which sample stands where. Everything is a pure function of the seed and a position, so a run resumes from its step
 * number alone and the number of workers changes nothing.
 *
 * A position counts the images of an epoch from 0: micro-batch `m` of step `s` holds positions
 * `(s × accumulate + m) × batch … + batch − 1`. What is left over at the end of an epoch is dropped. Of several processes
 * each takes its part of such a batch of them all, so that together they make the batches of one process.
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
  /** Which of several processes this one is, each with batches of its own. */
  readonly part: Part;
  /** Optimizer steps of an epoch; at least 1. */
  readonly stepsPerEpoch: number;
}

/** One of several processes that share a run's data. */
export interface Part {
  /** Its number, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
}

/** All of it, for one process. */
export const WHOLE: Part = { index: 0, count: 1 };

/**
 * Cuts a data set into steps; `auto` repeats the images just often enough for one. Throws `InputError` when none fills, and for
 * a part that is none.
 */
export function planEpoch(
  samples: number,
  repeat: number | "auto",
  batchSize: number,
  accumulate: number,
  part: Part = WHOLE,
): EpochPlan {
  checkPart(part);
  const perStep = batchSize * accumulate * part.count;
  const times = repeat === "auto" ? Math.max(1, Math.ceil(perStep / samples)) : repeat;
  const stepsPerEpoch = Math.floor(samples * times / perStep);
  if (stepsPerEpoch === 0) {
    const have = `${samples} image${samples === 1 ? "" : "s"} × data.repeat ${times}`;
    throw new InputError(
      `One step takes ${perStep} images (optim.batch_size × optim.accumulate${
        part.count > 1 ? " × processes" : ""
      }), an epoch has ${have}; ` +
        `lower them or set data.repeat to auto`,
    );
  }
  return { samples, repeat: times, batchSize, accumulate, part, stepsPerEpoch };
}

function checkPart({ index, count }: Part): void {
  if (Number.isInteger(index) && Number.isInteger(count) && index >= 0 && index < count) return;
  throw new InputError(`Part ${index} of ${count} is none: parts are numbered from 0 to their count less 1`);
}

/** The samples of every epoch in their order. */
export interface DrawingOrder {
  /** The samples at the positions `first` … `first + count − 1` of an epoch. Quick where these follow the last ones. */
  draw(epoch: number, first: number, count: number): Uint32Array;
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

/** The place of a micro-batch of the plan's part. */
export function placeOf(microBatch: number, plan: EpochPlan): MicroBatchPlace {
  const { batchSize, part: { index, count } } = plan;
  const perEpoch = plan.stepsPerEpoch * plan.accumulate;
  return {
    epoch: Math.floor(microBatch / perEpoch),
    step: Math.floor(microBatch / plan.accumulate),
    firstPosition: ((microBatch % perEpoch) * count + index) * batchSize,
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
