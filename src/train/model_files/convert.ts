/** From a model of any kind to a file or folder of any other, one tensor in memory at a time. */
import type { Dtype } from "../../formats/dtypes.ts";
import { type FloatDtype, inPrecision } from "../../formats/narrow.ts";
import { writeSafetensors } from "../../formats/safetensors.ts";
import type { TensorEntry } from "../../formats/tensor_entry.ts";
import { huggingFaceNaming } from "../../nn/checkpoint_names/huggingface.ts";
import type { Naming } from "../../nn/checkpoint_names/naming.ts";
import { officialNaming } from "../../nn/checkpoint_names/official.ts";
import { renamedEntries } from "../../nn/checkpoint_names/renamed_source.ts";
import { didYouMean, InputError, messageOf, RunError } from "../../util/errors.ts";
import {
  directoryOf,
  isMissing,
  joinPath,
  pathExists,
  syncFolder,
  writeFileAtomic,
} from "../../util/files.ts";
import { type ConfigFiles, huggingFaceConfigs, timmConfigs } from "./convert_configs.ts";
import {
  type ConvertKind,
  type ConvertPlan,
  groupedNames,
  planConversion,
  type WeightPrecision,
} from "./convert_plan.ts";
import { factsMetadata } from "./model_said_mae.ts";
import { type KnownHeads, type ModelSource, openModelSource } from "./model_source.ts";

export type { ConvertKind, WeightPrecision } from "./convert_plan.ts";

/** How a model is converted. */
export interface ConvertOptions extends KnownHeads {
  /** What to convert to; by default as the output is named: a folder is Hugging Face's, `.safetensors` this program's. */
  readonly to?: ConvertKind;
  /** Precision of the weights; that of each tensor in the input by default, and single in an ONNX file. */
  readonly precision?: WeightPrecision;
  /** Leaves decoder, mask token and head out. */
  readonly encoderOnly?: boolean;
  /** Writes what fits where something does not; by default it is refused. */
  readonly partial?: boolean;
  /** Replaces what is there. */
  readonly force?: boolean;
}

