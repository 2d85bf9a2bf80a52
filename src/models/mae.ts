/** The masked autoencoder (paper section 3): an asymmetric encoder and decoder around random masking. */
import { tf } from "../deps/tfjs.ts";
import type { ModelConfig, Size, TransformerConfig } from "../config/types.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import {
  applyBlock,
  applyLinear,
  applyNorm,
  type BlockOptions,
  blockSpecs,
  linearSpecs,
  normSpecs,
} from "../nn/block.ts";
import { normal, table, uniform, xavierUniform } from "../nn/initialize.ts";
import {
  createParameters,
  loadParameters,
  parameter,
  parameterCount,
  type Parameters,
  type ParameterSpec,
  readParameters,
  type State,
} from "../nn/parameters.ts";
import { sineCosinePositions } from "../nn/position_embedding.ts";
import { assembleTokens, replaceMasked, takeRows } from "../ops/tokens/gather_tokens.ts";
import { maskFromNoise, type Masking } from "../ops/tokens/masking.ts";
import { patchEmbed } from "../ops/pixels/patch_embed.ts";
import { patchGrid, patchify } from "../ops/pixels/patchify.ts";
import { maskedPixelLoss } from "../ops/loss/pixel_loss.ts";
import { addPositions, dropClassToken, removedTokens, scatterTokens } from "../ops/tokens/scatter_tokens.ts";
import { Random, Stream } from "../util/random.ts";
import { checkPrecision, type ComputeOptions } from "./compute.ts";

/** Architecture and target of a masked autoencoder. */
export interface MaeConfig {
  /** Pixels: a number for squares, or [height, width]. */
  readonly imageSize: number | Size;
  /** Pixels: a number for squares, or [height, width]; divides the image size. */
  readonly patchSize: number | Size;
  /** Values per pixel, any number from 1; 3 by default. */
  readonly channels?: number;
  /** The blocks that see the kept patches. */
  readonly encoder: TransformerConfig;
  /** The blocks that see every position. */
  readonly decoder: TransformerConfig;
  /** Normalise each target patch by its own mean and deviation; false by default, as in the official code. */
  readonly normalizeTarget?: boolean;
  /** `encoder` is the ablation that feeds mask tokens through the encoder; `decoder` (default) is MAE. */
  readonly maskTokens?: ModelConfig["maskTokens"];
  /** What every layer norm adds to the variance; 1e-6 by default, as in the official code. */
  readonly normEpsilon?: number;
}

/** How one batch is masked. */
export interface MaskOptions {
  /** Share of patches removed, in [0, 1). */
  readonly maskRatio: number;
  /** [N, L]: patches are kept in ascending order of it. */
  readonly noise: Float32Array | tf.Tensor;
}

/** What a forward pass gives; the caller disposes the tensors (or calls inside `tf.tidy`). */
export interface MaeOutput {
  /** Mean squared error over removed patches; a scalar. */
  readonly loss: tf.Scalar;
  /** [N, L, p·q·C] for every patch, in the target's space */
  readonly prediction: tf.Tensor3D;
  /** [N, L], 1 where removed */
  readonly mask: tf.Tensor2D;
  /** [N, L] int32: place of each patch in the order of the noise */
  readonly idsRestore: tf.Tensor2D;
  /** [N, 1 + kept, D] from the encoder, class token first */
  readonly latent: tf.Tensor3D;
}

/** Receives activations by their official module name. */
export type Trace = (module: string, activation: tf.Tensor) => void;

/** The sizes a configuration comes to, with every default filled in. */
interface Sizes {
  readonly image: Size;
  readonly patch: Size;
  readonly grid: Size;
  readonly length: number;
  readonly channels: number;
  readonly values: number;
}

/** A masked autoencoder with its parameters on the open runtime. */
export class Mae {
  /** Every parameter by official name, in the official order; the two position embeddings are not trainable. */
  readonly parameters: Parameters;
  /** Patches per column and per row of an image. */
  readonly grid: Size;
  /** Patch size in pixels. */
  readonly patchSize: Size;
  /** Image size in pixels. */
  readonly imageSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** The configuration it was made from. */
  readonly config: MaeConfig;
  /** How it computes. */
  readonly compute: ComputeOptions;
  readonly #length: number;
  readonly #values: number;

