/** Labelled pictures that are easy to tell apart, and an encoder to do it with. */
import { encodePng } from "../../src/formats/png.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { createMae, type MaeConfig } from "../../src/models/mae.ts";
import { Random } from "../../src/util/random.ts";
import { inFolder } from "../support/folder.ts";

/** The mean brightness of each class. */
const brightness = { dark: 40, gray: 120, light: 210 };

/** Writes `count` pictures of 12 pixels for each class: noise around the class's brightness. */
export async function writeClasses(folder: string, count: number, seed = 1): Promise<void> {
  for (const [index, [name, level]] of Object.entries(brightness).entries()) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let i = 0; i < count; i++) {
      const random = new Random(seed, index, i);
      const data = Uint8Array.from({ length: 12 * 12 * 3 }, () => level + random.integer(41) - 20);
      await Deno.writeFile(
        `${folder}/${name}/${i}.png`,
        encodePng({ data, height: 12, width: 12, channels: 3 }),
      );
    }
  }
}

/** A tiny model: 9 patches. */
export const tinyModel: MaeConfig = {
  imageSize: 12,
  patchSize: 4,
  channels: 3,
  encoder: { width: 8, depth: 1, heads: 2, mlpRatio: 2 },
  decoder: { width: 4, depth: 1, heads: 1, mlpRatio: 2 },
};

/** Writes a checkpoint of the tiny model with random weights, by the CPU. */
export async function writeTinyCheckpoint(folder: string): Promise<void> {
  await openRuntime({ backend: "cpu" });
  const mae = createMae(tinyModel, { seed: 1 });
  await Deno.mkdir(folder, { recursive: true });
  const entries = [...await mae.state()].map(([name, tensor]) => ({ name, ...tensor }));
  await writeSafetensors(`${folder}/model.safetensors`, entries);
  const { encoder: { width, depth, heads, mlpRatio } } = tinyModel;
  const config = {
    model: {
      encoder: { width, depth, heads, mlp_ratio: mlpRatio },
      image_size: 12,
      patch_size: 4,
      channels: 3,
    },
    data: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  };
  const state = {
    format: 1,
    job: "pretrain",
    step: 7,
    epoch: 1,
    stepsPerEpoch: 7,
    samples: 6,
    seconds: 8,
    config,
  };
  await Deno.writeTextFile(`${folder}/state.json`, JSON.stringify(state));
  mae.dispose();
}

/** A test with a tiny checkpoint, `checkpoint`, and two pictures of each of three classes, `images`, in a folder of its own. */
export function withData(test: (folder: string) => Promise<void>): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await writeClasses(`${folder}/images`, 2);
      await writeTinyCheckpoint(`${folder}/checkpoint`);
      await test(folder);
    });
}
