/** Images of more bands and more bits than photographs have, from files to figures. */
import { readDeepImage } from "../../../src/sources/read_image.ts";
import { embed } from "../../../src/train/features/embed.ts";
import { readEncoderSource } from "../../../src/train/model_files/encoder_source.ts";
import { reconstructImages } from "../../../src/train/pictures/reconstruct_images.ts";
import { fileSource } from "../../../src/sources/source.ts";
import { openModelSource } from "../../../src/train/model_files/model_source.ts";
import { onnxPlan } from "../../../src/train/model_files/onnx_plan.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { Random } from "../../../src/util/random.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { encodeTiff } from "../../support/tiff.ts";
import { tinyFinetuning, tune } from "../finetune_support.ts";
import { metricsOf, newestBits, tinyConfig, train, tree } from "../support.ts";

const bands = 5;

/** Twelve pictures of five bands of 16 bits, whose depth is in their low bits: none is above 4000. */
async function writeBands(folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/images`, { recursive: true });
  for (let index = 0; index < 12; index++) {
    const [height, width] = [18 + index % 5, 17 + index % 3];
    const random = new Random(5, index);
    const values = Uint16Array.from({ length: height * width * bands }, (_, i) => {
      const x = Math.floor(i / bands) % width;
      return 500 * (i % bands) + 50 * x + random.integer(200) + 20 * index;
    });
    const name = `${folder}/images/${String(index).padStart(2, "0")}.tif`;
    await Deno.writeFile(name, encodeTiff(values, height, width, bands));
  }
}

const statistics = [
  "data.mean=[0.02, 0.03, 0.035, 0.04, 0.05]",
  "data.std=[0.004, 0.004, 0.004, 0.004, 0.004]",
];
const deep = ["model.channels=5", "data.values=float32", ...statistics];

for (const backend of ["cpu", "webgpu"]) {
  Deno.test(`pretrain() learns from five bands of 16 bits, whatever the workers (${backend})`, () =>
    inFolder(async (folder) => {
      await writeBands(folder);
      const sets = [
        ...deep,
        "target.normalize=false",
        "optim.epochs=6",
        "run.log_every=6",
        `run.backend=${backend}`,
      ];
      const losses: number[][] = [];
      for (const workers of [0, 2]) {
        const { result } = await train(
          tinyConfig(folder, `run${workers}`, ...sets, `data.workers=${workers}`),
        );
        assertEquals(result.brokenFiles, 0);
        losses.push((await metricsOf(`${folder}/run${workers}`)).map(({ loss }) => loss ?? Infinity));
      }
      assertEquals(await newestBits(`${folder}/run2`), await newestBits(`${folder}/run0`));
      assert((losses[0].at(-1) ?? Infinity) < 0.7 * losses[0][0], `${losses[0]}`);
    }));
}

Deno.test("pretrain() on 16 bits keeps what 8 bits lose, and takes another way with data.range", () =>
  inFolder(async (folder) => {
    await writeBands(folder);
    const losses: number[] = [];
    for (const sets of [deep, ["model.channels=5", "data.values=uint8", ...statistics]]) {
      const { result } = await train(tinyConfig(folder, `run${losses.length}`, ...sets));
      losses.push(result.loss ?? NaN);
    }
    assertNotEquals(losses[0], losses[1]);
    // With the range the same statistics mean something else; scaled with it, they mean the same.
    const scaled = [
      "data.range=[0, 6553.5]",
      "data.mean=[0.2, 0.3, 0.35, 0.4, 0.5]",
      "data.std=[0.04, 0.04, 0.04, 0.04, 0.04]",
    ];
    const { result } = await train(
      tinyConfig(folder, "ranged", "model.channels=5", "data.values=float32", ...scaled),
    );
    assert(Math.abs((result.loss ?? NaN) - losses[0]) < 1e-3 * losses[0], `${result.loss}, ${losses[0]}`);
  }));

Deno.test("pretrain() refuses 16 bits where nobody says what becomes of them", () =>
  inFolder(async (folder) => {
    await writeBands(folder);
    const error = await assertRejects(
      () => train(tinyConfig(folder, "run", "model.channels=5", ...statistics)),
      RunError,
    );
    assertStringIncludes(
      error.message,
      "holds values of 16 bits; data.values must say whether they are kept (float32) or reduced to 8 bits (uint8)",
    );
  }));

Deno.test("a run on bands draws figures, and what follows it takes the same bands", () =>
  inFolder(async (folder) => {
    await writeBands(folder);
    const sets = [
      "model.channels=3",
      "data.bands=[4, 3, 1]",
      "data.values=float32",
      "data.mean=[0.03, 0.025, 0.01]",
      "data.std=[0.004, 0.004, 0.004]",
      "run.figure_images=2",
    ];
    await train(tinyConfig(folder, "run", ...sets));
    assert((await tree(`${folder}/run`)).includes("figures/reconstructions-step-00000012.png"));
    const { encoder } = await readEncoderSource(`${folder}/run`);
    assertEquals(encoder.reading, { values: "float32", bands: [4, 3, 1] });
    const made = await embed({ from: `${folder}/run` }, {
      data: `${folder}/images`,
      out: `${folder}/features.safetensors`,
      backend: "cpu",
      workers: 0,
    });
    assertEquals([made.images, made.brokenFiles], [12, 0]);
    const images = fileSource(`${folder}/images`, ["00.tif", "01.tif"]);
    const { rows } = await reconstructImages(`${folder}/run`, images, {
      backend: "cpu",
      checkKernels: false,
    });
    assertEquals(rows.map(({ original }) => original.length), [16 * 16 * 3, 16 * 16 * 3]);
    // Shown three deviations around the mean: neither black nor white.
    const shown = rows[0].original.reduce((sum, value) => sum + value, 0) / rows[0].original.length;
    assert(shown > 40 && shown < 215, `${shown}`);
    using source = await openModelSource(`${folder}/run`);
    assertEquals(onnxPlan(source, {}).metadata.bands, "[4,3,1]");
    assertThrows(() => onnxPlan(source, { rawPixels: true }), InputError, "takes no bytes from 0 to 255");
    const image = await readDeepImage(`${folder}/images/00.tif`, {
      imageSize: [16, 16],
      channels: 3,
      exif: "apply",
      bands: [4, 3, 1],
    });
    assertEquals(image.channels, 3);
  }));

Deno.test("finetune() takes float bands through erasing, mixing and evaluation, and says so in its checkpoint", () =>
  inFolder(async (folder) => {
    for (const [part, seed] of [["train", 1], ["val", 2]] as const) {
      for (const [number, name] of ["low", "high"].entries()) {
        await Deno.mkdir(`${folder}/data/${part}/${name}`, { recursive: true });
        for (let i = 0; i < 6; i++) {
          const random = new Random(seed, number, i);
          const values = Float32Array.from(
            { length: 16 * 16 * 2 },
            () => 1000 * number + random.uniform(-50, 50),
          );
          await Deno.writeFile(`${folder}/data/${part}/${name}/${i}.tif`, encodeTiff(values, 16, 16, 2));
        }
      }
    }
    const sets = [
      "model.channels=2",
      "data.values=float32",
      "data.range=[0, 1000]",
      "data.mean=[0.5, 0.5]",
      "data.std=[0.5, 0.5]",
      "data.augment.rand_augment=none",
      "data.augment.erasing.probability=0.5",
      "optim.epochs=6",
    ];
    const { result } = await tune(tinyFinetuning(folder, "run", ...sets));
    assertEquals(result.brokenFiles, 0);
    const { classifier } = await readEncoderSource(`${folder}/run`);
    assertEquals([classifier?.values, classifier?.range, classifier?.bands], [
      "float32",
      [0, 1000],
      undefined,
    ]);
    assertEquals(result.evaluation?.top1, 1);
  }));
