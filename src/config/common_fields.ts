/** The keys that every training job has, one by one, with the defaults of pre-training. */

import {
  dataSource,
  either,
  interval,
  number,
  numbers,
  oneOf,
  pair,
  size,
  text,
  truth,
  whole,
  wholes,
} from "./kinds.ts";
import { presets } from "./presets.ts";
import { derived, type Field, field } from "./settings.ts";
import { type Interval, MAX_PIXELS } from "./types.ts";

const presetNames = Object.keys(presets);

/** More than anybody counts to. */
export const many = 1_000_000_000;

const wantsImages = (value: unknown): string =>
  value === undefined
    ? "give images with --data SOURCE (a folder, shards, a table), or as data.train in the configuration file"
    : "";

/** `model.encoder` as the name of a preset. */
export const presetField: Field<string> = field(
  "model.encoder",
  {
    ...oneOf(...presetNames),
    allowed: `one of ${presetNames.join(", ")}, or a mapping of width, depth, heads and mlp_ratio`,
  },
  "vit_base",
  "the encoder; its parts can also be set one by one",
);

/** `model.encoder` in parts. */
export const encoderFields = {
  width: derived("model.encoder.width", whole(4, 65536), "the preset's", "token width of the encoder"),
  depth: derived("model.encoder.depth", whole(1, 1000), "the preset's", "blocks of the encoder"),
  heads: derived("model.encoder.heads", whole(1, 65536), "the preset's", "attention heads of the encoder"),
  mlpRatio: derived(
    "model.encoder.mlp_ratio",
    number({ above: 0, to: 64 }),
    "the preset's",
    "hidden width of the encoder's MLPs over its width",
  ),
};

/** The images and patches of `model:`. */
export const imageFields = {
  patchSize: derived("model.patch_size", size(1, 4096), "16; 14 for vit_huge", "side of a patch in pixels"),
  imageSize: field(
    "model.image_size",
    size(1, 16384),
    [224, 224],
    "side of the images in pixels after cropping",
  ),
  channels: field(
    "model.channels",
    whole(1, 1024),
    3,
    "1 (gray), 3 (RGB), 4 (RGB and alpha), or as many as the images have bands",
  ),
};

/** `data.augment:` */
export const augmentFields = {
  cropScale: field(
    "data.augment.crop_scale",
    pair({ above: 0, to: 1 }, true),
    [0.2, 1],
    "area of the random crop as a share of the image's",
  ),
  cropRatio: {
    ...field(
      "data.augment.crop_ratio",
      pair({ above: 0, to: 1000 }, true),
      [3 / 4, 4 / 3],
      "width over height of the random crop before it is resized",
    ),
    fallbackText: "[3/4, 4/3]",
  },
  flip: field("data.augment.flip", truth(), true, "mirror half of the images"),
};

/** The rest of `data:`. */
export const dataFields = {
  train: derived(
    "data.train",
    dataSource("the path of a folder of images, of a table of their paths, or of shards"),
    "none",
    "folder of images, searched recursively, a table of paths (.csv, .tsv, .jsonl), or shards (.tar, .parquet); or a list of " +
      "these, with weights",
    wantsImages,
  ),
  pathColumn: field(
    "data.path_column",
    either(text("the name of a column"), oneOf(null)),
    null,
    "column of paths in tables; null finds it by its name",
  ),
  labelColumn: field(
    "data.label_column",
    either(text("the name of a column"), oneOf(null)),
    null,
    "column of labels in tables; null finds it by its name",
  ),
  workers: field(
    "data.workers",
    either(whole(0, 256), oneOf("auto")),
    "auto",
    "threads that read and crop images; auto is the number of cores, at most 8",
  ),
  onError: field(
    "data.on_error",
    oneOf("skip", "stop"),
    "skip",
    "what an image that cannot be read does: another takes its place, or it ends the run",
  ),
  maxBadShare: field(
    "data.max_bad_share",
    number({ from: 0, to: 1 }),
    0.05,
    "share of the images looked at, and of 1,000 at least, that may be unreadable before the run ends",
  ),
  repeat: field(
    "data.repeat",
    either(whole(1, many), oneOf("auto")),
    "auto",
    "crops of each image per epoch; auto is the least that fills one step",
  ),
  exif: field(
    "data.exif",
    oneOf("apply", "ignore"),
    "apply",
    "whether the orientation stored in a photograph is applied",
  ),
  values: field(
    "data.values",
    oneOf("auto", "uint8", "float32"),
    "auto",
    "what pixels are made of: float32 keeps more than 8 bits, uint8 reduces them, auto refuses files that hold more",
  ),
  bands: field(
    "data.bands",
    either(wholes(1, 65535), oneOf(null)),
    null,
    "bands that make the channels, counted from 1; null for all, or the colours",
  ),
  range: field(
    "data.range",
    either(pair({ from: -1e12, to: 1e12 }, true), oneOf(null)),
    null,
    "values of the files that count as 0 and 1; null for 0 and the largest, and 0 and 1 of floats",
  ),
  decoder: field(
    "data.decoder",
    oneOf("sandboxed", "native"),
    "sandboxed",
    "what decodes JPEGs: WebAssembly, or the system's libturbojpeg in the program itself (--allow-ffi)",
  ),
  maxPixels: field(
    "data.max_pixels",
    whole(1, 2 ** 32),
    MAX_PIXELS,
    "images of more pixels are refused before they are decoded, which takes 3 to 8 bytes a pixel and worker",
  ),
  mean: derived(
    "data.mean",
    numbers({ from: -1000, to: 1000 }),
    "ImageNet's for RGB; 0.5 for gray and alpha",
    "mean of each channel, for pixels from 0 to 1",
  ),
  std: derived(
    "data.std",
    numbers({ above: 0, to: 1000 }),
    "ImageNet's for RGB; 0.25 for gray and alpha",
    "standard deviation of each channel, for pixels from 0 to 1",
  ),
};

