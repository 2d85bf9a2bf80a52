/** The encoder with a classification head: the official fine-tuning's vision transformer, whole or in its last blocks. */
import { tf } from "../deps/tfjs.ts";
import type { Size } from "../config/types.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import {
  applyBlock,
  applyLinear,
  applyMlpHalf,
  applyNorm,
  attentionBranch,
  type BlockOptions,
} from "../nn/block.ts";
import { dropPathRates, keptImages } from "../nn/drop_path.ts";
import {
  createParameters,
  loadParameters,
  parameter,
  parameterCount,
  type Parameters,
  readParameters,
  type State,
} from "../nn/parameters.ts";
import { softCrossEntropy } from "../ops/loss/cross_entropy.ts";
import { embedTokens } from "../ops/tokens/embed_tokens.ts";
import { patchEmbed } from "../ops/pixels/patch_embed.ts";
import { patchify } from "../ops/pixels/patchify.ts";
import { poolTokens, takeClassToken } from "../ops/tokens/pool_tokens.ts";
import { recordsGradients } from "../ops/operation.ts";
import { withoutGradient } from "../ops/without_gradient.ts";
import {
  type ClassifierConfig,
  type ClassifierSizes,
  classifierSizes,
  classifierSpecs,
  normName,
} from "./classifier_config.ts";
import { type EncoderLoad, encoderState } from "./encoder_state.ts";
import { checkPrecision, type ComputeOptions } from "./compute.ts";
import { classTargets, type Labels } from "./labels.ts";

/** How one batch is trained on. */
export interface TrainOptions {
  /**
   * Draws from [0, 1) that decide what drop path leaves out: [2 · depth, N], for each block its attention half and then its
   * MLP half. Without them nothing is left out.
   */
  readonly dropPathDraws?: Float32Array;
}

/** A vision transformer that classifies images, with its parameters on the open runtime. */
export class Classifier {
  /** Every parameter by official name, in the official order; frozen ones are not trainable. */
  readonly parameters: Parameters;
  /** The configuration it was made from. */
  readonly config: ClassifierConfig;
  /** How it computes. */
  readonly compute: ComputeOptions;
  /** Image size in pixels. */
  readonly imageSize: Size;
  /** Patch size in pixels. */
  readonly patchSize: Size;
  /** Patches per column and per row of an image. */
  readonly grid: Size;
  /** Values per pixel. */
  readonly channels: number;
  readonly #sizes: ClassifierSizes;

  /** Use `createClassifier`. */
  constructor(
    config: ClassifierConfig,
    sizes: ClassifierSizes,
    parameters: Parameters,
    compute: ComputeOptions = {},
  ) {
    this.config = config;
    this.compute = compute;
    this.parameters = parameters;
    this.imageSize = sizes.image;
    this.patchSize = sizes.patch;
    this.grid = sizes.grid;
    this.channels = sizes.channels;
    this.#sizes = sizes;
  }

  /** Patches per image. */
  get length(): number {
    return this.#sizes.length;
  }

  /** Number of values in all parameters, position embedding included. */
  get parameterCount(): number {
    return parameterCount(this.parameters);
  }

  /** The parameters that training changes, by official name. */
  get trainable(): Map<string, tf.Variable> {
    return new Map([...this.parameters].filter(([, variable]) => variable.trainable));
  }

  /** Draws that `TrainOptions.dropPathDraws` holds for a batch of N images. */
  dropPathDrawCount(images: number): number {
    return 2 * this.config.encoder.depth * images;
  }

  /** Copies a classifier's values in. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    loadParameters(this.parameters, state);
  }

  /**
   * Copies the encoder of a pre-training checkpoint in, whole or encoder only, or that of another classifier. The head
   * stays as it is; with average pooling the norm after pooling does too, unless the checkpoint has it. Positions for
   * another grid of patches are resampled bicubically.
   * @param grid the checkpoint's patches per column and row; a square by default
   * @param partial loads what fits where something does not
   * @returns what was resampled, left out and left as it was
   * @throws {InputError} naming what is missing, unexpected or of another shape; then nothing has changed
   */
  loadEncoder(
    state: ReadonlyMap<string, StoredTensor>,
    { grid, partial }: { grid?: Size; partial?: boolean } = {},
  ): EncoderLoad {
    const grids = { own: this.grid, from: grid };
    const { wanted, given, load } = encoderState(this.parameters, state, grids, { partial });
    return { ...load, misfits: loadParameters(wanted, given, { partial }) };
  }

