/** `mae bench data`: reading, decoding and the loader as a whole, beside rivals, and what holds the others up. */
import { openSource } from "../sources/open_source.ts";
import { automaticWorkers, openLoader } from "../data/loader.ts";
import { decodeImage } from "../images/decode.ts";
import { BrokenImageError } from "../images/image.ts";
import { readSample } from "../sources/sample_bytes.ts";
import type { ImageSource } from "../sources/source.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { joinPath } from "../util/files.ts";
import { imageWork, measureImageStages, measurePillow, type StageRate } from "./image_stages.ts";
import { makePhotographs } from "./photographs.ts";
import { measureReading, type ReadingRate } from "./reading.ts";
import {
  measureShardReading,
  measureShardRivals,
  type ShardRivals,
  writeShardWork,
} from "./shard_reading.ts";
import { median } from "./timing.ts";

/** Raised when a field changes its meaning or goes away. */
export const dataReportVersion = 1;

/** What to measure. */
export interface DataBenchOptions {
  /** A data set, as `data.train` names it; photographs made for the purpose, 500 x 375, by default. */
  readonly source?: string;
  /** Seconds of a measurement, about. */
  readonly seconds: number;
  /** Whether Pillow and other readers of shards do the same. */
  readonly peers: boolean;
  /** The version of this program. */
  readonly version: string;
  /** Images that are decoded over and over; 48 by default. */
  readonly images?: number;
  /** Bytes of the shards that reading is measured with; 256 MiB by default. */
  readonly bytes?: number;
  /** Numbers of data workers to try the loader with; 1 and the automatic number by default. */
  readonly workers?: readonly number[];
  /** Where the workers' module is, if not beside the program's. */
  readonly workerUrl?: URL | string;
}

/** What the loader gives as a whole. */
export interface LoaderRate {
  /** Data workers. */
  readonly workers: number;
  /** The median over rounds of some batches: crops of 224 x 224, flipped half of the time. */
  readonly imagesPerSecond: number;
}

/** Everything that one run of `mae bench data` measured. */
export interface DataReport {
  /** Version of these fields. */
  readonly version: number;
  /** When it started, in UTC. */
  readonly date: string;
  /** Seconds of a measurement, about. */
  readonly seconds: number;
  /** Where it ran. */
  readonly machine: {
    readonly mae: string;
    readonly deno: string;
    readonly system: string;
    readonly cores: number;
  };
  /** The images: what they are called, how many were taken, their mean length in bytes. */
  readonly data: { readonly name: string; readonly images: number; readonly fileBytes: number };
  /** One thread reading the data set. */
  readonly reading: ReadingRate;
  /** One thread reading shards made for the purpose: our rates, then those of rivals, and why some of these are missing. */
  readonly shards: ShardRivals;
  /** One thread decoding, cropping, resizing, in images per second. */
  readonly stages: readonly StageRate[];
  /** What Pillow says of itself, or why there is nothing of it; null where it was not asked. */
  readonly pillow: { readonly note: string; readonly sameBits: boolean | null } | null;
  /** The loader as a whole. */
  readonly loader: readonly LoaderRate[];
  /** What holds the loader up, with the greatest number of workers. */
  readonly bottleneck: Bottleneck;
}

/** What holds the loader up: `workers` decode and resize as fast as they can, `reading` is slower, or neither: `handing over`. */
export interface Bottleneck {
  /** The stage. */
  readonly stage: "reading" | "workers" | "handing over";
  /** Images per second that the stage allows with so many workers. */
  readonly allows: number;
  /** Share of it that the loader reaches. */
  readonly reached: number;
}

/** Hears of what is being measured. */
export type DataProgress = (what: string) => void;

/** Images of a batch that the loader is measured with. */
const BATCH = 32;
/** Their side. */
const SIDE = 224;

/** Some files of a data set, evenly spread over it, without those that are no images. */
async function filesOf(source: ImageSource, count: number): Promise<Uint8Array[]> {
  const files: Uint8Array[] = [];
  const wanted = Math.min(count, source.length);
  for (let i = 0; i < wanted; i++) {
    try {
      const bytes = await readSample(await source.locate(Math.floor(i * source.length / wanted)));
      await decodeImage(bytes, { channels: 3, exif: "ignore" });
      files.push(bytes);
    } catch (error) {
      if (!(error instanceof BrokenImageError)) throw error;
    }
  }
  if (files.length === 0) throw new RunError(`None of ${wanted} images under "${source.root}" can be read`);
  return files;
}

/** The data set to measure with; photographs are made into the folder where none is given. */
async function dataSet({ source, images = 48 }: DataBenchOptions, folder: string): Promise<ImageSource> {
  if (source !== undefined) return await openSource(source);
  for (const [i, bytes] of makePhotographs(images).entries()) {
    await Deno.writeFile(joinPath(folder, `${String(i).padStart(3, "0")}.jpg`), bytes);
  }
  return await openSource(folder);
}

