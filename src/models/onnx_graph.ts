/**
 * The encoder or a classifier as an ONNX graph: the same vision transformer (Dosovitskiy et al. 2020) as
 * `src/models/classifier.ts`, in the operators that ONNX runtimes recognise and fuse.
 */
import type { Size } from "../config/types.ts";
import type { OnnxNode, OnnxValue } from "../formats/onnx_messages.ts";
import type { LoadedEntry } from "../formats/tensor_entry.ts";
import type { StackSizes } from "../nn/architecture.ts";
import { patchGrid } from "../ops/pixels/patchify.ts";
import type { Pooling } from "../ops/tokens/pool_tokens.ts";
import { normName } from "./classifier_config.ts";
import { GraphBuilder, type GraphParameter, singlePrecision } from "./onnx_builder.ts";

/** Version of ONNX's operators that the graph is of: the first with `LayerNormalization`. */
export const operatorSet = 17;

/** What the graph computes. */
export interface OnnxGraphConfig {
  /** The blocks. */
  readonly encoder: StackSizes & { readonly heads: number };
  /** Size of the images in pixels; a multiple of the patch size. */
  readonly imageSize: Size;
  /** Size of a patch in pixels. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** What is added to the variance in every layer norm. */
  readonly epsilon: number;
  /** What the vector of an image is made of. */
  readonly pooling: Pooling;
  /** Number of classes of a classifier; null for the encoder. */
  readonly classes: number | null;
  /** Whether the encoder has the norm of its tokens, which one that was fine-tuned with average pooling has not. */
  readonly hasNorm: boolean;
  /** Statistics by which the graph normalises 8-bit pixels itself; null where it takes normalised images. */
  readonly pixels: { readonly mean: readonly number[]; readonly std: readonly number[] } | null;
  /** Whether parameters of more than one dimension are stored in half precision. */
  readonly half: boolean;
}

/** A graph without the values of its parameters. */
export interface OnnxGraph {
  /** Operators, each after those whose values it reads. */
  readonly nodes: readonly OnnxNode[];
  /** What is given to it. */
  readonly inputs: readonly OnnxValue[];
  /** What comes of it. */
  readonly outputs: readonly OnnxValue[];
  /** Parameters, in the order of their use. */
  readonly parameters: readonly GraphParameter[];
  /** Small constants besides. */
  readonly constants: readonly LoadedEntry[];
}

/** The dimension whose length is only known when the graph runs. */
const batch = "batch";

/**
 * The graph of an encoder or a classifier.
 *
 * An encoder gives `last_hidden_state` [batch, 1 + L, D], its tokens after `norm`, where it has one, class token first,
 * and `features` [batch, D]: the class token after `norm`, or the mean of the patch tokens before any norm, through
 * `fc_norm` (gain 1 and bias 0 where the model has none). A classifier gives `logits` [batch, classes].
 * @throws {RangeError} when sizes do not fit together
 */
export function onnxGraph(config: OnnxGraphConfig): OnnxGraph {
  const { encoder: { width, heads, depth }, classes } = config;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new RangeError(`A width of ${width} cannot be shared by ${heads} heads`);
  }
  const [rows, columns] = patchGrid(config.imageSize, config.patchSize);
  const length = rows * columns;
  const graph = new GraphBuilder(config.half);
  const { input, images } = imagesOf(graph, config);
  let x = embedding(graph, config, images, length);
  for (let i = 0; i < depth; i++) x = block(graph, config, `blocks.${i}`, x);
  const vector = [batch, width];
  const outputs: OnnxValue[] = [];
  if (classes === null) {
    features(graph, config, x, length);
    const shape = [batch, 1 + length, width];
    outputs.push({ name: "last_hidden_state", dtype: "F32", shape, description: tokensWords(config) });
    outputs.push({ name: "features", dtype: "F32", shape: vector, description: featuresWords(config) });
  } else {
    const pooled = norm(graph, config, normName(config.pooling), pool(graph, config, x, length));
    linear(graph, "head", pooled, width, classes, "logits");
    outputs.push({ name: "logits", dtype: "F32", shape: [batch, classes], description: "before softmax" });
  }
  return {
    nodes: graph.nodes,
    inputs: [input],
    outputs,
    parameters: [...graph.parameters.values()],
    constants: [...graph.constants.values()],
  };
}

