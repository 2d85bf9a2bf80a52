/** What of a model an ONNX file is to hold: which graph, for which images. */
import { defaultStatistics } from "../../config/common_sections.ts";
import type { Size } from "../../config/types.ts";
import type { OnnxGraphConfig } from "../../models/onnx_graph.ts";
import type { Pooling } from "../../ops/tokens/pool_tokens.ts";
import { InputError } from "../../util/errors.ts";
import { encoderOf, type ModelSource } from "./model_source.ts";

/** What is read of an open model. */
export type OnnxSource = Pick<
  ModelSource,
  "path" | "tensors" | "read" | "description" | "architecture" | "facts"
>;

/** What is written, and how. */
export interface OnnxOptions {
  /** `classifier` for logits, which is the default where the model has a head; `encoder` for tokens and features. */
  readonly model?: "encoder" | "classifier";
  /** What an encoder's features are made of: as the model's head reads them, or else of the class token. */
  readonly pooling?: Pooling;
  /** Size of the images: that of the model by default; for another one positions are resampled. */
  readonly imageSize?: Size;
  /** Whether the graph takes 8-bit pixels [batch, H, W, C] and normalises them itself; false by default. */
  readonly rawPixels?: boolean;
  /** `f16` stores weights in half the bytes; the graph widens them and computes in single precision all the same. */
  readonly precision?: "f32" | "f16";
  /** Bytes from which weights go into a file of their own; 2^31 - 1 by default, where the format ends. */
  readonly largestFile?: number;
}

/** Patches per column and row that positions are of, and that they are for. */
export interface Grids {
  /** Of the model's images. */
  readonly from: Size;
  /** Of the images that the graph is for. */
  readonly to: Size;
}

/** What comes of a model and the options. */
export interface OnnxPlan {
  /** The graph to make. */
  readonly config: OnnxGraphConfig;
  /** Where positions come from. */
  readonly grids: Grids;
  /** What the file says about itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Decides what is written.
 * @throws {InputError} where the model lacks what is asked for, or its grid of patches is unknown
 */
export function onnxPlan(source: OnnxSource, options: OnnxOptions): OnnxPlan {
  const { architecture, facts } = source;
  const { patchSize, channels } = architecture;
  const classes = classesOf(source, options);
  const pooling = poolingOf(source, classes, options);
  const { grids, imageSize } = sizesOf(source, options.imageSize);
  const usual = defaultStatistics(channels);
  const mean = facts.mean?.length === channels ? facts.mean : usual.mean;
  const std = facts.std?.length === channels ? facts.std : usual.std;
  if (options.rawPixels && (facts.reading?.values === "float32" || facts.reading?.range)) {
    throw new InputError(
      `"${source.path}" takes no bytes from 0 to 255: leave rawPixels out, and normalise its pixels`,
    );
  }
  const config: OnnxGraphConfig = {
    encoder: { ...architecture.encoder, heads: encoderOf(source).heads },
    imageSize,
    patchSize,
    channels,
    epsilon: facts.normEpsilon,
    pooling,
    classes,
    hasNorm: source.tensors.has("norm.weight"),
    pixels: options.rawPixels ? { mean, std } : null,
    half: options.precision === "f16",
  };
  const told = { image_size: imageSize, patch_size: patchSize, channels, mean, std, ...facts.reading };
  const { cropShare, classes: names } = facts;
  const metadata = { ...told, crop_share: cropShare, ...(classes !== null && { classes: names }) };
  return { config, grids, metadata: { ...textsOf(metadata), pooling } };
}

/** What is known, as JSON. */
function textsOf(told: Readonly<Record<string, unknown>>): Record<string, string> {
  const known = Object.entries(told).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known.map(([key, value]) => [key, JSON.stringify(value)]));
}

/** What a vector is made of: a classifier's as it was trained, an encoder's as one wants it. */
function poolingOf(
  { path, tensors, facts }: OnnxSource,
  classes: number | null,
  { pooling }: OnnxOptions,
): Pooling {
  const shown = tensors.has("fc_norm.weight") ? "average" : "class_token";
  if (classes === null) return pooling ?? facts.pooling ?? shown;
  if (facts.pooling === null) {
    throw new InputError(
      `The head of "${path}" reads neither class token nor the patches' average: only its encoder can be written`,
    );
  }
  const trained = facts.pooling ?? shown;
  if (pooling === undefined || pooling === trained) return trained;
  throw new InputError(
    `The head of "${path}" reads ${trained}, not ${pooling}: only its encoder can pool otherwise`,
  );
}

/** How many classes a classifier has; null for an encoder. */
function classesOf({ path, tensors, facts }: OnnxSource, { model }: OnnxOptions): number | null {
  const head = tensors.get("head.weight");
  if (model === "encoder" || model === undefined && head === undefined) return null;
  if (head === undefined) throw new InputError(`"${path}" has no head: only its encoder can be written`);
  const names = facts.classes?.length ?? head.shape[0];
  if (names === head.shape[0]) return names;
  throw new InputError(`"${path}" names ${names} classes, and its head is for ${head.shape[0]}`);
}

/** The grid of the model's positions, and the size of the images that the graph is for. */
function sizesOf(
  { path, architecture, facts }: OnnxSource,
  given: Size | undefined,
): { grids: Grids; imageSize: Size } {
  const { patches, grid, patchSize } = architecture;
  if (patches === null) {
    throw new InputError(
      `"${path}" has no position embedding (pos_embed), without which it is no model to run`,
    );
  }
  const known = facts.imageSize ?? (grid ? [grid[0] * patchSize[0], grid[1] * patchSize[1]] : given);
  if (known === undefined) {
    throw new InputError(
      `"${path}" has positions of ${patches} patches, which is no square: say how large its images are`,
    );
  }
  const from = gridFor(known, patchSize);
  if (from[0] * from[1] !== patches) {
    throw new InputError(
      `"${path}" has positions of ${patches} patches, and images of ${known.join("x")} have ${
        from.join("x")
      }`,
    );
  }
  const imageSize = given ?? known;
  return { grids: { from, to: gridFor(imageSize, patchSize) }, imageSize };
}

function gridFor(imageSize: Size, patchSize: Size): Size {
  const grid: Size = [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]];
  if (grid.every((patches) => Number.isInteger(patches) && patches >= 1)) return grid;
  throw new InputError(
    `Images of ${imageSize.join("x")} are no whole number of patches of ${patchSize.join("x")} pixels`,
  );
}
