/** Sizes of a classifier, which of its parts are trained, and its first values. */
import type { Size, TransformerConfig } from "../config/types.ts";
import { blockSpecs, normSpecs } from "../nn/block.ts";
import { constant, normal, uniform } from "../nn/initialize.ts";
import type { ParameterSpec } from "../nn/parameters.ts";
import { patchGrid } from "../ops/pixels/patchify.ts";
import type { Pooling } from "../ops/tokens/pool_tokens.ts";
import { InputError } from "../util/errors.ts";
import { Random, Stream } from "../util/random.ts";
import { asSize } from "./mae.ts";

/** Architecture of a classifier and what of it is trained. */
export interface ClassifierConfig {
  /** Pixels: a number for squares, or [height, width]. */
  readonly imageSize: number | Size;
  /** Pixels: a number for squares, or [height, width]; divides the image size. */
  readonly patchSize: number | Size;
  /** Values per pixel, any number from 1; 3 by default. */
  readonly channels?: number;
  /** The blocks. */
  readonly encoder: TransformerConfig;
  /** Number of classes. */
  readonly classes: number;
  /**
   * `average` (the official fine-tuning's global pool) averages the patch tokens and normalises them with `fc_norm`;
   * `class_token` takes the class token after `norm`.
   */
  readonly pooling: Pooling;
  /** What every layer norm adds to the variance; 1e-6 by default, as in the official code. */
  readonly normEpsilon?: number;
  /** Rate at which the last block's branches are left out in training; it rises linearly from 0 in the first. 0 by default. */
  readonly dropPath?: number;
  /**
   * How many of the last blocks are trained: 0 for the head only, 0.5 for the MLP half of the last block, or a whole number.
   * The norm before the head is trained from 0.5 on; class token, positions and patch embedding only with `all` (default).
   * Drop path applies to trained blocks only.
   */
  readonly trainBlocks?: number | "all";
  /**
   * Deviation of the head's first weights: 2e-5 (default) as the official fine-tuning of a pre-trained encoder, 0.02 as it
   * has it when training from scratch.
   */
  readonly headDeviation?: number;
}

/** The sizes a configuration comes to, with every default filled in. */
export interface ClassifierSizes {
  /** Pixels, [height, width]. */
  readonly image: Size;
  /** Pixels of a patch, [height, width]. */
  readonly patch: Size;
  /** Patches per column and per row. */
  readonly grid: Size;
  /** Patches per image. */
  readonly length: number;
  /** Values per pixel. */
  readonly channels: number;
  /** Values of a patch. */
  readonly values: number;
  /** Halves of blocks that are trained, the last ones. */
  readonly trainedHalves: number;
  /** Whether class token, positions and patch embedding are trained. */
  readonly trainsEmbedding: boolean;
}

/** Name of the norm before the head. */
export function normName(pooling: Pooling): string {
  return pooling === "average" ? "fc_norm" : "norm";
}

/**
 * The sizes a configuration comes to.
 * @throws {RangeError} when they do not fit together
 * @throws {InputError} when `trainBlocks` is not possible
 */
export function classifierSizes(config: ClassifierConfig): ClassifierSizes {
  const { encoder: { width, depth, heads, mlpRatio }, channels = 3, classes, dropPath = 0 } = config;
  const [image, patch] = [asSize(config.imageSize), asSize(config.patchSize)];
  const grid = patchGrid(image, patch);
  for (const [name, value] of Object.entries({ channels, classes, "encoder.depth": depth })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number from 1, not ${value}`);
    }
  }
  if (!Number.isInteger(heads) || heads < 1 || !Number.isInteger(width) || width < 1 || width % heads !== 0) {
    throw new RangeError(`encoder.width ${width} must be a multiple of its ${heads} heads`);
  }
  if (!(width * mlpRatio >= 1)) throw new RangeError(`encoder.mlpRatio ${mlpRatio} leaves no hidden layer`);
  if (!(dropPath >= 0 && dropPath < 1)) throw new RangeError(`dropPath must be in [0, 1), not ${dropPath}`);
  return {
    image,
    patch,
    grid,
    length: grid[0] * grid[1],
    channels,
    values: patch[0] * patch[1] * channels,
    trainedHalves: trainedHalves(config),
    trainsEmbedding: (config.trainBlocks ?? "all") === "all",
  };
}

function trainedHalves({ trainBlocks = "all", encoder: { depth } }: ClassifierConfig): number {
  if (trainBlocks === "all") return 2 * depth;
  const possible = trainBlocks === 0.5 ||
    Number.isInteger(trainBlocks) && trainBlocks >= 0 && trainBlocks <= depth;
  if (!possible) {
    throw new InputError(
      `${trainBlocks} blocks cannot be trained: give 0, 0.5 or a whole number up to ${depth}, or all`,
    );
  }
  return 2 * trainBlocks;
}

/** All parameters in the order of the official model, with the first values of the official code (timm's). */
export function classifierSpecs(
  config: ClassifierConfig,
  sizes: ClassifierSizes,
  seed: number,
): ParameterSpec[] {
  const { encoder, classes, pooling, headDeviation = 2e-5 } = config;
  const { width, depth } = encoder;
  const { length, channels, values, patch } = sizes;
  const random = new Random(seed, Stream.init);
  // timm truncates at ±2, a hundred deviations out: that is the plain normal distribution.
  const small = normal(random, 0.02);
  const convolution = uniform(random, 1 / Math.sqrt(values)); // PyTorch's default for weight and bias
  const trainable = true;
  const blocks = Array.from({ length: depth }, (_, i) => blockSpecs(`blocks.${i}`, encoder, random)).flat()
    .map((spec) => spec.shape.length > 1 ? { ...spec, fill: small } : spec);
  const norm = normSpecs(normName(pooling), width);
  const head: ParameterSpec[] = [
    { name: "head.weight", shape: [classes, width], trainable, fill: normal(random, headDeviation) },
    { name: "head.bias", shape: [classes], trainable, fill: constant(0) },
  ];
  const specs: ParameterSpec[] = [
    { name: "cls_token", shape: [1, 1, width], trainable, fill: small },
    { name: "pos_embed", shape: [1, 1 + length, width], trainable, fill: small },
    { name: "patch_embed.proj.weight", shape: [width, channels, ...patch], trainable, fill: convolution },
    { name: "patch_embed.proj.bias", shape: [width], trainable, fill: convolution },
    ...blocks,
    // The official code takes `norm` out and adds `fc_norm` at the end.
    ...(pooling === "average" ? [...head, ...norm] : [...norm, ...head]),
  ];
  return specs.map((spec) => ({ ...spec, trainable: isTrained(spec.name, sizes, depth) }));
}

function isTrained(
  name: string,
  { trainedHalves, trainsEmbedding }: ClassifierSizes,
  depth: number,
): boolean {
  if (name.startsWith("head.")) return true;
  if (name.startsWith("norm.") || name.startsWith("fc_norm.")) return trainedHalves > 0;
  const [, block, part] = /^blocks\.(\d+)\.(\w+)/.exec(name) ?? [];
  if (block === undefined) return trainsEmbedding;
  const half = 2 * Number(block) + (part === "norm2" || part === "mlp" ? 1 : 0);
  return half >= 2 * depth - trainedHalves;
}
