/** What a training step computes: each kernel's sizes and how often it runs, derived from the model's sizes alone. */
import type { TransformerConfig } from "../config/types.ts";
import { hiddenWidth } from "../nn/block.ts";
import { keptCount } from "../ops/tokens/masking.ts";
import type { ProductForm } from "../ops/product/product_form.ts";
import type { BenchConfig } from "./configurations.ts";

/** Which way through the network. */
export type Direction = "forward" | "backward";

/** A matrix product C [m, n] with k terms per sum, and what it does besides. */
export interface ProductShape {
  /** Discriminates shapes. */
  readonly kind: "product";
  /** NN is A·B, NT is A·Bᵀ, TN is Aᵀ·B. */
  readonly form: ProductForm;
  /** Rows of C. */
  readonly m: number;
  /** Terms of each sum. */
  readonly k: number;
  /** Columns of C. */
  readonly n: number;
  /** What is done to the result, or (`column sums`) to the left factor, in the same kernel. */
  readonly epilogue: "none" | "bias" | "bias, gelu" | "bias, residual" | "gelu slope" | "column sums";
  /** Which of A, B and C are in half precision: "", "ac"; what the epilogue reads or writes besides goes with C. */
  readonly halves: string;
}

/** A layer norm of `rows` rows. */
export interface LayerNormShape {
  /** Discriminates shapes. */
  readonly kind: "layer norm";
  /** Which way. */
  readonly direction: Direction;
  /** Rows. */
  readonly rows: number;
  /** Values of a row. */
  readonly width: number;
  /** Whether the normalised rows are in half precision. */
  readonly half: boolean;
}

/** Self-attention from the packed queries, keys and values. */
export interface AttentionShape {
  /** Discriminates shapes. */
  readonly kind: "attention";
  /** Which way. */
  readonly direction: Direction;
  /** Images. */
  readonly images: number;
  /** Tokens of an image, the class token included. */
  readonly tokens: number;
  /** Heads. */
  readonly heads: number;
  /** Values of a head. */
  readonly headWidth: number;
  /** Whether everything is in half precision. */
  readonly half: boolean;
}

/** The masked pixel loss. */
export interface LossShape {
  /** Discriminates shapes. */
  readonly kind: "pixel loss";
  /** Which way. */
  readonly direction: Direction;
  /** Images. */
  readonly images: number;
  /** Patches of an image. */
  readonly patches: number;
  /** Values of a patch. */
  readonly values: number;
}

/** Global norm, decisions and AdamW over every weight matrix, which hold all but a thousandth of the parameters. */
export interface UpdateShape {
  /** Discriminates shapes. */
  readonly kind: "adamw";
  /** Rows and columns of each matrix. */
  readonly matrices: readonly (readonly [rows: number, columns: number])[];
}

/** Moving tokens: `take` picks the kept patches, `assemble` makes the encoder's input, `scatter` the decoder's. */
export interface TokensShape {
  /** Discriminates shapes. */
  readonly kind: "tokens";
  /** What is done. */
  readonly step: "take" | "assemble" | "scatter";
  /** Which way; patches are data, so that `take` only goes forward. */
  readonly direction: Direction;
  /** Images. */
  readonly images: number;
  /** Patches of an image. */
  readonly patches: number;
  /** Kept patches of an image. */
  readonly kept: number;
  /** Values of a token. */
  readonly width: number;
}

/** Sizes of one kernel. */
export type KernelShape =
  | ProductShape
  | LayerNormShape
  | AttentionShape
  | LossShape
  | UpdateShape
  | TokensShape;

/** A kernel as a step uses it. */
export interface KernelUse {
  /** Its sizes. */
  readonly shape: KernelShape;
  /** How often a step runs it. */
  readonly count: number;
}

/** Every kernel of a training step that has a row of its own, equal ones together, in the order of the step. */
export function kernelUses(config: BenchConfig): KernelUse[] {
  const { model, batch } = config;
  const { length, kept, removed, values } = tokenSizes(config);
  const { encoder, decoder } = model;
  const how = { half: config.precision === "f16", forwards: config.remat ? 2 : 1 };
  const encoderRows = batch * (1 + kept);
  const common = { images: batch, patches: length, kept };
  const takes = kept < length;
  const predicted = removed > 0 ? removed : length; // patches of an image that the loss sees
  const decoded = batch * (removed > 0 ? removed : 1 + length); // tokens after the decoder's last attention
  return merge([
    ...(takes ? [tokens({ ...common, step: "take", direction: "forward", width: values })] : []),
    product("NT", batch * kept, values, encoder.width, "bias"),
    product("TN", encoder.width, batch * kept, values, "column sums"),
    ...bothWays((direction) => tokens({ ...common, step: "assemble", direction, width: encoder.width })),
    ...stack(encoder, batch, 1 + kept, how),
    ...linear(encoderRows, encoder.width, decoder.width, "bias"),
    ...(takes
      ? bothWays((direction) => tokens({ ...common, step: "scatter", direction, width: decoder.width }))
      : []),
    ...stack(decoder, batch, 1 + length, how, decoded),
    ...linear(batch * predicted, decoder.width, values, "bias"),
    ...bothWays((direction): KernelShape => ({
      kind: "pixel loss",
      direction,
      images: batch,
      patches: predicted,
      values,
    })),
    update(config, values),
  ]);
}

