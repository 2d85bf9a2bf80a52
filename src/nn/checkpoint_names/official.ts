/** The names of the official MAE models, which timm's vision transformers share, and what of timm's no MAE has. */
import { Naming } from "./naming.ts";

/** Every tensor outside of blocks, of pre-training and of classifiers; weights and biases as one. */
export const officialParts = {
  encoder: ["cls_token", "pos_embed", "patch_embed.proj", "norm"],
  decoder: ["mask_token", "decoder_pos_embed", "decoder_embed", "decoder_norm", "decoder_pred"],
  classifier: ["fc_norm", "head"],
  block: ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"],
} as const;

const { encoder, decoder, classifier, block } = officialParts;
const ofBlocks = (prefix: string) => block.map((part) => `${prefix}.#.${part}`);

/** The official names, each as itself. */
export const officialNaming: Naming = new Naming(
  [...encoder, ...ofBlocks("blocks"), ...decoder, ...ofBlocks("decoder_blocks"), ...classifier]
    .map((name) => ({ official: name, stored: [name] })),
);

/** What vision transformers have that MAE's do not, by the names that give it away. */
const foreignParts: readonly (readonly [what: string, names: RegExp])[] = [
  ["layer scale", /(^|\.)(ls[12]\.gamma|gamma_[12]|lambda_[12]|layer_scale[12]?\.\w+)$/],
  ["register tokens", /(^|\.)(reg_token|register_tokens)$/],
  ["a distillation token", /(^|\.)(dist_token|distillation_token|head_dist\.\w+)$/],
  ["a norm before its blocks", /^(norm_pre|pre_layrnorm)\./],
  ["a norm in its patch embedding", /^patch_embed\.norm\./],
  ["normalised queries and keys", /\.(q_norm|k_norm)\./],
  ["relative positions", /relative_position_bias|rel_pos/],
  ["attention pooling", /^attn_pool\./],
  ["a gated MLP", /\.mlp\.(w12|w1|w2|w3|fc1_g|fc1_x)\./],
];

/**
 * What the tensor of a model (by its name in the file, without any prefix) shows that MAE has nothing like: loading the
 * rest would make a model that computes something else. Null for any other name.
 */
export function foreignPart(name: string): string | null {
  const found = foreignParts.find(([, names]) => names.test(name));
  if (found) return found[0];
  return /^(blocks|decoder_blocks|encoder\.layer|decoder\.decoder_layers)\.\d+\./.test(name)
    ? "parts in its blocks that are unknown here"
    : null;
}
