/** What is measured as a whole: a pre-training step and the encoder's features, on random pixels. */
import { tf } from "../deps/tfjs.ts";
import { createMae, type Mae } from "../models/mae.ts";
import { patchifyPixels } from "../ops/normalize_pixels.ts";
import { AdamW } from "../optim/adamw.ts";
import { pretrainGroups } from "../optim/groups.ts";
import { Random } from "../util/random.ts";
import type { BenchConfig } from "./configurations.ts";

/** Makes the model. The one place where precision and remat reach it. */
function makeModel({ model, normalizeTarget, precision, remat }: BenchConfig): Mae {
  return createMae({ ...model, normalizeTarget }, { precision, remat });
}

/** A batch of random pixels, on its way into the model as in training. */
class Pixels {
  readonly #bytes: Uint8Array;
  readonly #config: BenchConfig;

  constructor(config: BenchConfig, random: Random) {
    const { model: { imageSize: [height, width], channels }, batch } = config;
    this.#config = config;
    this.#bytes = Uint8Array.from({ length: batch * height * width * channels }, () => random.integer(256));
  }

  /** Uploads the bytes, normalises them and cuts them into patches: [N, L, p·q·C]. */
  upload(): tf.Tensor3D {
    const { model: { imageSize: [height, width], patchSize, channels }, batch, mean, std } = this.#config;
    return patchifyPixels(this.#bytes, [batch, height, width, channels], patchSize, mean, std);
  }
}

/** Whole pre-training steps: bytes up, mask, forward, backward, AdamW. */
export class TrainingStep {
  readonly #config: BenchConfig;
  readonly #model: Mae;
  readonly #optimizer: AdamW;
  readonly #random = new Random(1);
  readonly #pixels: Pixels;

  /** Makes model, optimizer and pixels on the open runtime. */
  constructor(config: BenchConfig) {
    this.#config = config;
    this.#model = makeModel(config);
    const { trainable } = this.#model;
    this.#optimizer = new AdamW(trainable, pretrainGroups(trainable, 0.05));
    this.#pixels = new Pixels(config, this.#random);
  }

  /** Records one step; waits for nothing. */
  run(): void {
    const { batch, maskRatio } = this.#config;
    const patches = this.#pixels.upload();
    const noise = this.#random.uniformArray(batch * this.#model.length);
    const { loss, gradients } = this.#model.lossAndGradients(patches, { maskRatio, noise });
    patches.dispose();
    this.#optimizer.accumulate(loss, gradients);
    this.#optimizer.step(1e-4);
  }

  /** Values in all parameters, position embeddings included. */
  get parameters(): number {
    return this.#model.parameterCount;
  }

  /** Frees model and optimizer. */
  dispose(): void {
    this.#optimizer.dispose();
    this.#model.dispose();
  }
}

/** The encoder on whole images, nothing masked: bytes up, forward only. */
export class FeatureStep {
  readonly #model: Mae;
  readonly #pixels: Pixels;

  /** Makes model and pixels on the open runtime. */
  constructor(config: BenchConfig) {
    this.#model = makeModel(config);
    this.#pixels = new Pixels(config, new Random(1));
  }

  /** Records the features of one batch; waits for nothing. */
  run(): void {
    tf.tidy(() => {
      this.#model.encode(this.#pixels.upload());
    });
  }

  /** Frees the model. */
  dispose(): void {
    this.#model.dispose();
  }
}
