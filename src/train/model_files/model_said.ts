/** What the files beside a model's tensors say of it, wherever they say it. */
import type { Kind } from "../../config/kinds.ts";
import { show } from "../../config/layers.ts";
import { presets } from "../../config/presets.ts";
import type { Size } from "../../config/types.ts";
import type { Architecture, StackSizes } from "../../nn/architecture.ts";
import type { Pooling } from "../../ops/tokens/pool_tokens.ts";
import { InputError } from "../../util/errors.ts";
import { baseName } from "../../util/files.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import type { SavedReading } from "../checkpoint/saved_reading.ts";

/** What one file says; absent where it says nothing. */
export interface Said {
  /** Its name, for sentences: `config.json`. */
  readonly origin: string;
  /** Attention heads of the encoder. */
  readonly heads?: number;
  /** Attention heads of the decoder. */
  readonly decoderHeads?: number;
  /** What is added to the variance in every layer norm. */
  readonly normEpsilon?: number;
  /** Size of the images in pixels. */
  readonly imageSize?: Size;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean?: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std?: readonly number[];
  /** Depth, bands and range of the images, where they are unusual. */
  readonly reading?: SavedReading;
  /** Share of the resized image's sides that the evaluation's centre crop keeps. */
  readonly cropShare?: number;
  /** Whether the decoder predicts normalised patches. */
  readonly normalizeTarget?: boolean;
  /** Share of patches that was removed in training. */
  readonly maskRatio?: number;
  /** Where mask tokens enter. */
  readonly maskTokens?: "decoder" | "encoder";
  /** What the head reads; null where it is nothing that MAE's classifiers do. */
  readonly pooling?: Pooling | null;
  /** Names of the classes, in the order of the head's rows. */
  readonly classes?: readonly string[];
  /** Everything about the classifier, where a run of this program said it. */
  readonly classifier?: ClassifierInfo;
}

/** What the tensors do not show. */
export interface ModelFacts {
  /** Attention heads of the encoder; null where nothing says. */
  readonly heads: number | null;
  /** What says so, in a few words; null where nothing does. */
  readonly headsFrom: string | null;
  /** Attention heads of the decoder; null where nothing says, or there is none. */
  readonly decoderHeads: number | null;
  /** What says so, in a few words; null where nothing does. */
  readonly decoderHeadsFrom: string | null;
  /** What is added to the variance in every layer norm; 1e-6 unless the file says otherwise. */
  readonly normEpsilon: number;
  /** Size of the images it was trained on, in pixels; null where nothing says. */
  readonly imageSize: Size | null;
  /** What says so, in a few words; null where it is the square that its positions make, or unknown. */
  readonly imageSizeFrom: string | null;
  /** Per-channel mean of its images' pixels in [0, 1], where something says. */
  readonly mean?: readonly number[];
  /** Per-channel standard deviation, likewise. */
  readonly std?: readonly number[];
  /** Depth, bands and range of the images, where something says that they are unusual. */
  readonly reading?: SavedReading;
  /** Share of the resized image's sides that the evaluation's centre crop keeps, where something says. */
  readonly cropShare?: number;
  /** Whether the decoder predicts patches normalised by their own mean and deviation, where something says. */
  readonly normalizeTarget?: boolean;
  /** Share of patches that was removed in training, where something says. */
  readonly maskRatio?: number;
  /** Where mask tokens enter; the ablation with `encoder` is this program's own. */
  readonly maskTokens: "decoder" | "encoder";
  /** What the head reads, where there is one; null where it is nothing that MAE's classifiers do. */
  readonly pooling?: Pooling | null;
  /** Names of the classes, in the order of the head's rows, where something says. */
  readonly classes?: readonly string[];
  /** Everything about the classifier, where a run of this program said it. */
  readonly classifier?: ClassifierInfo;
}

/** What only the user may know. Where the files say it too, they are believed. */
export interface KnownHeads {
  /** Attention heads of the encoder. */
  readonly heads?: number;
  /** Attention heads of the decoder. */
  readonly decoderHeads?: number;
}

/** Heads, and what says so. */
type Heads = readonly [heads: number | null, from: string | null];

/**
 * What is known of a model: the first of what was said about each thing, else what its sizes suggest.
 * @param file names the model in sentences
 * @throws {InputError} when heads do not divide their width
 */
