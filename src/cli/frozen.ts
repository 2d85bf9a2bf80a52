/** What the commands that use an encoder as it is have in common: their flags, and how they are read. */
import type { Size } from "../config/types.ts";
import type { FrozenOptions } from "../train/features/frozen.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import type { Arguments, Flag } from "./command.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { partialFlag } from "./training.ts";
import { backendOf, countOf } from "./values.ts";

/** The flag for what leaves no trace in tensors. */
export const headsFlag: Flag = {
  name: "heads",
  value: "N",
  help: "attention heads of the encoder, where the checkpoint does not say them",
};

/** What the user is asked to give where nothing says the heads. */
export const headsAdvice = "--heads, such as --heads 4";

/** Flags of every such command. */
export const frozenFlags: readonly Flag[] = [
  {
    name: "pooling",
    value: "NAME",
    help: "class_token, or average of the patches; a classifier's own, or class_token, by default",
  },
  {
    name: "image-size",
    value: "N",
    help: "side of the images in pixels, or HxW; the checkpoint's by default",
  },
  headsFlag,
  partialFlag,
  { name: "batch-size", value: "N", help: "images computed at once; 64 by default" },
  { name: "precision", value: "NAME", help: "f32, or f16 on a GPU with shader-f16; f32 by default" },
  { name: "backend", value: "NAME", help: "auto, webgpu or cpu" },
  { name: "quiet", help: "print only warnings and results" },
];

/** The flag that names the encoder. */
export const fromFlag: Flag = {
  name: "from",
  value: "CHECKPOINT",
  help: "the encoder, of any kind: a run, a checkpoint, a file or folder of others (docs/checkpoints.md)",
};

/** What the flags say; what happens is shown on the terminal. */
export function frozenOptions(args: Arguments, terminal: Terminal): FrozenOptions {
  const progress = new Progress(terminal, args.has("quiet"));
  return {
    pooling: wordOf(args, "pooling", ["class_token", "average"]),
    imageSize: sizeOf(args),
    heads: countOf(args, "heads"),
    partial: args.has("partial"),
    batchSize: countOf(args, "batch-size"),
    precision: wordOf(args, "precision", ["f32", "f16"]),
    backend: backendOf(args),
    onEvent: (event) => progress.show(event),
  };
}

/** One of a few words, or undefined where the flag was not given. */
export function wordOf<const Word extends string>(
  args: Arguments,
  flag: string,
  words: readonly Word[],
): Word | undefined {
  const given = args.value(flag);
  const word = words.find((word) => word === given);
  if (given === undefined || word !== undefined) return word;
  const list = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  throw new InputError(`--${flag} must be ${list}, not "${given}"${didYouMean(given, words)}`);
}

/** `--image-size 224` or `--image-size 224x196`, which is height and width. */
export function sizeOf(args: Arguments): Size | undefined {
  const given = args.value("image-size");
  if (given === undefined) return undefined;
  const [, height, width = height] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(given) ?? [];
  if (height !== undefined) return [Number(height), Number(width)];
  throw new InputError(`--image-size must be a number of pixels, or two as HxW, not "${given}"`);
}

/** A flag that must be given. */
export function required(args: Arguments, flag: Flag, command: string): string {
  const value = args.value(flag.name);
  if (value !== undefined) return value;
  throw new InputError(`mae ${command} needs --${flag.name} ${flag.value}: ${flag.help}`);
}

/** A number of a flag, or undefined where it was not given. */
export function numberOf(
  args: Arguments,
  flag: string,
  isAllowed: (value: number) => boolean,
  allowed: string,
): number | undefined {
  const text = args.value(flag);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isFinite(value) && isAllowed(value)) return value;
  throw new InputError(`--${flag} must be ${allowed}, not "${text}"`);
}