/** The loader on a data set, for so many seconds and three rounds at least, after one that starts its workers. */
async function loaderRate(
  source: ImageSource,
  workers: number,
  { seconds, workerUrl }: DataBenchOptions,
): Promise<LoaderRate> {
  const loader = await openLoader({
    source,
    imageSize: [SIDE, SIDE],
    channels: 3,
    exif: "apply",
    augment: { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3], flip: true },
    seed: 0,
    batchSize: BATCH,
    accumulate: 1,
    repeat: "auto",
    workers,
    workerUrl,
  });
  try {
    const batches = Math.max(2, 2 * workers); // more than are made ahead by one worker, so that rounds are alike
    const rates: number[] = [];
    for (let i = 0; i < 2 * batches; i++) await loader.next();
    const start = performance.now();
    while (rates.length < 3 || performance.now() - start < 1000 * seconds) {
      const before = performance.now();
      for (let i = 0; i < batches; i++) await loader.next();
      rates.push(1000 * batches * BATCH / (performance.now() - before));
    }
    return { workers, imagesPerSecond: median(rates) };
  } finally {
    await loader.close();
  }
}

/** What holds the loader up, from what one thread does of each stage. */
export function bottleneckOf(
  loader: LoaderRate,
  perWorker: { readonly reading: number; readonly crop: number },
  cores: number,
): Bottleneck {
  const threads = Math.min(loader.workers, cores);
  const limits = [
    { stage: "workers" as const, allows: threads * perWorker.crop },
    { stage: "reading" as const, allows: threads * perWorker.reading },
  ];
  const tightest = limits[0].allows <= limits[1].allows ? limits[0] : limits[1];
  const reached = loader.imagesPerSecond / tightest.allows;
  // What lies between the stages (tasks, reports, memory shared by threads) costs a little; half of all is more than that.
  return { ...tightest, stage: reached < 0.5 ? "handing over" : tightest.stage, reached };
}

/** The rate of ours at a stage. */
function ours(stages: readonly StageRate[], wanted: StageRate["stage"]): number {
  return stages.find(({ by, stage }) => by === "ours" && stage === wanted)?.imagesPerSecond ?? NaN;
}

/** Shards made in the folder, read by us and, where wanted, by others. */
async function shardRates(
  folder: string,
  { bytes = 2 ** 28, seconds, peers }: DataBenchOptions,
): Promise<ShardRivals> {
  const work = await writeShardWork(folder, bytes);
  const ours = await measureShardReading(work, seconds);
  if (!peers) return { rates: ours, notes: [] };
  const { rates, notes } = await measureShardRivals(work, seconds);
  return { rates: [...ours, ...rates], notes };
}

/**
 * Measures the data path from the disk to batches, on this machine's processor alone.
 * @throws {InputError} when the data set cannot be opened; `RunError` when nothing in it can be read, or a data worker is lost
 */
export async function runDataBench(
  options: DataBenchOptions,
  onProgress: DataProgress = () => {},
): Promise<DataReport> {
  const folder = await temporaryFolder();
  try {
    return await measureDataPath(options, folder, onProgress);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function temporaryFolder(): Promise<string> {
  try {
    return await Deno.makeTempDir({ prefix: "mae-bench-" });
  } catch (error) {
    throw new InputError(`bench data needs a folder for temporary files: ${messageOf(error)}`);
  }
}

async function measureDataPath(
  options: DataBenchOptions,
  folder: string,
  onProgress: DataProgress,
): Promise<DataReport> {
  const { seconds, peers, version, images = 48 } = options;
  const date = new Date().toISOString();
  onProgress("reading");
  const source = await dataSet(options, folder);
  const files = await filesOf(source, images);
  const reading = await measureReading(source, seconds);
  onProgress("shards");
  const shards = await shardRates(folder, options);
  onProgress("decoding and resizing");
  const work = await imageWork(files, SIDE);
  const { rates, crops, fileBytes } = await measureImageStages(work, seconds);
  if (peers) onProgress("Pillow");
  const pillow = peers ? await measurePillow(work, crops, seconds) : null;
  const loader: LoaderRate[] = [];
  for (const workers of options.workers ?? new Set([1, automaticWorkers()])) {
    onProgress(`the loader with ${workers} worker${workers === 1 ? "" : "s"}`);
    loader.push(await loaderRate(source, workers, options));
  }
  const cores = navigator.hardwareConcurrency;
  const perWorker = { reading: reading.imagesPerSecond, crop: ours(rates, "crop") };
  return {
    version: dataReportVersion,
    date,
    seconds,
    machine: { mae: version, deno: Deno.version.deno, system: `${Deno.build.os} ${Deno.build.arch}`, cores },
    data: { name: options.source ?? "made photographs, 500 x 375", images: files.length, fileBytes },
    reading,
    shards,
    stages: [...rates, ...pillow?.rates ?? []],
    pillow: pillow && { note: pillow.note, sameBits: pillow.sameBits },
    loader,
    bottleneck: bottleneckOf(loader[loader.length - 1], perWorker, cores),
  };
}
