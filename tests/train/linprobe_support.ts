/** Tiny linear probes on coloured shapes. */
import type { LinprobeConfig } from "../../src/config/finetune_types.ts";
import { parseSet } from "../../src/config/layers.ts";
import { linprobe, type LinprobeResult, prepareLinprobe } from "../../src/train/jobs/linprobe.ts";
import { withShapes } from "./finetune_support.ts";
import { type Ended, follow, type FollowOptions, tinyConfig, train } from "./support.ts";

/** Three steps an epoch of eighteen images whose features are known; no checkpoint before the end. */
const tiny = [
  "data.augment=none",
  "data.workers=0",
  "optim.batch_size=6",
  "optim.accumulate=1",
  "optim.epochs=6",
  "optim.warmup_epochs=0",
  "optim.lr=1",
  "run.backend=cpu",
  "run.log_every=2",
  "run.checkpoint_every=1000 steps",
];

/** A tiny probe of `folder/pretrained` on the images in `folder/data`, which writes to `folder/<out>`. */
export async function tinyProbe(
  folder: string,
  out = "run",
  sets: readonly string[] = [],
  random = false,
): Promise<LinprobeConfig> {
  const places = [`from=${folder}/pretrained`, `data.train=${folder}/data`, `run.out=${folder}/${out}`];
  return (await prepareLinprobe([...tiny, ...places, ...sets].map(parseSet), { random })).config;
}

/** Runs a test in a folder with shapes in `data`, and with a short pre-training of them in `pretrained`. */
export function withPretrained(test: (folder: string) => Promise<void>): () => Promise<void> {
  return withShapes(async (folder) => {
    const config = tinyConfig(folder, "pretrained", `data.train=${folder}/data/train`);
    await train(config, { stopAfter: 1 });
    await test(folder);
  });
}

/** Trains a probe by a configuration, and remembers what the run said. */
export function probe(config: LinprobeConfig, options: FollowOptions = {}): Promise<Ended<LinprobeResult>> {
  return follow(linprobe, config, options);
}