  /** Reads every parameter back. */
  state(): Promise<State> {
    return readParameters(this.parameters);
  }

  /**
   * One vector per image: tokens pooled, then normalised. Differentiable in what is trained; outside of gradients each
   * block's input is freed as soon as its output is there.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C] as `patchifyPixels` makes them
   * @returns [N, D]
   */
  features(images: tf.Tensor, { dropPathDraws }: TrainOptions = {}): tf.Tensor2D {
    const patches = this.#patchesOf(images);
    const { heads, depth } = this.config.encoder;
    const halves = recordsGradients() || dropPathDraws ? this.#sizes.trainedHalves : 0;
    if (halves === 0) {
      return withoutGradient(patches, () => this.#pooled(this.#frozenTokens(patches, 2 * depth)));
    }
    const frozen = 2 * depth - halves; // halves of blocks
    const kept = this.#dropPath(patches.shape[0], dropPathDraws);
    let x: tf.Tensor = this.#sizes.trainsEmbedding
      ? this.#embed(patches)
      : withoutGradient(patches, () => this.#frozenTokens(patches, frozen));
    for (let i = Math.floor(frozen / 2); i < depth; i++) {
      const block = { ...this.#blockOptions(x.shape[0]), dropPath: kept[i], select: this.#selectAfter(i) };
      if (2 * i < frozen) x = applyMlpHalf(this.parameters, `blocks.${i}`, x, block);
      else x = applyBlock(this.parameters, `blocks.${i}`, heads, x, block);
    }
    return this.#pooled(x);
  }

  /**
   * Unnormalised log-probabilities of the classes; differentiable in what is trained.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C]
   * @returns [N, classes]
   */
  logits(images: tf.Tensor, options: TrainOptions = {}): tf.Tensor2D {
    return applyLinear(this.parameters, "head", this.features(images, options)) as tf.Tensor2D;
  }

  /**
   * The cross-entropy of a batch and its gradient for every trained parameter. The caller disposes them.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C]
   * @param labels the class of each image, or [N, classes] shares of classes as mixing and smoothing make them
   * @throws {RangeError} when labels or draws do not fit the images
   */
  lossAndGradients(
    images: tf.Tensor,
    labels: Labels,
    options: TrainOptions = {},
  ): { loss: tf.Scalar; gradients: Map<string, tf.Tensor> } {
    const { trainable } = this;
    const targets = classTargets(labels, images.shape[0], this.config.classes);
    const { value, grads } = tf.variableGrads(
      () => softCrossEntropy(this.logits(images, options), targets),
      [...trainable.values()],
    );
    if (targets !== labels) targets.dispose();
    const gradients = new Map<string, tf.Tensor>();
    for (const [name, { name: id, shape }] of trainable) gradients.set(name, grads[id] ?? tf.zeros(shape));
    return { loss: value, gradients };
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const variable of this.parameters.values()) variable.dispose();
  }

  /** Patches of images; patches themselves stay as they are. Throws `RangeError` where the shape fits neither. */
  #patchesOf(images: tf.Tensor): tf.Tensor3D {
    const { image, channels, length, values } = this.#sizes;
    const shape = images.shape.slice(1).join();
    if (shape === [...image, channels].join()) return patchify(images, this.patchSize);
    if (shape === [length, values].join()) return images as tf.Tensor3D;
    throw new RangeError(
      `Images must be [N, ${
        [...image, channels].join(", ")
      }] or patches [N, ${length}, ${values}], not [${images.shape}]`,
    );
  }

  #embed(patches: tf.Tensor3D): tf.Tensor3D {
    const named = (name: string) => parameter(this.parameters, name);
    const tokens = patchEmbed(patches, named("patch_embed.proj.weight"), named("patch_embed.proj.bias"));
    return embedTokens(tokens, named("cls_token"), named("pos_embed")); // [N, 1 + L, D]
  }

