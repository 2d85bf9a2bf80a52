/** The names of Hugging Face's ViTMAEForPreTraining, ViTMAEModel, ViTForImageClassification and ViTModel. */
import { type NameRule, Naming } from "./naming.ts";

/** Parts of a block; queries, keys and values are three tensors each. */
const block: readonly NameRule[] = [
  { official: "norm1", stored: ["layernorm_before"] },
  {
    official: "attn.qkv",
    stored: ["attention.attention.query", "attention.attention.key", "attention.attention.value"],
  },
  { official: "attn.proj", stored: ["attention.output.dense"] },
  { official: "norm2", stored: ["layernorm_after"] },
  { official: "mlp.fc1", stored: ["intermediate.dense"] },
  { official: "mlp.fc2", stored: ["output.dense"] },
];

/** What `ViTMAEModel` and `ViTModel` have, which the others have under `vit.`. */
const encoder: readonly NameRule[] = [
  { official: "cls_token", stored: ["embeddings.cls_token"] },
  { official: "pos_embed", stored: ["embeddings.position_embeddings"] },
  { official: "patch_embed.proj", stored: ["embeddings.patch_embeddings.projection"] },
  ...under("blocks.#.", "encoder.layer.#.", block),
  { official: "norm", stored: ["layernorm"] },
];

/** What comes on top of the encoder. */
const others: readonly NameRule[] = [
  { official: "mask_token", stored: ["decoder.mask_token"] },
  { official: "decoder_pos_embed", stored: ["decoder.decoder_pos_embed"] },
  { official: "decoder_embed", stored: ["decoder.decoder_embed"] },
  ...under("decoder_blocks.#.", "decoder.decoder_layers.#.", block),
  { official: "decoder_norm", stored: ["decoder.decoder_norm"] },
  { official: "decoder_pred", stored: ["decoder.decoder_pred"] },
  { official: "head", stored: ["classifier"] },
];

function under(official: string, stored: string, rules: readonly NameRule[]): NameRule[] {
  return rules.map((rule) => ({
    official: official + rule.official,
    stored: rule.stored.map((name) => stored + name),
  }));
}

/** The names, with the encoder's under `prefix`: `vit.`, or nothing for models that are an encoder alone. */
export function huggingFaceNaming(prefix: string): Naming {
  return new Naming([...under("", prefix, encoder), ...others]);
}
