/** Finding the fastest plans of a run's kernels before its first step. */
import { tf } from "../../deps/tfjs.ts";
import { tuneFor } from "../../gpu/tuner.ts";
import { sampleNoise } from "../../models/mask_sampling.ts";
import { productsHaveChoices } from "../../ops/product/product_launch.ts";
import { Random, Stream } from "../../util/random.ts";
import type { PretrainParts } from "./pretrain_job.ts";
import type { RunParts } from "../run/training_job.ts";

/** What tuning pre-training needs of a run. */
export type TunedParts = Pick<PretrainParts, "config" | "model" | "runtime" | "signal" | "onEvent">;

/** What does it; others in tests. */
export interface Tuner {
  /** Whether the device leaves any choice. */
  readonly hasChoices: () => boolean;
  /** Tunes the kernels of a computation. */
  readonly tuneFor: typeof tuneFor;
}

/**
 * Makes a step's forward and backward pass without an update where an earlier run has not tuned this configuration on
 * this device, and times the plans of its kernels. Where the device leaves no choice nothing is run.
 * @param computation everything that the kernels and their shapes depend on
 * @param tryStep runs every kernel of a step once, but those of the optimizer, which have no plans
 */
export async function tuneRun(
  { runtime, signal, onEvent }: Pick<RunParts, "runtime" | "signal" | "onEvent">,
  computation: object,
  tryStep: () => void,
  tuner: Tuner = { hasChoices: productsHaveChoices, tuneFor },
): Promise<void> {
  if (!tuner.hasChoices()) return;
  const notice = (message: string) => onEvent({ kind: "notice", message });
  const { timed, changed, seconds } = await tuner.tuneFor(JSON.stringify(computation), tryStep, {
    signal,
    onStart: (kernels) => notice(`Tuning ${kernels} kernels to this device, once; --no-tune leaves it out`),
  });
  runtime.check();
  if (timed > 0) {
    notice(
      `Tuned ${timed} kernels in ${seconds.toFixed(1)} s; ${changed} of them run otherwise than by default`,
    );
  }
}

/** Tunes the kernels of a pre-training run. */
export function tunePretraining(parts: TunedParts, tuner?: Tuner): Promise<void> {
  const { model, mask, target, optim, run: { precision, remat } } = parts.config;
  const computation = { job: "pretrain", model, mask, target, batch: optim.batchSize, precision, remat };
  return tuneRun(parts, computation, () => tryStep(parts), tuner);
}

function tryStep({ config: { mask, optim, run }, model }: TunedParts): void {
  const noise = sampleNoise(mask, model.grid, optim.batchSize, new Random(run.seed, Stream.mask));
  const images = tf.zeros([optim.batchSize, ...model.imageSize, model.channels]);
  try {
    const { loss, gradients } = model.lossAndGradients(images, { maskRatio: mask.ratio, noise });
    tf.dispose([loss, ...gradients.values()]);
  } finally {
    images.dispose();
  }
}