/** Patches, those that the encoder sees, those that are removed, and values of a patch. */
export function tokenSizes(
  { model, maskRatio }: BenchConfig,
): { length: number; kept: number; removed: number; values: number } {
  const { imageSize, patchSize, channels, maskTokens } = model;
  const length = (imageSize[0] / patchSize[0]) * (imageSize[1] / patchSize[1]);
  const kept = keptCount(length, maskRatio);
  return {
    length,
    kept: maskTokens === "encoder" ? length : kept,
    removed: length - kept,
    values: patchSize[0] * patchSize[1] * channels,
  };
}

/** How blocks compute. */
export interface BlockOptions {
  /** What they keep is in half precision, all but the residual stream, parameters and their gradients. */
  readonly half: boolean;
  /** How often each goes forward. */
  readonly forwards: number;
}

/** A stack of blocks and the layer norm after it. `ending` rows go on after the last attention. */
export function stack(
  sizes: TransformerConfig,
  images: number,
  tokens: number,
  options: BlockOptions,
  ending = images * tokens,
): KernelUse[] {
  const { width, depth, heads } = sizes;
  const { half, forwards } = options;
  const hidden = hiddenWidth(sizes);
  const rows = images * tokens;
  const norm = (rows: number, half: boolean) =>
    bothWays((direction): KernelShape => ({
      kind: "layer norm",
      direction,
      rows,
      width,
      half: half && direction === "forward",
    }));
  const headWidth = width / heads;
  const attend = [
    ...norm(rows, half),
    ...linear(rows, width, 3 * width, "bias", { input: half, output: half }),
    ...bothWays((direction): KernelShape => ({
      kind: "attention",
      direction,
      images,
      tokens,
      heads,
      headWidth,
      half,
    })),
    ...linear(rows, width, width, "bias, residual", { input: half }),
  ];
  const mlp = (rows: number) => [
    ...norm(rows, half),
    ...linear(rows, width, hidden, "bias, gelu", { input: half, output: half }),
    ...linear(rows, hidden, width, "bias, residual", { input: half, backEpilogue: "gelu slope" }),
  ];
  const times = (uses: KernelUse[], blocks: number) =>
    uses.map(({ shape, count }) => ({ shape, count: count * blocks * (isForward(shape) ? forwards : 1) }));
  return [
    ...times(attend, depth),
    ...times(mlp(rows), depth - 1),
    ...times(mlp(ending), 1),
    ...norm(ending, false),
  ].filter(({ count }) => count > 0);
}

/** Whether a kernel runs on the way there. */
export function isForward(shape: KernelShape): boolean {
  return shape.kind === "product"
    ? shape.form === "NT"
    : "direction" in shape && shape.direction === "forward";
}

/** What a linear layer's operands are besides its sizes. */
export interface LinearOptions {
  /** Whether x (and, but for a layer norm's sake, its gradient) is in half precision. */
  readonly input?: boolean;
  /** Whether y and its gradient are. */
  readonly output?: boolean;
  /** What the product that gives the gradient of x does besides. */
  readonly backEpilogue?: ProductShape["epilogue"];
}

/**
 * A linear layer's three products: y = x Wᵀ, dx = dy W, dW = dyᵀ x. Where both sides are halves x comes from a layer norm,
 * which takes its gradient in single precision.
 */
export function linear(
  rows: number,
  inputs: number,
  outputs: number,
  epilogue: ProductShape["epilogue"],
  { input = false, output = false, backEpilogue = "none" }: LinearOptions = {},
): KernelUse[] {
  const halves = (a: boolean, b: boolean, c: boolean) => `${a ? "a" : ""}${b ? "b" : ""}${c ? "c" : ""}`;
  return [
    product("NT", rows, inputs, outputs, epilogue, halves(input, false, output)),
    product("NN", rows, outputs, inputs, backEpilogue, halves(output, false, input && !output)),
    product("TN", outputs, rows, inputs, "column sums", halves(output, input, false)),
  ];
}

/** One product. */
export function product(
  form: ProductForm,
  m: number,
  k: number,
  n: number,
  epilogue: ProductShape["epilogue"],
  halves = "",
): KernelUse {
  return { shape: { kind: "product", form, m, k, n, epilogue, halves }, count: 1 };
}

function tokens(shape: Omit<TokensShape, "kind">): KernelUse {
  return { shape: { kind: "tokens", ...shape }, count: 1 };
}

function bothWays(make: (direction: Direction) => KernelShape | KernelUse): KernelUse[] {
  return (["forward", "backward"] as const).map(make).map((made) =>
    "shape" in made ? made : { shape: made, count: 1 }
  );
}

/** AdamW, once for all. */
function update({ model }: BenchConfig, values: number): KernelUse {
  const { encoder, decoder } = model;
  const matrices: [number, number][] = [
    [encoder.width, values],
    ...weights(encoder),
    [decoder.width, encoder.width],
    ...weights(decoder),
    [values, decoder.width],
  ];
  return { shape: { kind: "adamw", matrices }, count: 1 };
}

function weights(sizes: TransformerConfig): [rows: number, columns: number][] {
  const { width, depth } = sizes;
  const hidden = hiddenWidth(sizes);
  const block: [number, number][] = [[3 * width, width], [width, width], [hidden, width], [width, hidden]];
  return Array.from({ length: depth }, () => block).flat();
}

/** Equal shapes together. */
export function merge(uses: readonly KernelUse[]): KernelUse[] {
  const merged = new Map<string, KernelUse>();
  for (const { shape, count } of uses) {
    const key = JSON.stringify(shape);
    merged.set(key, { shape, count: count + (merged.get(key)?.count ?? 0) });
  }
  return [...merged.values()];
}
