/** Tiny fine-tuning runs on coloured shapes. */
import { resolveFinetuneConfig } from "../../src/config/finetune.ts";
import type { FinetuneConfig } from "../../src/config/finetune_types.ts";
import { parseSet } from "../../src/config/layers.ts";
import { encodePng } from "../../src/formats/png.ts";
import { finetune, type FinetuneResult } from "../../src/train/jobs/finetune.ts";
import { Random } from "../../src/util/random.ts";
import { inFolder } from "../support/folder.ts";
import { type Ended, follow, type FollowOptions } from "./support.ts";

/** Colour of the square that each class has on a gray ground. */
const colors: Readonly<Record<string, readonly number[]>> = {
  blue: [40, 60, 200],
  green: [40, 190, 60],
  red: [210, 50, 40],
};

/** The classes that `writeShapes` makes. */
export const classes: readonly string[] = Object.keys(colors);

/** Writes a folder per class with noisy pictures of 16 pixels in it, each with a square somewhere. */
export async function writeShapes(
  folder: string,
  perClass: number,
  names = classes,
  seed = 1,
): Promise<void> {
  for (const [number, name] of names.entries()) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let index = 0; index < perClass; index++) {
      const random = new Random(seed, number, index);
      const data = Uint8Array.from({ length: 16 * 16 * 3 }, () => 100 + random.integer(50));
      const [top, left, side] = [random.integer(8), random.integer(8), 5 + random.integer(4)];
      for (let y = top; y < top + side; y++) {
        for (let x = left; x < left + side; x++) data.set(colors[name] ?? [0, 0, 0], (y * 16 + x) * 3);
      }
      const path = `${folder}/${name}/${String(index).padStart(2, "0")}.png`;
      await Deno.writeFile(path, encodePng({ data, height: 16, width: 16, channels: 3 }));
    }
  }
}

/** Three steps an epoch of eighteen images, from scratch; no checkpoint before the end. */
const tiny = [
  "model.encoder={width: 16, depth: 2, heads: 2, mlp_ratio: 2}",
  "model.image_size=16",
  "model.patch_size=8",
  "data.augment.crop_scale=[0.6, 1]",
  "data.augment.rand_augment.operations=1",
  "optim.batch_size=6",
  "optim.epochs=2",
  "optim.lr=1e-2",
  "optim.warmup_epochs=0",
  "optim.ema=0.5",
  "run.backend=cpu",
  "run.log_every=2",
  "run.checkpoint_every=1000 steps",
];

/** A tiny run on the images in `folder/data`, which writes to `folder/<out>`; without threads, as those start slowly. */
export function tinyFinetuning(folder: string, out = "run", ...sets: string[]): FinetuneConfig {
  const all = [...tiny, "data.workers=0", `data.train=${folder}/data`, `run.out=${folder}/${out}`, ...sets];
  return resolveFinetuneConfig(all.map(parseSet));
}

/** Runs a test with a fresh folder in which `data/train` and `data/val` hold six and four pictures of each class. */
export function withShapes(test: (folder: string) => Promise<void>): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await writeShapes(`${folder}/data/train`, 6);
      await writeShapes(`${folder}/data/val`, 4, classes, 2);
      await test(folder);
    });
}

/** Fine-tunes by a configuration, and remembers what the run said. */
export function tune(config: FinetuneConfig, options: FollowOptions = {}): Promise<Ended<FinetuneResult>> {
  return follow(finetune, config, options);
}
