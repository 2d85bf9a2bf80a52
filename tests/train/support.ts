/** Tiny runs: what the tests of the training job share. */
import { parseSet } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import type { PretrainConfig } from "../../src/config/types.ts";
import { encodePng } from "../../src/formats/png.ts";
import type { PretrainEvent } from "../../src/train/events.ts";
import { pretrain, type PretrainOptions, type PretrainResult } from "../../src/train/pretrain.ts";
import { Random } from "../../src/util/random.ts";

/** Writes `count` small pictures of seeded shapes and noise into a folder, `00.png`, `01.png`, … */
export async function writeImages(folder: string, count: number, channels: 1 | 3 = 3): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const [height, width] = [12 + index % 5, 14 + index % 3];
    const random = new Random(7, index);
    const data = new Uint8Array(height * width * channels);
    for (let i = 0; i < data.length; i++) {
      const x = Math.floor(i / channels) % width;
      data[i] = 40 + 12 * x + random.integer(30) + 8 * (index % 4);
    }
    const name = `${String(index).padStart(2, "0")}.png`;
    await Deno.writeFile(`${folder}/${name}`, encodePng({ data, height, width, channels }));
  }
}

const tiny = [
  "model.encoder={width: 8, depth: 1, heads: 2, mlp_ratio: 2}",
  "model.decoder={width: 8, depth: 1, heads: 1, mlp_ratio: 2}",
  "model.image_size=16",
  "model.patch_size=4",
  "optim.batch_size=2",
  "optim.epochs=2",
  "optim.lr=1e-2",
  "run.backend=cpu",
  "run.log_every=3",
  "run.checkpoint_every=4 steps",
  "run.figure_images=0",
  "data.workers=1",
];

/** `tiny` as `--set` flags for the command line. */
export const tinyFlags: readonly string[] = tiny.flatMap((assignment) => ["--set", assignment]);

/** A configuration of a tiny run in `folder`: images in `folder/images`, output in `folder/<out>`. */
export function tinyConfig(folder: string, out = "run", ...sets: string[]): PretrainConfig {
  const paths = [`data.train=${folder}/images`, `run.out=${folder}/${out}`];
  return resolvePretrainConfig([...tiny, ...paths, ...sets].map(parseSet));
}
