/** Finding the fastest plans of a run's kernels before its first step. */
import { tf } from "../deps/tfjs.ts";
import { tuneFor } from "../gpu/tuner.ts";
import { sampleNoise } from "../models/mask_sampling.ts";
import { productsHaveChoices } from "../ops/product_launch.ts";
import { Random, Stream } from "../util/random.ts";
import type { PretrainParts } from "./pretrain_job.ts";

/** What tuning needs of a run. */
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
 */
export async function tunePretraining(
  parts: TunedParts,
  tuner: Tuner = { hasChoices: productsHaveChoices, tuneFor },
): Promise<void> {
  if (!tuner.hasChoices()) return;
  const { config, runtime, signal, onEvent } = parts;
  const notice = (message: string) => onEvent({ kind: "notice", message });
  const { timed, changed, seconds } = await tuner.tuneFor(nameOf(config), () => tryStep(parts), {
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

/** Everything that the kernels and their shapes depend on. */
function nameOf({ model, mask, target, optim, run }: TunedParts["config"]): string {
  const { precision, remat } = run;
  return JSON.stringify({ job: "pretrain", model, mask, target, batch: optim.batchSize, precision, remat });
}

/** Runs every kernel of a step once, but those of the optimizer, which have no plans. */
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
