/** How many images a second one worker decodes, crops and resizes; and what Pillow does with the same files and boxes. */
import { Random } from "../util/random.ts";
import { decodeBox, decodeImage } from "../images/decode.ts";
import { randomResizedCropBox } from "../augment/crop.ts";
import type { Box, Image } from "../images/image.ts";
import { resizeBicubic } from "../images/resize.ts";
import { embeddedJpegWasm, startJpegDecoder } from "../deps/images.ts";
import { joinPath } from "../util/files.ts";
import { peerFile } from "./peers.ts";
import { runProgram } from "./programs.ts";
import { median } from "./timing.ts";

/** `decode`: all pixels as RGB; `crop`: decoding, random crop and resizing; `resize`: crop and resizing of decoded pixels. */
export type ImageStage = "decode" | "crop" | "resize";

/** What somebody takes for a stage. */
export interface StageRate {
  /** `ours`, `libjpeg` (WebAssembly without SIMD, decoding only) or `pillow`. */
  readonly by: "ours" | "libjpeg" | "pillow";
  /** The stage. */
  readonly stage: ImageStage;
  /** The median over rounds through all files. */
  readonly imagesPerSecond: number;
  /** The fastest round. */
  readonly fastest: number;
}

/** What was measured, and on what. */
export interface ImageStages {
  /** Rates, ours first. */
  readonly rates: readonly StageRate[];
  /** Files of a round. */
  readonly files: number;
  /** Their mean length in bytes. */
  readonly fileBytes: number;
  /** SHA-256 of all crops one behind the other, RGB, in hexadecimal. */
  readonly crops: string;
}

/** What came of a rival. */
export interface ImageRival {
  /** Rates; none where it failed. */
  readonly rates: readonly StageRate[];
  /** Whether its crops are ours to the bit; null where it failed. */
  readonly sameBits: boolean | null;
  /** Its versions, or why there is nothing. */
  readonly note: string;
}

/** What to measure. */
export interface ImageWork {
  /** JPEG files. */
  readonly files: readonly Uint8Array[];
  /** A crop of each, as the paper draws it. */
  readonly boxes: readonly Box[];
  /** Side of the square results. */
  readonly size: number;
}

const maeCrop = { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3] } as const;
const asRgb = { channels: 3, exif: "ignore" } as const;

/** The files with a crop each, drawn by the seed. Throws `BrokenImageError` when one is none. */
export async function imageWork(files: readonly Uint8Array[], size = 224, seed = 1): Promise<ImageWork> {
  const boxes: Box[] = [];
  for (const [i, bytes] of files.entries()) {
    const { height, width } = await decodeImage(bytes, asRgb);
    boxes.push(randomResizedCropBox(height, width, maeCrop, new Random(seed, i)));
  }
  return { files, boxes, size };
}

async function cropOf({ files, boxes, size }: ImageWork, i: number, out: Uint8Array): Promise<void> {
  const { image, box } = await decodeBox(files[i], asRgb, () => boxes[i]);
  resizeBicubic(image, box, [size, size], out);
}

async function digestOfCrops(work: ImageWork): Promise<string> {
  const length = work.size ** 2 * 3;
  const all = new Uint8Array(work.files.length * length);
  for (const i of work.files.keys()) await cropOf(work, i, all.subarray(i * length, (i + 1) * length));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One way to do a stage: what is done with a file. */
interface Contestant {
  readonly by: StageRate["by"];
  readonly stage: ImageStage;
  readonly run: (i: number) => unknown;
}

async function contestants(work: ImageWork): Promise<Contestant[]> {
  const { files, boxes, size } = work;
  const decoded: Image[] = [];
  for (const bytes of files) decoded.push(await decodeImage(bytes, asRgb));
  const out = new Uint8Array(size ** 2 * 3);
  const libjpeg = await startJpegDecoder({ wasmBinary: await embeddedJpegWasm(), printErr: () => {} });
  return [
    { by: "ours", stage: "decode", run: (i) => decodeImage(files[i], asRgb) },
    { by: "ours", stage: "crop", run: (i) => cropOf(work, i, out) },
    { by: "ours", stage: "resize", run: (i) => resizeBicubic(decoded[i], boxes[i], [size, size], out) },
    { by: "libjpeg", stage: "decode", run: (i) => libjpeg.decode(files[i], false) },
  ];
}

/**
 * Measures the stages in this thread by turns, each in rounds through all files, for `seconds` each and three rounds at
 * least after two that do not count.
 */
export async function measureImageStages(work: ImageWork, seconds: number): Promise<ImageStages> {
  const racing = await contestants(work);
  const count = work.files.length;
  const rates = racing.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < 5 || performance.now() - start < 1000 * seconds * racing.length; round++) {
    for (const [k, { run }] of racing.entries()) {
      const before = performance.now();
      for (let i = 0; i < count; i++) await run(i);
      if (round >= 2) rates[k].push(1000 * count / (performance.now() - before));
    }
  }
  return {
    rates: racing.map(({ by, stage }, k) => ({
      by,
      stage,
      imagesPerSecond: median(rates[k]),
      fastest: Math.max(...rates[k]),
    })),
    files: count,
    fileBytes: work.files.reduce((sum, { length }) => sum + length, 0) / count,
    crops: await digestOfCrops(work),
  };
}

/** Has Pillow do the same, in one thread of its own; `crops` are ours to compare with. Needs leave to run `python3`. */
export async function measurePillow(work: ImageWork, crops: string, seconds: number): Promise<ImageRival> {
  const program = await peerFile("pillow_data.py");
  const nothing = { rates: [], sameBits: null };
  if (program === null) {
    return { ...nothing, note: "benches/peers/pillow_data.py is not there: run from the sources" };
  }
  const folder = await Deno.makeTempDir({ prefix: "mae-bench-" });
  try {
    for (const [i, bytes] of work.files.entries()) {
      await Deno.writeFile(joinPath(folder, `${String(i).padStart(5, "0")}.jpg`), bytes);
    }
    const boxes = work.boxes.map(({ top, left, height, width }) => [left, top, left + width, top + height]);
    await Deno.writeTextFile(joinPath(folder, "boxes.json"), JSON.stringify(boxes));
    const args = [program, folder, "--size", String(work.size), "--seconds", String(seconds)];
    const { lines, failure } = await runProgram("python3", args, 60 + 6 * seconds);
    const [line] = lines;
    if (line === undefined) return { ...nothing, note: failure ?? "printed nothing" };
    return {
      rates: (["decode", "crop", "resize"] as const).map((stage) => pillowRate(stage, line[stage])),
      sameBits: line.crops === crops,
      note: String(line.version),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function pillowRate(stage: ImageStage, measured: unknown): StageRate {
  const [imagesPerSecond, fastest] = Array.isArray(measured) ? measured.map(Number) : [NaN, NaN];
  return { by: "pillow", stage, imagesPerSecond, fastest };
}
