/** Attention maps and statistics of an encoder, as figures and JSON in a folder. */
import type { PixelValues, Size } from "../../config/types.ts";
import { loadEvalImages, spread } from "../../data/eval_images.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import type { ImageSource } from "../../sources/source.ts";
import { replaceFile } from "../../formats/output_file.ts";
import { encodePng, type Picture } from "../../formats/png.ts";
import { type EncoderLayer, inspectEncoder } from "../../models/inspect_encoder.ts";
import { patchifyPixels } from "../../ops/pixels/normalize_pixels.ts";
import { type AttentionRow, drawAttention } from "../../report/attention_figure.ts";
import { enlargement } from "../../report/figure.ts";
import { drawDepthCharts } from "../../report/layer_curves.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import { baseName, joinPath } from "../../util/files.ts";
import type { FrozenEvent } from "../run/events.ts";
import type { FeatureEncoder } from "../features/feature_encoder.ts";
import { FrozenEncoder, type FrozenOptions, type WhichEncoder } from "../features/frozen.ts";
import { chartsOf, type LayerStatistics, meanStatistics } from "./layer_statistics.ts";
import { shownBytes, toRgb } from "./reconstruct.ts";

/** What to look at, and where to write it. */
export interface AttentionOptions extends
  Pick<
    FrozenOptions,
    "heads" | "partial" | "imageSize" | "exif" | "backend" | "checkKernels" | "onEvent"
  > {
  /** The folder; it must be empty or not there, unless `force`. */
  readonly out: string;
  /** Whether files in the folder are replaced; false by default. */
  readonly force?: boolean;
  /** The block whose maps are drawn, from 1, or all of them, a figure per image; the last by default. */
  readonly block?: number | "all";
  /** Most images, taken from all over those given; 16 by default. */
  readonly count?: number;
  /** Below 1 a map colours only the fewest patches that hold this share of its weight; 1 by default. */
  readonly mass?: number;
}

/** What was found; `statistics.json` holds the same. */
export interface AttentionResult {
  /** The encoder, in one sentence. */
  readonly encoder: string;
  /** Images that were looked at. */
  readonly images: readonly string[];
  /** Files that could not be read. */
  readonly broken: readonly BrokenFile[];
  /** Images that were given, those left out included. */
  readonly given: number;
  /** Height and width of the images in pixels. */
  readonly imageSize: Size;
  /** Height and width of a patch in pixels. */
  readonly patchSize: Size;
  /** Patches of an image. */
  readonly patches: number;
  /** Values of a token. */
  readonly width: number;
  /** Attention heads of a block. */
  readonly heads: number;
  /** Means over the images: the embedding, then every block. */
  readonly layers: readonly LayerStatistics[];
  /** Files that were written. */
  readonly files: readonly string[];
}

/** Most pixels of a figure: 0.4 GB of memory. */
const mostPixels = 2 ** 27;

/**
 * Looks at images through an encoder: draws where the class token's heads look, and statistics of tokens and attention over
 * depth. Images are whole and made as for evaluation.
 * @throws {InputError} when checkpoint, block or folder will not do; then nothing was written
 * @throws {RunError} when no image can be read, or a file cannot be written
 */
export async function inspectAttention(
  which: WhichEncoder,
  images: ImageSource,
  { out, force = false, block, count = 16, mass, onEvent = () => {}, ...options }: AttentionOptions,
): Promise<AttentionResult> {
  await refuseFolder(out, force);
  using frozen = await FrozenEncoder.open(which, { ...options, onEvent });
  const blocks = blocksOf(frozen, block);
  const samples = spread(images.length, count);
  for (const message of noticesOf(frozen, images, samples.length)) onEvent({ kind: "notice", message });
  checkAmount(frozen.encoder, block === "all" ? blocks.length : samples.length);
  const loaded = await loadEvalImages(images, { ...frozen.encoder.images, samples });
  for (const { path, reason } of loaded.broken) {
    onEvent({ kind: "warning", message: `Skipping ${path}: ${reason}` });
  }
  await makeFolder(out);
  const seen = await lookAt(frozen.encoder, loaded.pixels, loaded.paths, onEvent);
  const found = { ...describe(frozen, seen), broken: loaded.broken, given: images.length };
  const files = await writeAll(out, figuresOf(found, seen, blocks, { block, mass }), found);
  return { ...found, files };
}

/** An image with everything about its way through the encoder. */
interface SeenImage {
  readonly path: string;
  /** [H, W, 3] RGB */
  readonly picture: Uint8Array;
  readonly layers: readonly EncoderLayer[];
}

/** Refuses a folder with something in it, or a file in its place. */
async function refuseFolder(out: string, force: boolean): Promise<void> {
  const there = await Deno.stat(out).catch(() => null);
  if (there && !there.isDirectory) throw new InputError(`--out ${out} is a file; name a folder`);
  if (!there || force) return;
  for await (const _ of Deno.readDir(out)) {
    throw new InputError(
      `--out ${out} is there already and not empty; write into it with --force, or choose another name`,
    );
  }
}

/** Makes the folder, and tries to write to it before anything is computed. */
async function makeFolder(out: string): Promise<void> {
  try {
    await Deno.mkdir(out, { recursive: true });
    await Deno.remove(await Deno.makeTempFile({ dir: out, suffix: ".tmp" }));
  } catch (error) {
    throw new InputError(`--out ${out}: nothing can be written there (${messageOf(error)})`);
  }
}

/** The blocks to draw, from 1. */
function blocksOf({ encoder }: FrozenEncoder, block?: number | "all"): number[] {
  const { depth } = encoder.classifier.config.encoder;
  if (block === "all") return Array.from({ length: depth }, (_, i) => i + 1);
  const one = block ?? depth;
  if (Number.isInteger(one) && one >= 1 && one <= depth) return [one];
  throw new InputError(
    `There is no block ${one} in an encoder of ${depth}: its blocks are 1 to ${depth}, or all of them`,
  );
}

