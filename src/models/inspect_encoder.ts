/** Looking inside an encoder: the tokens after every block, and where each block's heads look. */
import { tf } from "../deps/tfjs.ts";
import { readTensors } from "../gpu/tensors.ts";
import { applyBlock, applyLinear, applyNorm } from "../nn/block.ts";
import { parameter } from "../nn/parameters.ts";
import { embedTokens } from "../ops/tokens/embed_tokens.ts";
import { patchEmbed } from "../ops/pixels/patch_embed.ts";
import { attentionStatistics, type BlockAttention } from "./attention_statistics.ts";
import type { Classifier } from "./classifier.ts";
import { type TokenStatistics, tokenStatistics } from "./token_statistics.ts";

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
 * @returns 1 + depth layers: the embedding (tokens with their positions), then each block
 */
export async function inspectEncoder(encoder: Classifier, image: tf.Tensor): Promise<EncoderLayer[]> {
  const { config: { encoder: { depth, heads, width } }, grid, patchSize } = encoder;
  const layers = tf.tidy(() => {
    const made: LayerTensors[] = [{ tokens: embed(encoder, image), packed: [] }];
    for (let i = 0; i < depth; i++) made.push(blockTensors(encoder, i, made[i].tokens));
    return made.map(({ tokens, packed }) => [tokens, ...packed]);
  });
  try {
    const values = await readTensors(layers.flat()); // one wait for all
    return layers.map(({ length }) => {
      const [tokens, packed] = values.splice(0, length);
      const attention = length === 1 ? null : attentionStatistics(packed, { heads, grid, patchSize });
      return { tokens: tokenStatistics(tokens, width), attention };
    });
  } finally {
    tf.dispose(layers.flat());
  }
}

/** Tensors of a layer. */
interface LayerTensors {
  /** [1, 1 + L, D] */
  readonly tokens: tf.Tensor;
  /** Of a block: its queries, keys and values, [1, 1 + L, 3 · D]. */
  readonly packed: readonly tf.Tensor[];
}

function embed({ parameters }: Classifier, patches: tf.Tensor): tf.Tensor {
  const named = (name: string) => parameter(parameters, name);
  const tokens = patchEmbed(patches, named("patch_embed.proj.weight"), named("patch_embed.proj.bias"));
  return embedTokens(tokens, named("cls_token"), named("pos_embed"));
}

function blockTensors({ parameters, config }: Classifier, i: number, x: tf.Tensor): LayerTensors {
  const { encoder: { heads }, normEpsilon: epsilon } = config;
  const name = `blocks.${i}`;
  return tf.tidy(() => {
    const normed = applyNorm(parameters, `${name}.norm1`, x, epsilon);
    const packed = applyLinear(parameters, `${name}.attn.qkv`, normed);
    return { tokens: applyBlock(parameters, name, heads, x, { epsilon }), packed: [packed] };
  });
}
