/** What the arguments say that the official code stores in its training checkpoints. */
import { number, oneOf, text, truth, whole } from "../../config/kinds.ts";
import { presets } from "../../config/presets.ts";
import { TorchRecord, type TorchValue } from "../../formats/torch_value.ts";
import type { Said } from "./model_said.ts";

/** `mae_vit_large_patch16_dec512d8b`, `vit_huge_patch14` */
const officialName = /^(?:mae_)?(vit_(?:base|large|huge))_patch\d+(_dec512d8b)?$/;

/** What `args` of a training checkpoint says; null where there is none. Values of other kinds than expected say nothing. */
export function saidByArguments(root: TorchValue): Said | null {
  const args = root instanceof Map ? root.get("args") : undefined;
  const fields = args instanceof TorchRecord ? args.fields : args instanceof Map ? args : null;
  if (fields === null) return null;
  const [, preset] = officialName.exec(text("a name").parse(fields.get("model")) ?? "") ?? [];
  const side = whole(1, 65536).parse(fields.get("input_size"));
  const pools = either(fields.get("global_pool"));
  return {
    origin: "its training arguments",
    ...(preset !== undefined && { heads: presets[preset].heads }),
    ...(side !== undefined && { imageSize: [side, side] }),
    normalizeTarget: truth().parse(fields.get("norm_pix_loss")),
    maskRatio: number({ above: 0, below: 1 }).parse(fields.get("mask_ratio")),
    ...(pools !== undefined && { pooling: pools ? "average" : "class_token" }),
  };
}

function either(value: TorchValue | undefined): boolean | undefined {
  return truth().parse(value) ??
    (oneOf(0, 1).parse(number().parse(value)) === undefined ? undefined : value === 1);
}
