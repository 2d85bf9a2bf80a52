/** The images of a data set in their order, each once, by the evaluation transform, made ahead of time in workers. */
import type { PixelValues } from "../config/types.ts";
import type { BrokenFile } from "./broken_samples.ts";
import { automaticWorkers } from "./loader.ts";
import { checkDecoder } from "../images/native_jpeg.ts";
import { inlineRenderer, type Renderer, WorkerPool } from "./pool.ts";
import type { ImageSettings } from "../sources/read_image.ts";
import { imageBytes, imageSettings, type ItemFailure, pixelsIn, type RenderSettings } from "./render.ts";
import { renderSamples } from "./render_samples.ts";
import type { ImageSource } from "../sources/source.ts";

/** What to load, and how. */
export interface EvalLoaderOptions extends ImageSettings {
  /** The images. */
  readonly source: ImageSource;
  /** Images of a batch; the last one may have fewer. */
  readonly batchSize: number;
  /** Share of the resized image's sides that the centre crop keeps. */
  readonly cropShare: number;
  /** Data workers; `auto` is the number of cores, at most 8; 0 works in this thread. */
  readonly workers: number | "auto";
  /** The worker's module, where it does not lie beside this one. */
  readonly workerUrl?: URL | string;
  /** Called for each broken file; such files are in no batch. */
  readonly onBroken?: (file: BrokenFile) => void;
  /** Called with a sentence when a data worker was lost and another one took its place. */
  readonly onRestart?: (message: string) => void;
}

/** Some images of a data set. */
export interface EvalBatch {
  /** Pixels [images, height, width, channels]. Valid until the next batch is asked for; then the memory is written anew. */
  readonly pixels: PixelValues;
  /** The sample that each image is. */
  readonly indices: Uint32Array;
}

/** Batches made before they are asked for. */
const AHEAD = 2;

/** A batch under way: its memory, its samples, and what turns out broken. */
interface Pending {
  readonly buffer: SharedArrayBuffer;
  readonly indices: Uint32Array;
  readonly failures: Promise<ItemFailure[]>;
}

/**
 * Goes through a data set in order, whatever the number of workers. Broken files are reported and left out, so a batch may be
 * smaller than asked for; a batch of broken files only is passed over. Ends the workers when the loop ends, also early.
 * Throws `RunError` when a worker crashes.
 */
export async function* evaluationBatches(options: EvalLoaderOptions): AsyncGenerator<EvalBatch, void, void> {
  const { source, batchSize, imageSize, channels, cropShare } = options;
  checkDecoder(options.decoder);
  const settings: RenderSettings = { ...imageSettings(options), augment: { cropShare }, seed: 0 };
  const workers = options.workers === "auto" ? automaticWorkers() : options.workers;
  const renderer = workers === 0 ? inlineRenderer(settings) : new WorkerPool(settings, workers, options);
  const length = imageSize[0] * imageSize[1] * channels;
  const free = Array.from(
    { length: AHEAD + 1 },
    () => new SharedArrayBuffer(batchSize * imageBytes(options)),
  );
  const queue: Pending[] = [];
  let next = 0;
  try {
    while (true) {
      for (; queue.length < AHEAD && next < source.length; next += batchSize) {
        queue.push(
          start(
            options,
            renderer,
            next,
            free.pop() ?? new SharedArrayBuffer(batchSize * imageBytes(options)),
          ),
        );
      }
      const [pending] = queue.splice(0, 1);
      if (pending === undefined) return;
      const { buffer, indices } = pending;
      const failures = await pending.failures;
      for (const { slot, reason } of failures) {
        options.onBroken?.({ path: source.path(indices[slot]), reason });
      }
      const batch = withoutBroken(pixelsIn(buffer, options), indices, failures, length);
      if (batch.indices.length > 0) yield batch;
      free.push(buffer);
    }
  } finally {
    renderer.close();
  }
}

function start(
  { source, batchSize }: EvalLoaderOptions,
  renderer: Renderer,
  first: number,
  buffer: SharedArrayBuffer,
): Pending {
  const count = Math.min(batchSize, source.length - first);
  const indices = Uint32Array.from({ length: count }, (_, slot) => first + slot);
  const places = Array.from(indices, (sample, slot) => ({ slot, position: sample, sample }));
  const failures = renderSamples(renderer, source, buffer, 0, places)
    .then((found) => found.sort((a, b) => a.slot - b.slot));
  failures.catch(() => {}); // who comes to this batch throws it
  return { buffer, indices, failures };
}

/** Closes the gaps that broken files left. */
function withoutBroken(
  pixels: PixelValues,
  indices: Uint32Array,
  failures: readonly ItemFailure[],
  length: number,
): EvalBatch {
  const broken = new Set(failures.map(({ slot }) => slot));
  const sound = Array.from(indices.keys()).filter((slot) => !broken.has(slot));
  sound.forEach((slot, to) => {
    if (slot !== to) pixels.copyWithin(to * length, slot * length, (slot + 1) * length);
  });
  return {
    pixels: pixels.subarray(0, sound.length * length),
    indices: Uint32Array.from(sound, (slot) => indices[slot]),
  };
}

/** Pixels of a whole batch, where the last one has fewer: the same number of values every time makes the same kernels run. */
export function filledUp(pixels: PixelValues, length: number): PixelValues {
  if (pixels.length === length) return pixels;
  const filled = pixels instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length);
  filled.set(pixels);
  return filled;
}