/** What a conversion did. */
export interface Conversion {
  /** What the input is, in one sentence. */
  readonly source: string;
  /** What it was converted to. */
  readonly to: ConvertKind;
  /** The files that were written, the model's first. */
  readonly files: readonly string[];
  /** What of the input was left out, in words: "decoder (26 tensors), optimizer (180 tensors)"; empty for nothing. */
  readonly left: string;
  /** What there is to know besides, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Converts a model. What is at the output stays as it is until the whole conversion is written; a failed one leaves nothing.
 * @param input a run, a checkpoint, or a file or folder of anybody's, as `openModelSource` takes it
 * @param output a `.safetensors` or `.onnx` file, or a folder
 * @throws {InputError} when the input is no model that is known, is not whole, lacks what the output must say, or the output
 * exists
 * @throws {RunError} when the output cannot be written
 */
export async function convertModel(
  input: string,
  output: string,
  options: ConvertOptions = {},
): Promise<Conversion> {
  const to = options.to ?? kindOfOutput(output);
  checkName(output, to);
  using source = await openModelSource(input, options);
  checkHeads(source, options);
  await checkPlace(output, source.path, isFolder(output, to), options.force ?? false);
  const plan = planConversion(source, { ...options, to });
  const written = to === "onnx"
    ? await convertToOnnx(source, output, options)
    : await writeModel(source, plan, output, to, options.precision);
  return {
    source: source.description,
    to,
    files: written,
    left: groupedNames(plan.left),
    notes: [...plan.notes, ...losses(source, to)],
  };
}

/**
 * What an output is for, by its name alone.
 * @throws {InputError} when nothing of that name is written
 */
export function kindOfOutput(output: string): ConvertKind {
  if (/\.onnx$/i.test(output)) return "onnx";
  if (/\.safetensors$/i.test(output)) return "mae";
  // Folders have endings such as .v2; one of letters alone is a file's, perhaps misspelt.
  const [ending] = /\.(?:[a-z]{2,12}|h5)$/i.exec(output) ?? [];
  if (ending === undefined) return "huggingface";
  throw new InputError(
    `"${output}" would be of a format that is not written: give NAME.safetensors, which PyTorch reads with ` +
      "safetensors.torch.load_file, NAME.onnx, or a folder for Hugging Face (--to huggingface, where its name ends so)" +
      didYouMean(ending.toLowerCase(), [".safetensors", ".onnx"]),
  );
}

/** Whether the output is a folder and not a file. */
function isFolder(output: string, to: ConvertKind): boolean {
  return to === "huggingface" || to === "timm" && !/\.safetensors$/i.test(output);
}

function checkName(output: string, to: ConvertKind): void {
  const ending = to === "onnx" ? ".onnx" : ".safetensors";
  const isFile = /\.(onnx|safetensors)$/i.test(output);
  if (isFolder(output, to)) {
    if (!isFile) return;
    throw new InputError(`--to ${to} writes a folder, and "${output}" has the name of a file`);
  }
  if (output.toLowerCase().endsWith(ending)) return;
  throw new InputError(`--to ${to} writes a file NAME${ending}, not "${output}"`);
}

function checkHeads({ path, facts }: ModelSource, { heads, decoderHeads }: KnownHeads): void {
  const contradicts = (given: number | undefined, said: number | null) =>
    given !== undefined && said !== given;
  if (contradicts(heads, facts.heads)) {
    throw new InputError(
      `--heads ${heads} contradicts "${path}", where ${facts.headsFrom} says ${facts.heads}`,
    );
  }
  if (facts.decoderHeads === null || !contradicts(decoderHeads, facts.decoderHeads)) return;
  throw new InputError(
    `--decoder-heads ${decoderHeads} contradicts "${path}", where ${facts.decoderHeadsFrom} says ${facts.decoderHeads}`,
  );
}

/** Refuses an output that would replace something, or that cannot be. */
async function checkPlace(output: string, input: string, folder: boolean, force: boolean): Promise<void> {
  const parent = directoryOf(output);
  if (!await pathExists(parent)) {
    throw new InputError(`There is no folder "${parent}" to write "${output}" into`);
  }
  if (!await pathExists(output)) return;
  const { isDirectory } = await Deno.stat(output);
  if (isDirectory !== folder) {
    throw new InputError(
      `"${output}" is a ${isDirectory ? "folder" : "file"}, and a ${
        folder ? "folder" : "file"
      } is to be written`,
    );
  }
  const own = await Deno.realPath(folder ? directoryOf(input) : input);
  if (await Deno.realPath(output) === own) {
    throw new InputError(`"${output}" is the input itself; give another output`);
  }
  if (force || folder && await isEmpty(output)) return;
  throw new InputError(`"${output}" exists already; --force replaces it`);
}

async function isEmpty(folder: string): Promise<boolean> {
  for await (const _ of Deno.readDir(folder)) return false;
  return true;
}

async function convertToOnnx(
  source: ModelSource,
  output: string,
  options: ConvertOptions,
): Promise<readonly string[]> {
  const { precision = "f32", encoderOnly } = options;
  if (precision === "bf16") throw new InputError("An ONNX file holds weights as f32 or f16, not bf16");
  const { writeOnnx } = await import("./onnx.ts");
  const { files } = await writeOnnx(output, source, { precision, ...(encoderOnly && { model: "encoder" }) });
  return files;
}

/** Writes the tensors of a plan, and the configurations that go with them. */
async function writeModel(
  source: ModelSource,
  plan: ConvertPlan,
  output: string,
  to: ModelSource["kind"],
  precision: WeightPrecision | undefined,
): Promise<readonly string[]> {
  const metadata = { format: "pt", ...(to === "mae" ? ownMetadata(source, plan) : {}) };
  const entries = () => entriesOf(source, plan, namingFor(to, plan), precision);
  if (!isFolder(output, to)) {
    await writeSafetensors(output, entries(), metadata);
    return [output];
  }
  const configs = to === "timm"
    ? timmConfigs(source, plan)
    : huggingFaceConfigs(source, plan, torchName(plan, precision));
  return await writeFolder(output, entries(), metadata, configs);
}

/** PyTorch's name of the type of the first tensor, which is that of all. */
function torchName({ tensors }: ConvertPlan, precision: WeightPrecision | undefined): string {
  const names: Partial<Record<Dtype, string>> = { F16: "float16", BF16: "bfloat16", F64: "float64" };
  const stored = tensors.values().next().value?.dtype ?? "F32";
  return names[precision ? dtypes[precision] : stored] ?? "float32";
}

const dtypes: Readonly<Record<WeightPrecision, FloatDtype>> = { f32: "F32", f16: "F16", bf16: "BF16" };

function namingFor(to: ModelSource["kind"], { decoder, classes }: ConvertPlan): Naming {
  if (to !== "huggingface") return officialNaming;
  return huggingFaceNaming(decoder || classes !== null ? "vit." : "");
}

function ownMetadata({ facts }: ModelSource, { decoder, classes }: ConvertPlan): Record<string, string> {
  const { classifier, classes: names, pooling, ...others } = facts;
  return factsMetadata({
    ...others,
    decoderHeads: decoder ? facts.decoderHeads : null,
    ...(classes !== null && { classifier, classes: names, pooling }),
  });
}

/** The entries of a plan, each tensor read and rounded when its turn comes. */
function entriesOf(
  source: ModelSource,
  { tensors }: ConvertPlan,
  naming: Naming,
  precision: WeightPrecision | undefined,
): TensorEntry[] {
  const wanted = precision && dtypes[precision];
  const outlines = new Map(
    [...tensors].map((
      [name, { dtype, shape }],
    ): [string, { dtype: Dtype; shape: readonly number[] }] => [name, { dtype: wanted ?? dtype, shape }]),
  );
  const read = async (name: string) => {
    const tensor = await source.read(name);
    if (wanted === undefined) return tensor;
    try {
      return inPrecision(tensor, wanted);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new InputError(
        `${name} of "${source.path}" cannot be ${precision}: ${error.message}; give f32 or bf16`,
      );
    }
  };
  return renamedEntries(outlines, read, naming);
}

/** Writes a folder under a temporary name; what is in a folder that exists is replaced file by file. */
async function writeFolder(
  output: string,
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>>,
  configs: ConfigFiles,
): Promise<readonly string[]> {
  const folder = output.replace(/[\\/]+$/, "");
  const temporary = `${folder}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  const names = ["model.safetensors", ...Object.keys(configs)];
  try {
    await Deno.mkdir(temporary);
    await writeSafetensors(joinPath(temporary, names[0]), entries, metadata);
    for (const [name, values] of Object.entries(configs)) {
      await writeFileAtomic(joinPath(temporary, name), `${JSON.stringify(values, null, 2)}\n`);
    }
    await syncFolder(temporary);
    if (await pathExists(folder)) {
      for (const name of names) await Deno.rename(joinPath(temporary, name), joinPath(folder, name));
      await Deno.remove(temporary);
    } else await Deno.rename(temporary, folder);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(unlessMissing);
    if (error instanceof InputError || error instanceof RunError) throw error;
    throw new RunError(`"${folder}" could not be written: ${messageOf(error)}`);
  }
  await syncFolder(directoryOf(folder));
  return names.map((name) => joinPath(folder, name));
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/** What a kind of file cannot say, so that whoever loads it must know it. */
function losses({ facts, tensors }: ModelSource, to: ConvertKind): string[] {
  const { normEpsilon } = facts;
  const isFixed = (to === "official" || to === "timm") && normEpsilon !== 1e-6;
  return [
    ...(isFixed
      ? [
        `Its layer norms add ${normEpsilon} to the variance; models of ${
          to === "timm" ? "timm" : "the official code"
        } add 1e-6`,
      ]
      : []),
    ...(to === "official" && tensors.has("head.weight")
      ? ["Names of classes, heads and image statistics have no place in an official file"]
      : []),
  ];
}