  /** Use `createMae`. */
  constructor(config: MaeConfig, sizes: Sizes, parameters: Parameters, compute: ComputeOptions = {}) {
    this.config = config;
    this.compute = compute;
    this.grid = sizes.grid;
    this.patchSize = sizes.patch;
    this.imageSize = sizes.image;
    this.channels = sizes.channels;
    this.#length = sizes.length;
    this.#values = sizes.values;
    this.parameters = parameters;
  }

  /** Patches per image. */
  get length(): number {
    return this.#length;
  }

  /** Number of values in all parameters, position embeddings included. */
  get parameterCount(): number {
    return parameterCount(this.parameters);
  }

  /** The parameters that training changes, by official name. */
  get trainable(): Map<string, tf.Variable> {
    return new Map([...this.parameters].filter(([, variable]) => variable.trainable));
  }

  /** Copies a checkpoint's values in. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    loadParameters(this.parameters, state);
  }

  /** Reads every parameter back. */
  state(): Promise<State> {
    return readParameters(this.parameters);
  }

  /**
   * Masks, encodes, decodes and compares; differentiable in the parameters.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C] as `patchifyPixels` makes them
   */
  forward(images: tf.Tensor, options: MaskOptions, trace: Trace = () => {}): MaeOutput {
    const { patches, masking } = this.#masked(images, options);
    const latent = this.#encode(patches, masking, trace);
    const prediction = this.#decode(latent, masking, trace);
    const loss = maskedPixelLoss(prediction, patches, masking.mask, this.config.normalizeTarget ?? false);
    return { loss, prediction, mask: masking.mask, idsRestore: masking.idsRestore, latent };
  }

  /**
   * The encoder's latent of whole images, nothing masked: features.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C]
   * @returns [N, 1 + L, D], class token first
   */
  encode(images: tf.Tensor): tf.Tensor3D {
    const everything = maskFromNoise(
      new Float32Array(images.shape[0] * this.#length),
      images.shape[0],
      this.#length,
      0,
    );
    return this.#encode(this.#patchesOf(images), everything, () => {});
  }

  /**
   * The loss of a batch and its gradient for every trainable parameter. The caller disposes them.
   * @param images [N, H, W, C], or their patches [N, L, p·q·C]
   */
  lossAndGradients(
    images: tf.Tensor,
    options: MaskOptions,
  ): { loss: tf.Scalar; gradients: Map<string, tf.Tensor> } {
    const trainable = this.trainable;
    const { value, grads } = tf.variableGrads(() => this.#trainingLoss(images, options), [
      ...trainable.values(),
    ]);
    const gradients = new Map<string, tf.Tensor>();
    for (const [name, variable] of trainable) {
      // The mask token gets none when nothing is removed.
      gradients.set(name, grads[variable.name] ?? tf.zeros(variable.shape));
    }
    return { loss: value, gradients };
  }

  /** The loss of `forward`. What cannot reach it is not computed: visible patches after the decoder's last attention. */
  #trainingLoss(images: tf.Tensor, options: MaskOptions): tf.Scalar {
    const { patches, masking } = this.#masked(images, options);
    if (masking.kept === this.#length) return this.forward(images, options).loss;
    const latent = this.#encode(patches, masking, () => {});
    const prediction = this.#decode(latent, masking, () => {}, true);
    const { idsRemoved } = masking;
    const everyone = tf.ones(idsRemoved.shape);
    return maskedPixelLoss(
      prediction,
      takeRows(patches, idsRemoved),
      everyone,
      this.config.normalizeTarget ?? false,
    );
  }

  /** The patches of a batch, and which of them are masked. Throws `RangeError` where none is kept. */
  #masked(images: tf.Tensor, { noise, maskRatio }: MaskOptions): { patches: tf.Tensor3D; masking: Masking } {
    const patches = this.#patchesOf(images);
    const masking = maskFromNoise(noise, images.shape[0], this.#length, maskRatio);
    if (masking.kept > 0) return { patches, masking };
    throw new RangeError(`A mask ratio of ${maskRatio} keeps none of ${this.#length} patches`);
  }

