/** What `mae inspect` says about a model: whose it is, its sizes, and what is known besides. */

import type { Size } from "../config/types.ts";
import type { TensorOutline } from "../formats/tensor_source.ts";
import type { StackSizes } from "../nn/architecture.ts";
import { groupedNames } from "../train/model_files/convert_plan.ts";
import type { ModelSource } from "../train/model_files/model_source.ts";
import type { InputError } from "../util/errors.ts";
import { count, plural } from "./format.ts";
import { printable } from "./terminal.ts";

/** The row of a file that holds no model, and why. */
export function noModelRow({ message }: InputError): string[][] {
  return [
    /holds no encoder/.test(message)
      ? ["model", "no masked autoencoder: the names are not those of the official models"]
      : ["model", printable(message)],
  ];
}

/** Rows of a model. */
export function modelRows(model: ModelSource): string[][] {
  const { architecture, facts, title, unused, notes, tensors, state } = model;
  const { encoder, decoder, encoderName, patchSize, channels, patches } = architecture;
  const hasHead = tensors.has("head.weight");
  return [
    [
      "model",
      decoder
        ? "masked autoencoder: encoder and decoder"
        : hasHead
        ? "classifier: encoder and head"
        : "encoder only",
    ],
    ["from", title],
    ["encoder", `${encoderName}: ${stackText(encoder, facts.heads, facts.headsFrom)}`],
    ...(decoder ? [["decoder", stackText(decoder, facts.decoderHeads, facts.decoderHeadsFrom)]] : []),
    ["patches", `${sizeText(patchSize)} pixels of ${plural(channels, "channel")}`],
    ...(patches === null ? [] : [["images", `${patches} patches, ${imageText(model)}`]]),
    ...(facts.mean ? [["mean", facts.mean.join(", ")]] : []),
    ...(facts.std ? [["deviation", facts.std.join(", ")]] : []),
    ...partRows(tensors),
    ["layer norm", `${facts.normEpsilon.toExponential()} is added to the variance`],
    ...(facts.normalizeTarget === undefined
      ? []
      : [["target", facts.normalizeTarget ? "normalised patches" : "pixels as they are"]]),
    ...(hasHead ? [["head", headText(model)]] : []),
    ...(hasHead && facts.classes && !state ? [classRow(facts.classes)] : []),
    ...(unused.length === 0 ? [] : [["unused", printable(groupedNames(unused))]]),
    ...notes.map((note) => ["note", note]),
  ];
}

function headText({ tensors, facts: { pooling } }: ModelSource): string {
  const rows = tensors.get("head.weight")?.shape[0] ?? 0;
  const reads = pooling === "average"
    ? "the average of the patches"
    : pooling === "class_token"
    ? "the class token"
    : "tokens as no classifier of MAE does";
  return `${plural(rows, "class", "classes")}, reads ${reads}`;
}

/** Most names of classes in one line. */
const MOST_CLASSES = 10;

/** The row of a classifier's classes. */
export function classRow(classes: readonly string[]): string[] {
  const names = classes.slice(0, MOST_CLASSES).map(printable).join(", ");
  const more = classes.length > MOST_CLASSES ? `, and ${classes.length - MOST_CLASSES} more` : "";
  return ["classes", `${classes.length}: ${names}${more}`];
}

function imageText({ facts: { imageSize, imageSizeFrom } }: ModelSource): string {
  if (imageSize === null) return "of unknown size";
  return `${sizeText(imageSize)} pixels${imageSizeFrom === null ? " if they are square" : ""}`;
}

function sizeText([height, width]: Size): string {
  return `${height} x ${width}`;
}

function stackText(
  { width, depth, hidden }: StackSizes,
  heads: number | null,
  headsFrom: string | null,
): string {
  const attention = heads === null ? "" : `, ${plural(heads, "head")} (${headsFrom})`;
  return `${plural(depth, "block")}, ${width} wide${attention}, MLP ${hidden} (ratio ${+(hidden / width)
    .toFixed(4)})`;
}

type Tensors = ReadonlyMap<string, TensorOutline>;

/** Number of a tensor's values. */
export function valuesOf({ shape }: TensorOutline): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Number of the values in some tensors. */
export function valuesIn(tensors: Iterable<TensorOutline>): number {
  let values = 0;
  for (const tensor of tensors) values += valuesOf(tensor);
  return values;
}

/** How many values belong to the encoder and to the decoder. */
function partRows(tensors: Tensors): string[][] {
  const isDecoder = (name: string) => name.startsWith("decoder_");
  const decoder = [...tensors].filter(([name]) => isDecoder(name)).map(([, info]) => info);
  if (decoder.length === 0) return [];
  const rest = [...tensors].filter(([name]) => !isDecoder(name)).map(([, info]) => info);
  return [["values", `${count(valuesIn(rest))} encoder and tokens, ${count(valuesIn(decoder))} decoder`]];
}
