/** What the encoder with its head computes on whole images: the products and attentions that make up its operations. */
import { type BenchConfig, type BenchWork, finetuneSizes } from "./configurations.ts";
import { isForward, type KernelUse, linear, merge, product, stack, tokenSizes } from "./shapes.ts";

/** The products, attentions and layer norms of blocks in a fine-tuning step, or those on the way to the features. */
export function classifierUses(config: BenchConfig, work: Exclude<BenchWork, "pretrain">): KernelUse[] {
  const { model: { encoder }, batch, precision, remat } = config;
  const { length, values } = tokenSizes(config);
  const embed = product("NT", batch * length, values, encoder.width, "bias");
  const how = { half: precision === "f16", forwards: remat ? 2 : 1 };
  // Of the features only the class token goes on after the last attention.
  const ending = work === "features" ? batch : batch * (1 + length);
  const blocks = stack(encoder, batch, 1 + length, how, ending);
  if (work === "features") return merge([embed, ...blocks.filter(({ shape }) => isForward(shape))]);
  return merge([
    embed,
    product("TN", encoder.width, batch * length, values, "column sums"),
    ...blocks,
    ...linear(batch, encoder.width, finetuneSizes.classes, "bias"),
  ]);
}