  /** Patches of images; patches themselves stay as they are. Throws `RangeError` where the shape fits neither. */
  #patchesOf(images: tf.Tensor): tf.Tensor3D {
    const shape = images.shape.slice(1).join();
    if (shape === [...this.imageSize, this.channels].join()) return patchify(images, this.patchSize);
    if (shape === [this.#length, this.#values].join()) return images as tf.Tensor3D;
    throw new RangeError(
      `Images must be [N, ${this.imageSize[0]}, ${
        this.imageSize[1]
      }, ${this.channels}] or patches [N, ${this.#length}, ${this.#values}], not [${images.shape}]`,
    );
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const variable of this.parameters.values()) variable.dispose();
  }

  /**
   * The loss is a mean over all values removed, so that gradients are about as small as one over their number: multiplied
   * with it they are well inside the range of half precision, with room for large ones.
   */
  #blockOptions({ mask, kept, length }: Masking): BlockOptions {
    const { precision, remat } = this.compute;
    const removed = mask.shape[0] * Math.max(1, length - kept) * this.#values;
    const halfScale = precision === "f16" ? 2 ** Math.floor(Math.log2(removed / 32)) : null;
    return { remat, halfScale, epsilon: this.config.normEpsilon };
  }

  #encode(patches: tf.Tensor3D, masking: Masking, trace: Trace): tf.Tensor3D {
    const { encoder, maskTokens } = this.config;
    const weight = parameter(this.parameters, "patch_embed.proj.weight");
    const bias = parameter(this.parameters, "patch_embed.proj.bias");
    const everywhere = maskTokens === "encoder";
    // Embedding only the kept patches equals embedding all and then masking, at a quarter of the cost.
    let tokens = patchEmbed(everywhere ? patches : takeRows(patches, masking.idsKeep), weight, bias);
    trace("patch_embed", tokens);
    if (everywhere) tokens = replaceMasked(tokens, parameter(this.parameters, "mask_token"), masking.mask);
    const ids = everywhere ? null : masking.idsKeep;
    const positions = parameter(this.parameters, "pos_embed");
    let x: tf.Tensor = assembleTokens(tokens, parameter(this.parameters, "cls_token"), positions, ids);
    trace("tokens", x);
    for (let i = 0; i < encoder.depth; i++) {
      x = applyBlock(this.parameters, `blocks.${i}`, encoder.heads, x, this.#blockOptions(masking));
      trace(`blocks.${i}`, x);
    }
    x = applyNorm(this.parameters, "norm", x, this.config.normEpsilon);
    trace("norm", x);
    return x as tf.Tensor3D; // [N, 1 + kept, D]
  }

  /** @returns [N, L, p·q·C], or [N, L − kept, p·q·C] where only the removed patches are wanted */
  #decode(latent: tf.Tensor3D, masking: Masking, trace: Trace, removedOnly = false): tf.Tensor3D {
    const { decoder, maskTokens } = this.config;
    const embedded = applyLinear(this.parameters, "decoder_embed", latent);
    trace("decoder_embed", embedded);
    const positions = parameter(this.parameters, "decoder_pos_embed");
    let x: tf.Tensor = maskTokens === "encoder"
      ? addPositions(embedded, positions)
      : scatterTokens(embedded, parameter(this.parameters, "mask_token"), positions, masking);
    const removed = (x: tf.Tensor) => removedTokens(x, masking);
    for (let i = 0; i < decoder.depth; i++) {
      const options = this.#blockOptions(masking);
      const select = removedOnly && i === decoder.depth - 1 ? removed : undefined;
      x = applyBlock(this.parameters, `decoder_blocks.${i}`, decoder.heads, x, { ...options, select });
      trace(`decoder_blocks.${i}`, x);
    }
    x = applyNorm(this.parameters, "decoder_norm", x, this.config.normEpsilon);
    trace("decoder_norm", x);
    return applyLinear(this.parameters, "decoder_pred", removedOnly ? x : dropClassToken(x)) as tf.Tensor3D;
  }
}

