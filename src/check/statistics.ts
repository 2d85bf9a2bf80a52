/** Mean and deviation of a data set's channels, in the unit of `data.mean` and `data.std`. */
import type { ReadingConfig } from "../config/types.ts";
import { RunError } from "../util/errors.ts";
import { usualChannels } from "../images/decode.ts";
import { spread } from "../data/eval_images.ts";
import { BrokenImageError } from "../images/image.ts";
import type { BrokenFile } from "../data/broken_samples.ts";
import { automaticWorkers } from "../data/loader.ts";
import { Measurements, recordLength } from "../data/measure.ts";
import { inlineRenderer, type Renderer, WorkerPool } from "../data/pool.ts";
import type { RenderSettings } from "../data/render.ts";
import { renderSamples } from "../data/render_samples.ts";
import { readSample } from "../sources/sample_bytes.ts";
import type { ImageSource } from "../sources/source.ts";

/** What to measure, and how. */
export interface StatisticsOptions extends Partial<Pick<ReadingConfig, "bands" | "range">> {
  /** Channels, as a model takes them; by default as many as bands, else 3 for gray and colours, else the first file's. */
  readonly channels?: number;
  /** How many images to look at, spread evenly over the data set; default all. */
  readonly sample?: number;
  /** Data workers; `auto` is the number of cores, at most 8; 0 works in this thread. */
  readonly workers?: number | "auto";
  /** The worker's module, where it does not lie beside this one. */
  readonly workerUrl?: URL | string;
  /** Hears after each batch of the share that is done. */
  readonly onProgress?: (share: number) => void;
  /** Hears of each file that cannot be read. */
  readonly onBroken?: (file: BrokenFile) => void;
}

/** What a data set's pixels are. All of its pixels count alike. */
export interface DataStatistics {
  /** Per-channel mean. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation. */
  readonly std: readonly number[];
  /** Per-channel least value. */
  readonly least: readonly number[];
  /** Per-channel largest value. */
  readonly largest: readonly number[];
  /** Images measured. */
  readonly images: number;
  /** Images that could not be read. */
  readonly broken: number;
  /** Images of each size, `WIDTHxHEIGHT`, the most frequent first. */
  readonly sizes: readonly (readonly [size: string, images: number])[];
  /** Images of each depth in bits, 32 for floats and large integers, ascending. */
  readonly depths: readonly (readonly [bits: number, images: number])[];
}

/** Images of a task. */
const CHUNK = 32;
/** Files in which the number of channels is looked for. */
const LOOKED_AT = 100;

/**
 * Measures the images of a data set at their full depth and size. The same bits come out whatever the number of workers.
 * @throws {RunError} when none can be read, or a worker crashes
 */
export async function measureImages(
  source: ImageSource,
  options: StatisticsOptions = {},
): Promise<DataStatistics> {
  const { bands = null, range = null, onProgress, workerUrl } = options;
  const samples = spread(source.length, options.sample ?? source.length);
  const channels = options.channels ?? bands?.length ?? await channelsOf(source, samples);
  const settings: RenderSettings = {
    imageSize: [1, 1],
    channels,
    exif: "ignore",
    values: "float32",
    bands,
    range,
    augment: { measure: true },
    seed: 0,
  };
  const workers = options.workers === undefined || options.workers === "auto"
    ? automaticWorkers()
    : options.workers;
  const renderer = workers === 0
    ? inlineRenderer(settings)
    : new WorkerPool(settings, workers, { workerUrl });
  const all = new Measurements(channels);
  let broken = 0;
  const onBroken = (file: BrokenFile) => {
    broken++;
    options.onBroken?.(file);
  };
  try {
    let ahead = measureChunk(renderer, source, samples.slice(0, CHUNK), channels);
    for (let first = 0; first < samples.length; first += CHUNK) {
      const { records, failures } = await ahead;
      ahead = measureChunk(renderer, source, samples.slice(first + CHUNK, first + 2 * CHUNK), channels);
      ahead.catch(() => {}); // whoever comes to it throws it
      for (const [slot, sample] of samples.slice(first, first + CHUNK).entries()) {
        const reason = failures.get(slot);
        if (reason !== undefined) onBroken({ path: source.path(sample), reason });
        else all.add(records[slot]);
      }
      onProgress?.(Math.min(1, (first + CHUNK) / samples.length));
    }
  } finally {
    renderer.close();
  }
  return summarized(all, broken, source);
}

/** The records of some samples, and why some have none. */
async function measureChunk(
  renderer: Renderer,
  source: ImageSource,
  samples: readonly number[],
  channels: number,
) {
  const length = recordLength(channels);
  const memory = new SharedArrayBuffer(8 * length * samples.length);
  const places = samples.map((sample, slot) => ({ slot, position: sample, sample }));
  const failures = await renderSamples(renderer, source, memory, 0, places);
  const values = new Float64Array(memory);
  return {
    records: samples.map((_, slot) => values.subarray(slot * length, (slot + 1) * length)),
    failures: new Map(failures.map(({ slot, reason }) => [slot, reason])),
  };
}

/** The usual number of channels of the first file that can be read. */
async function channelsOf(source: ImageSource, samples: readonly number[]): Promise<number> {
  for (const sample of samples.slice(0, LOOKED_AT)) {
    try {
      return await usualChannels(await readSample(await source.locate(sample)));
    } catch (error) {
      if (!(error instanceof BrokenImageError)) throw error;
    }
  }
  return 3;
}

function summarized(
  { images, sizes, depths, moments }: Measurements,
  broken: number,
  source: ImageSource,
): DataStatistics {
  if (images === 0) throw new RunError(`None of the ${broken} images of "${source.root}" can be read`);
  return {
    mean: moments.map(({ mean }) => mean),
    std: moments.map(({ deviation }) => deviation),
    least: moments.map(({ least }) => least),
    largest: moments.map(({ largest }) => largest),
    images,
    broken,
    sizes: [...sizes].sort(([, a], [, b]) => b - a),
    depths: [...depths].sort(([a], [b]) => a - b),
  };
}