function tokensWords({ hasNorm }: OnnxGraphConfig): string {
  return `tokens ${hasNorm ? "after the last norm" : "of the last block, not normalised"}, class token first`;
}

function featuresWords({ pooling }: OnnxGraphConfig): string {
  return pooling === "average" ? "mean of the patch tokens, then normalised" : "class token after the norm";
}

/** The graph's input, and the name of the normalised images [batch, C, H, W]. */
function imagesOf(graph: GraphBuilder, config: OnnxGraphConfig): { input: OnnxValue; images: string } {
  const { imageSize: [height, width], channels, pixels } = config;
  if (pixels === null) {
    const shape = [batch, channels, height, width];
    const description = "(pixel / 255 - mean) / std of each channel";
    return { input: { name: "pixel_values", dtype: "F32", shape, description }, images: "pixel_values" };
  }
  const name = "normalize";
  const widened = graph.node(name, "Cast", ["images"], { to: { int: singlePrecision } });
  const shares = graph.node(name, "Div", [widened, graph.floats(`${name}.white`, [255])]);
  const mean = graph.floats(`${name}.mean`, pixels.mean, [channels]);
  const std = graph.floats(`${name}.std`, pixels.std, [channels]);
  const normal = graph.node(name, "Div", [graph.node(name, "Sub", [shares, mean]), std]);
  const images = graph.node(name, "Transpose", [normal], { perm: { ints: [0, 3, 1, 2] } }); // [batch, C, H, W]
  const shape = [batch, height, width, channels];
  return { input: { name: "images", dtype: "U8", shape, description: "8-bit pixels" }, images };
}

/** Patches to tokens, with the class token in front and positions added: [batch, 1 + L, D]. */
function embedding(graph: GraphBuilder, config: OnnxGraphConfig, images: string, length: number): string {
  const { encoder: { width }, channels, patchSize } = config;
  const name = "patch_embed.proj";
  const convolved = graph.node(name, "Conv", [
    images,
    graph.parameter(`${name}.weight`, [width, channels, ...patchSize]),
    graph.parameter(`${name}.bias`, [width]),
  ], { kernel_shape: { ints: patchSize }, strides: { ints: patchSize } }); // [batch, D, rows, columns]
  const shape = graph.integers("patch_embed.shape", [0, width, length]); // 0 leaves a dimension as it is
  const flat = graph.node("patch_embed", "Reshape", [convolved, shape]);
  const patches = graph.node("patch_embed", "Transpose", [flat], { perm: { ints: [0, 2, 1] } }); // [batch, L, D]
  const count = graph.node("cls_token", "Shape", [images], { start: { int: 0 }, end: { int: 1 } });
  const rest = graph.integers("cls_token.shape", [1, width]);
  const expanded = graph.node("cls_token", "Concat", [count, rest], { axis: { int: 0 } }); // [batch, 1, D]
  const token = graph.node("cls_token", "Expand", [graph.parameter("cls_token", [1, 1, width]), expanded]);
  const tokens = graph.node("tokens", "Concat", [token, patches], { axis: { int: 1 } });
  return graph.node("tokens", "Add", [tokens, graph.parameter("pos_embed", [1, 1 + length, width])]);
}

/** x + proj(attention(qkv(norm1(x)))), and then x + fc2(gelu(fc1(norm2(x)))). */
function block(graph: GraphBuilder, config: OnnxGraphConfig, name: string, x: string): string {
  const { width, hidden } = config.encoder;
  const attended = attention(graph, config, `${name}.attn`, norm(graph, config, `${name}.norm1`, x));
  const between = graph.node(name, "Add", [x, attended]);
  const normal = norm(graph, config, `${name}.norm2`, between);
  const inner = gelu(graph, `${name}.mlp.act`, linear(graph, `${name}.mlp.fc1`, normal, width, hidden));
  return graph.node(name, "Add", [between, linear(graph, `${name}.mlp.fc2`, inner, hidden, width)]);
}