/** `data.shuffle:` */
export const shuffleFields = {
  buffer: field(
    "data.shuffle.buffer",
    whole(1, 100_000_000),
    10_000,
    "samples of shards from which the next one is drawn at random",
  ),
  shards: field("data.shuffle.shards", whole(1, 100_000), 16, "shards that are read in turn"),
};

/** `optim:` of what AdamW trains. */
export const optimFields = {
  batchSize: field("optim.batch_size", whole(1, 1_000_000), 64, "images computed at once"),
  accumulate: field("optim.accumulate", whole(1, 1_000_000), 1, "batches added up before each step"),
  epochs: field("optim.epochs", whole(1, many), 800, "passes over the data"),
  warmupEpochs: derived(
    "optim.warmup_epochs",
    number({ from: 0, to: many }),
    "a twentieth of epochs, at most 40",
    "epochs in which the learning rate rises from 0",
  ),
  blr: field(
    "optim.blr",
    number({ above: 0, to: 1000 }),
    1.5e-4,
    "base learning rate; lr = blr x batch_size x accumulate / 256",
  ),
  lr: field(
    "optim.lr",
    either(number({ above: 0, to: 1000 }), oneOf(null)),
    null,
    "learning rate itself, in place of the one that follows from blr",
  ),
  minLr: field("optim.min_lr", number({ from: 0, to: 1000 }), 0, "learning rate at the end"),
  betas: field(
    "optim.betas",
    pair({ from: 0, below: 1 }, false),
    [0.9, 0.95],
    "decay rates of AdamW's two moments",
  ),
  eps: field("optim.eps", number({ above: 0, to: 1 }), 1e-8, "term that keeps AdamW's denominator from 0"),
  weightDecay: field("optim.weight_decay", number({ from: 0, to: 1000 }), 0.05, "weight decay of AdamW"),
  clipNorm: field(
    "optim.clip_norm",
    either(number({ above: 0 }), oneOf(null)),
    null,
    "largest norm of all gradients together; null does not clip",
  ),
  maxBadSteps: field("optim.max_bad_steps", whole(1, many), 5, "non-finite steps in a row that end the run"),
};

/** `run:`, but for what a job adds. */
export const runFields = {
  out: derived(
    "run.out",
    text("the path of a folder"),
    "runs/ and the encoder's name",
    "folder for everything the run writes",
  ),
  seed: field("run.seed", whole(0, Number.MAX_SAFE_INTEGER), 0, "seed of all random numbers"),
  precision: field(
    "run.precision",
    oneOf("f32", "f16"),
    "f32",
    "number format of what blocks make; f16 needs a GPU with shader-f16",
  ),
  remat: field(
    "run.remat",
    truth(),
    false,
    "recompute blocks on the way back: less memory, a third more work",
  ),
  backend: field(
    "run.backend",
    oneOf("auto", "webgpu", "cpu"),
    "auto",
    "auto uses WebGPU where there is an adapter, and else the slow cpu fallback",
  ),
  logEvery: field("run.log_every", whole(1, many), 20, "steps between two lines of metrics"),
  checkpointEvery: field<Interval>(
    "run.checkpoint_every",
    interval(),
    { every: 1, unit: "epoch" },
    "how often a checkpoint is written",
  ),
  keep: field("run.keep", whole(1, many), 3, "checkpoints that are kept"),
};
