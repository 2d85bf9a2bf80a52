/** What pre-training does in a step. */
import type { PretrainConfig } from "../../config/types.ts";
import type { Mae } from "../../models/mae.ts";
import { sampleNoise } from "../../models/mask_sampling.ts";
import { type ImageShape, patchifyPixels } from "../../ops/pixels/normalize_pixels.ts";
import { Random, Stream } from "../../util/random.ts";
import type { OnlineProbe } from "./online_probe.ts";
import type { JobWork, RunParts, Trained } from "../run/training_job.ts";

/** A masked autoencoder with its optimizer. */
export interface PretrainedModel extends Trained {
  /** The model, with the weights to begin with. */
  readonly model: Mae;
}

/** What a pre-training run is made of; whoever opened the parts closes them. */
export interface PretrainParts extends RunParts, PretrainedModel {
  /** The resolved configuration. */
  readonly config: PretrainConfig;
}

/**
 * Pre-training's part in a run.
 * @param probe what looks at labelled images now and then; null where nobody asked for it
 */
export function pretrainWork({ config, model, loader }: PretrainParts, probe: OnlineProbe | null): JobWork {
  const { mask, data, optim, run } = config;
  const [height, width] = model.imageSize;
  const shape: ImageShape = [optim.batchSize, height, width, model.channels];
  return {
    job: "pretrain",
    evaluateEvery: config.probe ? Math.max(1, config.probe.every * loader.stepsPerEpoch) : undefined,
    evaluate: probe ? (step) => probe.look(step, step / loader.stepsPerEpoch) : undefined,
    computeGradients(batch, step, micro) {
      const random = new Random(run.seed, Stream.mask, step, micro);
      const noise = sampleNoise(mask, model.grid, optim.batchSize, random);
      const patches = patchifyPixels(batch.pixels, shape, model.patchSize, data.mean, data.std);
      try {
        return model.lossAndGradients(patches, { maskRatio: mask.ratio, noise });
      } finally {
        patches.dispose();
      }
    },
  };
}