  /** Tokens after so many halves of blocks; each one's input is freed as soon as its output is there. */
  #frozenTokens(patches: tf.Tensor3D, frozen: number): tf.Tensor {
    const { heads } = this.config.encoder;
    const options = (i: number) => ({
      ...this.#blockOptions(patches.shape[0]),
      remat: false,
      select: this.#selectAfter(i),
    });
    let x: tf.Tensor = tf.tidy(() => this.#embed(patches));
    const next = (half: (x: tf.Tensor) => tf.Tensor) => {
      const before = x;
      x = tf.tidy(() => half(before));
      before.dispose();
    };
    for (let i = 0; i < Math.floor(frozen / 2); i++) {
      next((x) => applyBlock(this.parameters, `blocks.${i}`, heads, x, options(i)));
    }
    if (frozen % 2 === 1) {
      const i = (frozen - 1) / 2;
      const { select, ...own } = options(i);
      next((x) => attentionBranch(this.parameters, `blocks.${i}`, heads, x, own));
      if (select) next(select);
    }
    return x;
  }

  /** What goes on after the attention half of block i: after the last only what is pooled is looked at again. */
  #selectAfter(i: number): BlockOptions["select"] {
    const { pooling, encoder: { depth } } = this.config;
    return pooling === "class_token" && i === depth - 1 ? takeClassToken : undefined;
  }

  /**
   * Pooled, then normalised. The official code normalises all tokens before it takes the class token's, which comes to the
   * same; with average pooling it also pools first.
   */
  #pooled(tokens: tf.Tensor): tf.Tensor2D {
    const { pooling, normEpsilon } = this.config;
    const pooled = poolTokens(tokens, pooling);
    return applyNorm(this.parameters, normName(pooling), pooled, normEpsilon) as tf.Tensor2D;
  }

  /**
   * The loss is a mean over images, and average pooling a mean over tokens: gradients are multiplied with about their
   * number, and with 256 because the head starts small; 65,504 is the largest half.
   */
  #blockOptions(images: number): BlockOptions {
    const { precision, remat } = this.compute;
    const share = images * (this.config.pooling === "average" ? this.length : 1);
    const halfScale = precision === "f16" ? 2 ** Math.floor(Math.log2(256 * share)) : null;
    return { remat, halfScale, epsilon: this.config.normEpsilon };
  }

  /** The images that go through each block's halves; undefined for blocks that nothing is dropped from. */
  #dropPath(images: number, draws?: Float32Array): BlockOptions["dropPath"][] {
    const { encoder: { depth }, dropPath = 0 } = this.config;
    if (!draws || dropPath === 0) return Array(depth).fill(undefined);
    if (draws.length !== this.dropPathDrawCount(images)) {
      throw new RangeError(
        `Drop path needs ${this.dropPathDrawCount(images)} draws for ${images} images, not ${draws.length}`,
      );
    }
    return dropPathRates(dropPath, depth).map((rate, i) => {
      const half = (j: number) =>
        keptImages(draws.subarray((2 * i + j) * images, (2 * i + j + 1) * images), rate);
      return rate > 0 ? [half(0), half(1)] as const : undefined;
    });
  }
}

/**
 * Makes a classifier with the first values of the official code (timm's), drawn from `seed`.
 * @throws {RangeError} when sizes do not fit together
 * @throws {InputError} when `trainBlocks` is not possible, or the open device cannot compute in the precision asked for
 */
export function createClassifier(
  config: ClassifierConfig,
  { seed = 0, ...compute }: { seed?: number } & ComputeOptions = {},
): Classifier {
  const sizes = classifierSizes(config);
  checkPrecision(compute);
  return new Classifier(config, sizes, createParameters(classifierSpecs(config, sizes, seed)), compute);
}