function noticesOf({ pooling }: FrozenEncoder, { length }: ImageSource, taken: number): string[] {
  return [
    ...(taken < length ? [`${taken} of ${length} images, taken from all over them`] : []),
    ...(pooling === "average"
      ? ["This classifier averages patches: its class token is not what it classifies by"]
      : []),
  ];
}

/** Everything is kept in memory until it is drawn. */
function checkAmount({ classifier: { imageSize, config } }: FeatureEncoder, rows: number): void {
  const [height, width] = imageSize;
  const row = height * width * enlargement(imageSize) ** 2 * (2 + config.encoder.heads);
  if (rows * row <= mostPixels) return;
  throw new InputError(
    `${rows} rows of ${
      2 + config.encoder.heads
    } pictures of ${height}x${width} pixels are too many for one figure, ` +
      `which holds ${Math.floor(mostPixels / row)}: give fewer images, a smaller --image-size or one --block`,
  );
}

async function lookAt(
  { classifier, images }: FeatureEncoder,
  pixels: PixelValues,
  paths: readonly string[],
  onEvent: (event: FrozenEvent) => void,
): Promise<SeenImage[]> {
  const { imageSize, channels, patchSize } = classifier;
  const size = imageSize[0] * imageSize[1] * channels;
  const seen: SeenImage[] = [];
  for (const [i, path] of paths.entries()) {
    const own = pixels.subarray(i * size, (i + 1) * size);
    const shape: [number, number, number, number] = [1, imageSize[0], imageSize[1], channels];
    const patches = patchifyPixels(own, shape, patchSize, images.mean, images.std);
    const layers = await inspectEncoder(classifier, patches).finally(() => patches.dispose());
    seen.push({ path, picture: toRgb(shownBytes(own, images), imageSize, channels), layers });
    onEvent({ kind: "progress", what: "attention", share: (i + 1) / paths.length });
  }
  return seen;
}

type Found = Omit<AttentionResult, "files">;

function describe(
  { description, encoder: { classifier } }: FrozenEncoder,
  seen: readonly SeenImage[],
): Omit<Found, "broken" | "given"> {
  const { imageSize, patchSize, length, config: { encoder: { width, heads } } } = classifier;
  return {
    encoder: description,
    images: seen.map(({ path }) => path),
    imageSize,
    patchSize,
    patches: length,
    width,
    heads,
    layers: meanStatistics(seen.map(({ layers }) => layers)),
  };
}

/** Every figure by the name of its file, drawn when it is asked for. */
function figuresOf(
  found: Found,
  seen: readonly SeenImage[],
  blocks: readonly number[],
  { block, mass }: Pick<AttentionOptions, "block" | "mass">,
): Map<string, () => Picture> {
  const { encoder, imageSize: size, patchSize, layers } = found;
  const depth = layers.length - 1;
  const row = ({ picture, layers }: SeenImage, block: number, label: string): AttentionRow => {
    const heads = layers[block].attention?.classToken ?? [];
    return { label, size, patchSize, picture, heads: heads.map((weights) => weights.subarray(1)) };
  };
  const figures = new Map<string, () => Picture>();
  if (block === "all") {
    const digits = String(seen.length).length;
    seen.forEach((image, i) => {
      const name = `attention-${String(i + 1).padStart(digits, "0")}-${stem(image.path)}.png`;
      const rows = () => blocks.map((block) => row(image, block, `block ${block}`));
      const text = {
        title: `Attention of the class token in ${baseName(image.path)}`,
        notes: [encoder, mapNote(mass)],
      };
      figures.set(name, () => drawAttention(rows(), text, mass));
    });
  } else {
    const title = `Attention of the class token, block ${blocks[0]} of ${depth}`;
    const labels = labelsOf(found.images);
    const rows = () => seen.map((image, i) => row(image, blocks[0], labels[i]));
    figures.set(
      "attention.png",
      () => drawAttention(rows(), { title, notes: [encoder, mapNote(mass)] }, mass),
    );
  }
  const many = seen.length === 1 ? "One image" : `Means over ${seen.length} images`;
  figures.set(
    "statistics.png",
    () =>
      drawDepthCharts(chartsOf(layers, found), depth, {
        title: "Tokens and attention over depth",
        notes: [encoder, `${many}; block 0 is the embedding`],
      }),
  );
  return figures;
}

function mapNote(mass = 1): string {
  const scale = "Each map has its own scale, from 0 to its largest weight";
  return mass < 1
    ? `${scale}; coloured are the patches that hold ${+(100 * mass).toFixed(2)} % of it`
    : scale;
}

/** Names of files, or their paths where two have the same name. */
function labelsOf(paths: readonly string[]): string[] {
  const names = paths.map(baseName);
  return new Set(names).size === names.length ? names : [...paths];
}

/** A file's name without its ending. */
function stem(path: string): string {
  return baseName(path).replace(/\.[^.]*$/, "");
}

/** Writes the figures and the statistics, each whole or not at all. */
async function writeAll(
  out: string,
  figures: ReadonlyMap<string, () => Picture>,
  found: Found,
): Promise<string[]> {
  const files: string[] = [];
  const write = async (name: string, bytes: Uint8Array) => {
    const path = joinPath(out, name);
    await replaceFile(path, (put) => put(bytes));
    files.push(path);
  };
  for (const [name, draw] of figures) await write(name, encodePng(draw()));
  await write("statistics.json", new TextEncoder().encode(`${JSON.stringify(found, null, 2)}\n`));
  return files;
}
