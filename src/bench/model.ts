/** What is measured as a whole, on random pixels: steps of pre-training and of fine-tuning, and the encoder's features. */
import { officialErasing, officialMix } from "../config/finetune_types.ts";
import { tf } from "../deps/tfjs.ts";
import { type Classifier, createClassifier } from "../models/classifier.ts";
import type { ClassifierConfig } from "../models/classifier_config.ts";
import { createMae } from "../models/mae.ts";
import { patchifyPixels } from "../ops/pixels/normalize_pixels.ts";
import { AdamW } from "../optim/adamw.ts";
import { layerDecayGroups, pretrainGroups } from "../optim/groups.ts";
import { finetuneBatch } from "../train/jobs/finetune_batch.ts";
import { Random } from "../util/random.ts";
import { type BenchConfig, type BenchWork, finetuneSizes } from "./configurations.ts";

/** Work that can be done again and again. */
export interface MeasuredStep {
  /** Values in all parameters, position embeddings included. */
  readonly parameters: number;
  /** Records one step; waits for nothing. */
  run(): void;
  /** Frees everything. */
  dispose(): void;
}

/** Makes model, optimizer and pixels on the open runtime. */
export function makeStep(work: BenchWork, config: BenchConfig): MeasuredStep {
  return { pretrain: pretrainStep, finetune: finetuneStep, features: featureStep }[work](config);
}

const learningRate = 1e-4;

/** Whole pre-training steps: bytes up, mask, forward, backward, AdamW. */
function pretrainStep(config: BenchConfig): MeasuredStep {
  const { batch, maskRatio, normalizeTarget, precision, remat } = config;
  const model = createMae({ ...config.model, normalizeTarget }, { precision, remat });
  const { trainable } = model;
  const optimizer = new AdamW(trainable, pretrainGroups(trainable, 0.05));
  const random = new Random(1);
  const pixels = randomPixels(config, random);
  return {
    parameters: model.parameterCount,
    run() {
      const patches = upload(pixels, config);
      const noise = random.uniformArray(batch * model.length);
      const { loss, gradients } = model.lossAndGradients(patches, { maskRatio, noise });
      patches.dispose();
      optimizer.accumulate(loss, gradients);
      optimizer.step(learningRate);
    },
    dispose: () => disposeAll([optimizer, model]),
  };
}

/**
 * Whole fine-tuning steps by the paper's recipe, every block trained: bytes up, erased and mixed, forward with drop path,
 * soft labels, backward, AdamW with layer-wise rates.
 */
function finetuneStep(config: BenchConfig): MeasuredStep {
  const { batch, mean, std, model: { encoder: { depth } } } = config;
  const { classes } = finetuneSizes;
  const model = makeClassifier(config, { ...finetuneSizes, pooling: "average" });
  const { trainable } = model;
  const groups = layerDecayGroups(trainable, { weightDecay: 0.05, layerDecay: 0.65, depth });
  const optimizer = new AdamW(trainable, groups, { betas: [0.9, 0.999] });
  const random = new Random(1);
  const pixels = randomPixels(config, random);
  const recipe = { mean, std, erasing: officialErasing, mix: officialMix, seed: 1 };
  let place = 0;
  return {
    parameters: model.parameterCount,
    run() {
      const own = Array.from({ length: batch }, () => random.integer(classes));
      const { patches, labels } = finetuneBatch(
        { pixels, labels: own, classes, place: place++ },
        recipe,
        model,
      );
      const dropPathDraws = random.uniformArray(model.dropPathDrawCount(batch));
      const { loss, gradients } = model.lossAndGradients(patches, labels, { dropPathDraws });
      tf.dispose([patches, labels]);
      optimizer.accumulate(loss, gradients);
      optimizer.step(learningRate);
    },
    dispose: () => disposeAll([optimizer, model]),
  };
}

/** The encoder on whole images, nothing masked, as `mae embed` uses it: bytes up, forward only, class token. */
function featureStep(config: BenchConfig): MeasuredStep {
  const model = makeClassifier(config, { classes: 1, pooling: "class_token", trainBlocks: 0 });
  const pixels = randomPixels(config, new Random(1));
  return {
    parameters: model.parameterCount,
    run() {
      const patches = upload(pixels, config);
      tf.dispose([patches, model.features(patches)]);
    },
    dispose: () => disposeAll([model]),
  };
}

/** The classifier of a configuration's encoder. */
function makeClassifier(
  { model: { encoder, imageSize, patchSize, channels }, precision, remat }: BenchConfig,
  besides: Pick<ClassifierConfig, "classes" | "pooling" | "dropPath" | "trainBlocks">,
): Classifier {
  return createClassifier({ encoder, imageSize, patchSize, channels, ...besides }, { precision, remat });
}

/** Bytes of a batch of random images. */
function randomPixels({ model, batch }: BenchConfig, random: Random): Uint8Array {
  const { imageSize: [height, width], channels } = model;
  return Uint8Array.from({ length: batch * height * width * channels }, () => random.integer(256));
}

/** Uploads the bytes, normalises them and cuts them into patches: [N, L, p·q·C]. */
function upload(pixels: Uint8Array, { model, batch, mean, std }: BenchConfig): tf.Tensor3D {
  const { imageSize: [height, width], patchSize, channels } = model;
  return patchifyPixels(pixels, [batch, height, width, channels], patchSize, mean, std);
}

function disposeAll(things: readonly { dispose(): void }[]): void {
  for (const thing of things) thing.dispose();
}
