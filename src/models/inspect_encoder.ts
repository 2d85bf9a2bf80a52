/** Looking inside an encoder: the tokens after every block, and where each block's heads look. */
import type { Size } from "../config/types.ts";
import { tf } from "../deps/tfjs.ts";
import { readTensors } from "../gpu/tensors.ts";
import { applyBlock, applyLinear, applyNorm } from "../nn/block.ts";
import { parameter } from "../nn/parameters.ts";
import { attentionProbabilities } from "../ops/attention.ts";
import { embedTokens } from "../ops/embed_tokens.ts";
import { patchEmbed } from "../ops/patch_embed.ts";
import type { Classifier } from "./classifier.ts";
import { type TokenStatistics, tokenStatistics } from "./token_statistics.ts";

/** Where the heads of one block look, for one image. */
export interface BlockAttention {
  /** [heads][1 + L]: how the class token's attention is spread, its own share first; each row sums to 1. */
  readonly classToken: readonly Float32Array[];
  /** [heads]: entropy of those rows, in nats; at most ln(1 + L). */
  readonly classEntropy: readonly number[];
  /** [heads]: entropy of a patch token's attention, in nats, mean over patches. */
  readonly entropy: readonly number[];
  /**
   * [heads]: mean attention distance in pixels, mean over patches: how far the patches that a patch looks at lie from it,
   * centre to centre, weighted by its attention to each, of which the class token's share is left out (Dosovitskiy et al.
   * 2020, appendix D.7).
   */
  readonly distance: readonly number[];
}

/** One layer of an encoder for one image: the embedded tokens, or what a block made of them. */
export interface EncoderLayer {
  /** Statistics of the residual stream after the layer, before any last norm. */
  readonly tokens: TokenStatistics;
  /** What the block's heads look at; null for the embedding. */
  readonly attention: BlockAttention | null;
}

/**
 * Everything about one image's way through an encoder. The whole image goes in, nothing masked.
 * @param encoder on the open runtime
 * @param image [1, L, p·q·C], its normalised patches as `patchify` makes them
 * @param options `mostProbabilities` bounds memory: so many values of attention are on the device at once, and a handful of
 * intermediates of that size
 * @returns 1 + depth layers: the embedding (tokens with their positions), then each block
 */
export async function inspectEncoder(
  encoder: Classifier,
  image: tf.Tensor,
  { mostProbabilities = 2 ** 22 }: { mostProbabilities?: number } = {},
): Promise<EncoderLayer[]> {
  const { depth, heads, width } = encoder.config.encoder;
  const layers = tf.tidy(() => {
    const made: LayerTensors[] = [{ tokens: embed(encoder, image), attention: [] }];
    for (let i = 0; i < depth; i++) made.push(blockTensors(encoder, i, made[i].tokens, mostProbabilities));
    return made.map(({ tokens, attention }) => [tokens, ...attention]);
  });
  try {
    const values = await readTensors(layers.flat()); // one wait for all
    return layers.map(({ length }) => {
      const [tokens, ...attention] = values.splice(0, length);
      return {
        tokens: tokenStatistics(tokens, width),
        attention: attention.length === 0 ? null : blockAttention(attention, heads),
      };
    });
  } finally {
    tf.dispose(layers.flat());
  }
}

/** Tensors of a layer: its tokens, and of a block the class token's attention and then chunks of distances and entropies. */
interface LayerTensors {
  /** [1, 1 + L, D] */
  readonly tokens: tf.Tensor;
  /** [1, heads, 1, 1 + L], then pairs of [1, heads, chunk]. */
  readonly attention: readonly tf.Tensor[];
}

function embed({ parameters }: Classifier, patches: tf.Tensor): tf.Tensor {
  const named = (name: string) => parameter(parameters, name);
  const tokens = patchEmbed(patches, named("patch_embed.proj.weight"), named("patch_embed.proj.bias"));
  return embedTokens(tokens, named("cls_token"), named("pos_embed"));
}