/**
 * Makes a masked autoencoder with the official initialisation, drawn from `seed`.
 * @throws {RangeError} when sizes do not fit together
 * @throws {InputError} when the open device cannot compute in the precision asked for
 */
export function createMae(
  config: MaeConfig,
  { seed = 0, ...compute }: { seed?: number } & ComputeOptions = {},
): Mae {
  const sizes = checkSizes(config);
  checkPrecision(compute);
  return new Mae(config, sizes, createParameters(maeSpecs(config, sizes, seed)), compute);
}

/** Number of values in all parameters of a model, without making it. Throws `RangeError` as `createMae` does. */
export function countParameters(config: MaeConfig): number {
  return maeSpecs(config, checkSizes(config), 0)
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

function checkSizes(config: MaeConfig): Sizes {
  const image = asSize(config.imageSize);
  const patch = asSize(config.patchSize);
  const grid = patchGrid(image, patch);
  const channels = config.channels ?? 3;
  if (!Number.isInteger(channels) || channels < 1) {
    throw new RangeError(`channels must be a whole number from 1, not ${channels}`);
  }
  for (
    const [name, { width, depth, heads, mlpRatio }] of Object.entries({
      encoder: config.encoder,
      decoder: config.decoder,
    })
  ) {
    if (!Number.isInteger(depth) || depth < 1) {
      throw new RangeError(`${name}.depth must be a whole number from 1, not ${depth}`);
    }
    if (
      !Number.isInteger(heads) || heads < 1 || !Number.isInteger(width) || width < 1 || width % heads !== 0
    ) {
      throw new RangeError(`${name}.width ${width} must be a multiple of its ${heads} heads`);
    }
    if (width % 4 !== 0) throw new RangeError(`${name}.width must be a multiple of 4, not ${width}`);
    if (!(width * mlpRatio >= 1)) throw new RangeError(`${name}.mlpRatio ${mlpRatio} leaves no hidden layer`);
  }
  return { image, patch, grid, length: grid[0] * grid[1], channels, values: patch[0] * patch[1] * channels };
}

/** A size given as one number or two. */
export function asSize(size: number | Size): Size {
  return typeof size === "number" ? [size, size] : size;
}

/** All parameters in the order of the official state dict. */
function maeSpecs(config: MaeConfig, sizes: Sizes, seed: number): ParameterSpec[] {
  const { encoder, decoder, maskTokens } = config;
  const { grid, length, channels, values, patch } = sizes;
  const random = new Random(seed, Stream.init);
  const maskWidth = maskTokens === "encoder" ? encoder.width : decoder.width;
  const positions = (width: number) => table(sineCosinePositions(width, grid, true));
  const tokens = length + 1;
  const blocks = (prefix: string, stack: TransformerConfig) =>
    Array.from({ length: stack.depth }, (_, i) => blockSpecs(`${prefix}.${i}`, stack, random)).flat();
  return [
    { name: "cls_token", shape: [1, 1, encoder.width], trainable: true, fill: normal(random, 0.02) },
    {
      name: "pos_embed",
      shape: [1, tokens, encoder.width],
      trainable: false,
      fill: positions(encoder.width),
    },
    { name: "mask_token", shape: [1, 1, maskWidth], trainable: true, fill: normal(random, 0.02) },
    {
      name: "decoder_pos_embed",
      shape: [1, tokens, decoder.width],
      trainable: false,
      fill: positions(decoder.width),
    },
    {
      name: "patch_embed.proj.weight",
      shape: [encoder.width, channels, ...patch],
      trainable: true,
      fill: xavierUniform(random, values, encoder.width),
    },
    // The official code leaves the convolution's bias at PyTorch's default, U(±1 / √fan_in).
    {
      name: "patch_embed.proj.bias",
      shape: [encoder.width],
      trainable: true,
      fill: uniform(random, 1 / Math.sqrt(values)),
    },
    ...blocks("blocks", encoder),
    ...normSpecs("norm", encoder.width),
    ...linearSpecs("decoder_embed", encoder.width, decoder.width, random),
    ...blocks("decoder_blocks", decoder),
    ...normSpecs("decoder_norm", decoder.width),
    ...linearSpecs("decoder_pred", decoder.width, values, random),
  ];
}
