/** Tiny runs: what the tests of the training job share. */
import { parseSet } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import type { PretrainConfig } from "../../src/config/types.ts";
import { encodePng } from "../../src/formats/png.ts";
import { type MetricsRecord, readMetrics } from "../../src/report/metrics.ts";
import { checkpointPath, listCheckpoints } from "../../src/train/checkpoint/checkpoint.ts";
import type { FinetuneEvent } from "../../src/train/run/events.ts";
import type { RunOptions } from "../../src/train/run/open_run.ts";
import { pretrain, type PretrainResult } from "../../src/train/jobs/pretrain.ts";
import { Random } from "../../src/util/random.ts";
import { inFolder } from "../support/folder.ts";

/** Writes small pictures, each another ramp with noise, into a folder: `00.png`, `01.png`, … */
export async function writeImages(folder: string, count: number, channels: 1 | 3 = 3): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const [height, width] = [12 + index % 5, 14 + index % 3];
    const random = new Random(7, index);
    const data = new Uint8Array(height * width * channels);
    for (let i = 0; i < data.length; i++) {
      const x = Math.floor(i / channels) % width;
      data[i] = 40 + 8 * x + random.integer(30) + 8 * (index % 4);
    }
    const name = `${String(index).padStart(2, "0")}.png`;
    await Deno.writeFile(`${folder}/${name}`, encodePng({ data, height, width, channels }));
  }
}

/** Six steps an epoch of twelve images; no figure, no checkpoint before the end. */
const tiny = [
  "model.encoder={width: 8, depth: 1, heads: 2, mlp_ratio: 2}",
  "model.decoder={width: 8, depth: 1, heads: 1, mlp_ratio: 2}",
  "model.image_size=16",
  "model.patch_size=4",
  "optim.batch_size=2",
  "optim.epochs=2",
  "optim.lr=1e-2",
  "run.backend=cpu",
  "run.log_every=4",
  "run.checkpoint_every=1000 steps",
  "run.figure_images=0",
];

/** A tiny run on the images in `folder/images`, which writes to `folder/<out>`; without threads, as those start slowly. */
export function tinyConfig(folder: string, out = "run", ...sets: string[]): PretrainConfig {
  const all = [...tiny, `data.train=${folder}/images`, `run.out=${folder}/${out}`, ...sets];
  const config = resolvePretrainConfig(all.map(parseSet));
  return config.data.workers === "auto" ? { ...config, data: { ...config.data, workers: 0 } } : config;
}

/** Runs a test with a fresh folder in which `images` holds twelve pictures. */
export function withImages(test: (folder: string) => Promise<void>, count = 12): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await writeImages(`${folder}/images`, count);
      await test(folder);
    });
}

/** A run that has ended, and everything that it said. */
export interface Ended<Result> {
  readonly result: Result;
  readonly events: readonly FinetuneEvent[];
  /** The warnings and notices among them. */
  readonly said: readonly string[];
}

/** How a test runs a job. */
export interface FollowOptions extends RunOptions {
  /** Steps after which it is told to stop; 0 is before it starts. */
  readonly stopAfter?: number;
  readonly onEvent?: (event: FinetuneEvent) => void;
}

/** Runs a job with a configuration, and remembers what it said. */
export async function follow<Config, Result>(
  job: (config: Config, options: FollowOptions) => Promise<Result>,
  config: Config,
  { stopAfter, onEvent, ...options }: FollowOptions,
): Promise<Ended<Result>> {
  const events: FinetuneEvent[] = [];
  const controller = new AbortController();
  if (stopAfter === 0) controller.abort();
  const result = await job(config, {
    signal: controller.signal,
    checkKernels: false, // which takes longer than any run here
    tune: false,
    ...options,
    onEvent: (event) => {
      events.push(event);
      if (event.kind === "step" && event.step === stopAfter) controller.abort();
      onEvent?.(event);
    },
  });
  return { result, events, said: messages(events) };
}

/** Pre-trains by a configuration, and remembers what the run said. */
export function train(config: PretrainConfig, options: FollowOptions = {}): Promise<Ended<PretrainResult>> {
  return follow(pretrain, config, options);
}

/** The warnings and notices, but for the one that every run on the CPU begins with. */
export function messages(events: readonly FinetuneEvent[]): string[] {
  return events.flatMap((event) => event.kind === "warning" || event.kind === "notice" ? [event.message] : [])
    .filter((message) => !message.includes("CPU backend"));
}

async function sha256(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Hashes of the newest checkpoint's tensors, and its step. */
export async function newestBits(run: string): Promise<{ step: number; model: string; optimizer: string }> {
  const step = (await listCheckpoints(run)).at(-1) ?? -1;
  const path = checkpointPath(run, step);
  return {
    step,
    model: await sha256(`${path}/model.safetensors`),
    optimizer: await sha256(`${path}/optimizer.safetensors`),
  };
}

/** A run's metrics without what a clock had a part in. */
export async function metricsOf(run: string): Promise<Partial<MetricsRecord>[]> {
  const timings = new Set(["seconds", "images_per_second", "data_wait", "peak_bytes"]);
  return (await readMetrics(`${run}/metrics.jsonl`)).map((record) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !timings.has(name)))
  );
}

/** Every file and folder under a folder, relative to it, sorted. */
export async function tree(folder: string, under = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${under}`)) {
    const path = under === "" ? name : `${under}/${name}`;
    paths.push(isDirectory ? `${path}/` : path);
    if (isDirectory) paths.push(...await tree(folder, path));
  }
  return paths.sort();
}