/** Self-attention from the packed projection, whose rows are q, k and v, each head by head: [batch, T, D] → the same. */
function attention(graph: GraphBuilder, { encoder }: OnnxGraphConfig, name: string, x: string): string {
  const { width, heads } = encoder;
  const packed = linear(graph, `${name}.qkv`, x, width, 3 * width); // [batch, T, 3 · D]
  const parts = graph.split(name, packed, 2, ["q", "k", "v"]);
  const perHead = graph.integers("attention.heads", [0, 0, heads, width / heads]);
  const [q, k, v] = parts.map((part, i) => {
    const split = graph.node(name, "Reshape", [part, perHead]); // [batch, T, heads, d]
    // [batch, heads, T, d], and for k [batch, heads, d, T]
    return graph.node(name, "Transpose", [split], { perm: { ints: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] } });
  });
  const scale = graph.floats("attention.scale", [(width / heads) ** -0.5]);
  const scores = graph.node(name, "MatMul", [graph.node(name, "Mul", [q, scale]), k]); // [batch, heads, T, T]
  const shares = graph.node(name, "Softmax", [scores], { axis: { int: 3 } });
  const mixed = graph.node(name, "MatMul", [shares, v]); // [batch, heads, T, d]
  const merged = graph.node(name, "Transpose", [mixed], { perm: { ints: [0, 2, 1, 3] } });
  const flat = graph.node(name, "Reshape", [merged, graph.integers("attention.width", [0, 0, width])]);
  return linear(graph, `${name}.proj`, flat, width, width);
}

/** The exact GELU, x / 2 · (1 + erf(x / √2)), in the order of operators that runtimes look for to fuse it. */
function gelu(graph: GraphBuilder, name: string, x: string): string {
  const erf = graph.node(name, "Erf", [
    graph.node(name, "Div", [x, graph.floats("gelu.sqrt2", [Math.SQRT2])]),
  ]);
  const raised = graph.node(name, "Add", [erf, graph.floats("gelu.one", [1])]);
  const product = graph.node(name, "Mul", [x, raised]);
  return graph.node(name, "Mul", [product, graph.floats("gelu.half", [0.5])]);
}

function linear(
  graph: GraphBuilder,
  name: string,
  x: string,
  inputs: number,
  outputs: number,
  result?: string,
): string {
  const weight = graph.parameter(`${name}.weight`, [outputs, inputs], { transposed: true });
  const product = graph.node(name, "MatMul", [x, weight]);
  return graph.node(name, "Add", [product, graph.parameter(`${name}.bias`, [outputs])], {}, result);
}

/** Layer norm over the last dimension of tokens [batch, T, D] or of vectors [batch, D]. */
function norm(
  graph: GraphBuilder,
  { encoder: { width }, epsilon }: OnnxGraphConfig,
  name: string,
  x: string,
  { result, isOptional = false }: { result?: string; isOptional?: boolean } = {},
): string {
  const weight = graph.parameter(`${name}.weight`, [width], isOptional ? { fill: 1 } : {});
  const bias = graph.parameter(`${name}.bias`, [width], isOptional ? { fill: 0 } : {});
  return graph.node(name, "LayerNormalization", [x, weight, bias], { epsilon: { float: epsilon } }, result);
}

/** [batch, 1 + L, D] → [batch, D]: the class token, or the mean of the patch tokens. */
function pool(
  graph: GraphBuilder,
  { pooling }: OnnxGraphConfig,
  tokens: string,
  length: number,
  result?: string,
): string {
  if (pooling === "class_token") {
    const first = graph.integers("pool.first", [0], []);
    return graph.node("pool", "Gather", [tokens, first], { axis: { int: 1 } }, result);
  }
  const place = (name: string, value: number) => graph.integers(`pool.${name}`, [value]);
  const places = [place("from", 1), place("to", 1 + length), place("axis", 1)];
  const patches = graph.node("pool", "Slice", [tokens, ...places]); // [batch, L, D]
  return graph.node(
    "pool",
    "ReduceMean",
    [patches],
    { axes: { ints: [1] }, keepdims: { int: 0 } },
    result,
  );
}

/** Adds what ends in `last_hidden_state` and `features`. */
function features(graph: GraphBuilder, config: OnnxGraphConfig, tokens: string, length: number): void {
  const result = "last_hidden_state";
  if (config.hasNorm || config.pooling === "class_token") norm(graph, config, "norm", tokens, { result });
  else graph.node(result, "Identity", [tokens], {}, result);
  if (config.pooling === "class_token") pool(graph, config, result, length, "features");
  else {
    const mean = pool(graph, config, tokens, length);
    norm(graph, config, normName("average"), mean, { result: "features", isOptional: true });
  }
}