function blockTensors(
  { parameters, config, grid, patchSize }: Classifier,
  i: number,
  x: tf.Tensor,
  mostProbabilities: number,
): LayerTensors {
  const { heads } = config.encoder;
  const name = `blocks.${i}`;
  const packed = tf.tidy(() =>
    applyLinear(parameters, `${name}.attn.qkv`, applyNorm(parameters, `${name}.norm1`, x))
  );
  const attention: tf.Tensor[] = [attentionProbabilities(packed, heads, { first: 0, count: 1 })];
  const tokens = x.shape[1] as number;
  const chunk = Math.max(1, Math.floor(mostProbabilities / (heads * tokens)));
  for (let first = 1; first < tokens; first += chunk) {
    const count = Math.min(chunk, tokens - first);
    attention.push(...tf.tidy(() => {
      const weights = attentionProbabilities(packed, heads, { first, count });
      return [meanDistances(weights, first - 1, grid, patchSize), entropies(weights)];
    }));
  }
  packed.dispose();
  return { tokens: tf.tidy(() => applyBlock(parameters, name, heads, x)), attention };
}

/** [1, heads, queries, 1 + L] → [1, heads, queries]; queries are the patches from `first` on. */
function meanDistances(weights: tf.Tensor4D, first: number, grid: Size, patchSize: Size): tf.Tensor {
  const [, heads, count, tokens] = weights.shape;
  const patches = tf.slice(weights, [0, 0, 0, 1], [1, heads, count, tokens - 1]);
  const pixels = distances(first, count, grid, patchSize);
  const total = tf.maximum(tf.sum(patches, -1), 1e-30); // where the class token takes everything
  return tf.div(tf.sum(tf.mul(patches, pixels), -1), total);
}

/** [queries, L]: pixels between the centres of patches. */
function distances(first: number, count: number, [rows, columns]: Size, [height, width]: Size): tf.Tensor2D {
  const values = new Float32Array(count * rows * columns);
  for (let at = 0; at < values.length; at++) {
    const [from, to] = [first + Math.floor(at / (rows * columns)), at % (rows * columns)];
    const down = Math.floor(from / columns) - Math.floor(to / columns);
    const right = from % columns - to % columns;
    values[at] = Math.hypot(down * height, right * width);
  }
  return tf.tensor2d(values, [count, rows * columns]);
}

/** [1, heads, queries, T] → [1, heads, queries], in nats. */
function entropies(weights: tf.Tensor4D): tf.Tensor {
  return tf.neg(tf.sum(tf.mul(weights, tf.log(tf.maximum(weights, 1e-30))), -1));
}

function blockAttention([classToken, ...chunks]: Float32Array[], heads: number): BlockAttention {
  const rows = rowsOf(classToken, heads);
  return {
    classToken: rows,
    classEntropy: rows.map((row) => row.reduce((sum, p) => p > 0 ? sum - p * Math.log(p) : sum, 0)),
    entropy: meansByHead(chunks.filter((_, i) => i % 2 === 1), heads),
    distance: meansByHead(chunks.filter((_, i) => i % 2 === 0), heads),
  };
}

function rowsOf(values: Float32Array, rows: number): Float32Array[] {
  const length = values.length / rows;
  return Array.from({ length: rows }, (_, row) => values.slice(row * length, (row + 1) * length));
}

/** Means over the queries of all chunks, each [heads, queries]. */
function meansByHead(chunks: readonly Float32Array[], heads: number): number[] {
  const [sums, count] = [
    new Float64Array(heads),
    chunks.reduce((sum, { length }) => sum + length / heads, 0),
  ];
  for (const chunk of chunks) {
    rowsOf(chunk, heads).forEach((row, head) => sums[head] += row.reduce((sum, value) => sum + value, 0));
  }
  return Array.from(sums, (sum) => sum / count);
}