export function factsOf(
  said: readonly Said[],
  { encoder, decoder, channels, grid, patchSize }: Architecture,
  known: KnownHeads,
  file: string,
): ModelFacts {
  const sayer = (key: keyof Said) => said.find((one) => one[key] !== undefined);
  const first = <Key extends keyof Said>(key: Key): Said[Key] | undefined => sayer(key)?.[key];
  const ofChannels = (list: readonly number[] | undefined) => list?.length === channels ? list : undefined;
  const saidHeads = (key: "heads" | "decoderHeads"): Heads | null => {
    const [heads, one] = [first(key), sayer(key)];
    return heads === undefined || one === undefined ? null : [heads, one.origin];
  };
  const [heads, headsFrom] = checked(
    saidHeads("heads") ?? given(known.heads, "--heads") ?? guessedHeads(encoder),
    encoder,
    "encoder",
    file,
  );
  const [decoderHeads, decoderHeadsFrom] = decoder === null ? [null, null] : checked(
    saidHeads("decoderHeads") ?? given(known.decoderHeads, "--decoder-heads") ?? officialDecoder(decoder),
    decoder,
    "decoder",
    file,
  );
  return {
    heads,
    headsFrom,
    decoderHeads,
    decoderHeadsFrom,
    normEpsilon: first("normEpsilon") ?? 1e-6,
    imageSize: first("imageSize") ?? (grid && [grid[0] * patchSize[0], grid[1] * patchSize[1]]),
    imageSizeFrom: sayer("imageSize")?.origin ?? null,
    mean: ofChannels(first("mean")),
    std: ofChannels(first("std")),
    ...(first("reading") && { reading: first("reading") }),
    cropShare: first("cropShare"),
    normalizeTarget: first("normalizeTarget"),
    maskRatio: first("maskRatio"),
    maskTokens: first("maskTokens") ?? "decoder",
    pooling: first("pooling"),
    classes: first("classes"),
    classifier: first("classifier"),
  };
}

function given(heads: number | undefined, flag: string): Heads | null {
  return heads === undefined ? null : [heads, flag];
}

/** Every published vision transformer of those widths has as many heads, and most others one per 64 values. */
function guessedHeads({ width }: StackSizes): Heads {
  const preset = Object.entries(presets).find(([, preset]) => preset.width === width);
  if (preset) return [preset[1].heads, `as ${preset[0]}`];
  return width % 64 === 0 ? [width / 64, "one per 64 values"] : [null, null];
}

/** All official decoders are 512 wide and have 16 heads. */
function officialDecoder({ width }: StackSizes): Heads {
  return width === 512 ? [16, "as the official decoder"] : [null, null];
}

function checked(heads: Heads, { width }: StackSizes, what: string, file: string): Heads {
  const [count, from] = heads;
  if (count === null || width % count === 0) return heads;
  throw new InputError(
    `heads ${count} (${from}) must divide ${width}, the width of the ${what} in "${file}"`,
  );
}

/** A JSON object with the name of its file. */
export interface JsonFile {
  /** Its path. */
  readonly path: string;
  /** What it holds. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * The value of a key; undefined where it is missing or null.
 * @throws {InputError} when there is another kind of value
 */
export function valueAt<T>({ path, values }: JsonFile, key: string, kind: Kind<T>): T | undefined {
  const value = Object.hasOwn(values, key) ? values[key] : undefined;
  if (value === undefined || value === null) return undefined;
  const read = kind.parse(value);
  if (read !== undefined) return read;
  throw new InputError(`${key} in "${path}" must be ${kind.allowed}, not ${show(value)}`);
}

/**
 * Refuses a configuration that is of another model than the tensors beside it.
 * @throws {InputError} naming both sizes
 */
export function checkSizes(
  path: string,
  told: { readonly [Name in string]: number | undefined },
  held: { readonly [Name in string]: number },
): void {
  const odd = Object.entries(told).filter(([name, value]) => value !== undefined && value !== held[name]);
  if (odd.length === 0) return;
  const list = odd.map(([name, value]) => `${name} ${value} instead of ${held[name]}`).join(", ");
  throw new InputError(`"${path}" is of another model than the tensors beside it: it says ${list}`);
}

/** The name of a file alone, for sentences that have said where it is. */
export function originOf(path: string): string {
  return baseName(path);
}
