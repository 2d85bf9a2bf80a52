import type { PretrainConfig } from "../../../src/config/types.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readMetrics } from "../../../src/report/metrics.ts";
import { listCheckpoints } from "../../../src/train/checkpoint/checkpoint.ts";
import type { FinetuneEvent } from "../../../src/train/run/events.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../deps.ts";
import {
  messages,
  metricsOf,
  newestBits,
  tinyConfig,
  train,
  tree,
  withImages,
  writeImages,
} from "../support.ts";

/** A configuration with a learning rate that the command line would refuse. */
function withLearningRate(config: PretrainConfig, lr: number): PretrainConfig {
  return { ...config, optim: { ...config.optim, lr } };
}

// What cannot work is refused before anything is written

for (
  const [what, sets, sentence] of [
    [
      "a missing folder of images",
      ["data.train=FOLDER/imagse"],
      /^There is no folder ".*imagse"; did you mean ".*\/images"\?$/,
    ],
    ["an empty folder of images", ["data.train=FOLDER/empty"], /^There are no images under ".*empty"/],
    [
      "an epoch without a step",
      ["data.repeat=1", "optim.batch_size=13"],
      /^One step takes 13 images .* 12 images/,
    ],
    [
      "a file in the way of the run's folder",
      ["run.out=FOLDER/images/00.png"],
      /00\.png is a file; choose another/,
    ],
    [
      "a file in the way to it",
      ["run.out=FOLDER/images/00.png/run"],
      /run cannot be made: .*00\.png is a file/,
    ],
  ] as const
) {
  Deno.test(
    `pretrain() refuses ${what}, and leaves nothing behind`,
    withImages(async (folder) => {
      await Deno.mkdir(`${folder}/empty`);
      const before = await tree(folder);
      const config = tinyConfig(folder, "run", ...sets.map((set) => set.replace("FOLDER", folder)));
      const error = await assertRejects(() => train(config), InputError);
      assertMatch(error.message, sentence);
      assertEquals(await tree(folder), before);
    }),
  );
}

Deno.test(
  "pretrain() refuses a model whose sizes do not fit, and leaves nothing behind",
  withImages(async (folder) => {
    const config = tinyConfig(folder);
    for (
      const [model, sentence] of [
        [{ imageSize: [17, 16] }, /^model: Images of 17x16 are no whole number of 4x4 patches$/],
        [
          { decoder: { ...config.model.decoder, depth: 0 } },
          /^model: decoder\.depth must be .* from 1, not 0$/,
        ],
      ] as const
    ) {
      const wrong = { ...config, model: { ...config.model, ...model } } as PretrainConfig;
      const error = await assertRejects(() => train(wrong), InputError);
      assertMatch(error.message, sentence);
    }
    assertEquals((await tree(folder)).filter((path) => !path.startsWith("images/")), []);
  }),
);

Deno.test(
  "pretrain() refuses a folder of images that are all broken, naming some, and leaves nothing behind",
  withImages(async (folder) => {
    for (let i = 0; i < 5; i++) await Deno.writeTextFile(`${folder}/images/${i}.jpg`, "no image");
    const events: FinetuneEvent[] = [];
    const error = await assertRejects(
      () => train(tinyConfig(folder), { onEvent: (event) => events.push(event) }),
      RunError,
    );
    assertMatch(
      error.message,
      /^None of the 5 image files under ".*" can be read \(.*\.jpg: not an image.*\)$/,
    );
    assertEquals(messages(events).length, 5);
    assertEquals((await tree(folder)).filter((path) => !path.startsWith("images/")), []);
  }, 0),
);

// Non-finite steps

Deno.test(
  "pretrain() skips and counts steps that are not finite, and stops with advice after several in a row",
  withImages(async (folder) => {
    const sets = [
      "optim.max_bad_steps=3",
      "run.log_every=2",
      "optim.warmup_epochs=0",
      "run.checkpoint_every=1 steps",
    ];
    for (const backend of ["cpu", "webgpu"]) {
      const config = withLearningRate(tinyConfig(folder, backend, `run.backend=${backend}`, ...sets), 1e30);
      const error = await assertRejects(() => train(config), RunError);
      assertMatch(
        error.message,
        /^Loss or gradients were not finite in \d steps in a row, the last at step [4-6]; lower optim\.blr or lengthen/,
      );
      const records = await readMetrics(`${folder}/${backend}/metrics.jsonl`);
      assertEquals(records.at(-1)?.loss, null);
      assert((records.at(-1)?.skipped_steps ?? 0) >= 3);
      // The step before the first bad one is still there, and later ones have its weights.
      const steps = await listCheckpoints(`${folder}/${backend}`);
      assert(steps.length > 0 && steps.every((step) => step < 6));
    }
  }),
);

Deno.test(
  "pretrain() stops a hopeless run long before it would log or save",
  withImages(async (folder) => {
    const config = tinyConfig(
      folder,
      "run",
      "optim.epochs=500",
      "run.log_every=1000000",
      "optim.max_bad_steps=2",
    );
    const error = await assertRejects(() => train(withLearningRate(config, 1e30)), RunError);
    const step = Number(/at step (\d+)/.exec(error.message)?.[1]);
    assert(step < 1000, error.message);
    assertEquals((await metricsOf(`${folder}/run`)).map((record) => record.step), [step]);
  }),
);

Deno.test(
  "pretrain() goes on after fewer bad steps than end it",
  withImages(async (folder) => {
    // The first step's rate is 0 and the second's destroys the weights; a limit that is never reached lets all be skipped.
    const config = tinyConfig(folder, "run", "optim.max_bad_steps=100", "run.log_every=12");
    const { result } = await train(withLearningRate(config, 1e30));
    const [record] = await readMetrics(result.metrics);
    assertEquals([result.steps, result.interrupted], [12, false]);
    assert(
      record.skipped_steps >= 9 && record.skipped_steps < 12,
      `${record.skipped_steps} steps were skipped`,
    );
  }),
);

// Images that cannot be read

Deno.test(
  "pretrain() names broken images once, counts them, and trains on the others",
  withImages(async (folder) => {
    await Deno.writeTextFile(`${folder}/images/broken.jpg`, "");
    const png = await Deno.readFile(`${folder}/images/00.png`);
    await Deno.writeFile(`${folder}/images/cut.png`, png.subarray(0, png.length / 2));
    const runs: unknown[] = [];
    for (const workers of [1, 2]) {
      const out = `run${workers}`;
      const { result, said } = await train(
        tinyConfig(folder, out, `data.workers=${workers}`, "run.figure_images=9"),
      );
      assertEquals([result.steps, result.brokenFiles, said.length], [14, 2, 2]);
      assertMatch([...said].sort()[0], /^Skipping .*images\/broken\.jpg: the file is empty$/);
      assertMatch([...said].sort()[1], /^Skipping .*images\/cut\.png: /);
      const records = await readMetrics(result.metrics);
      assertEquals(records.at(-1)?.broken_files, 2);
      runs.push(await newestBits(`${folder}/${out}`));
    }
    assertEquals(runs[0], runs[1]);
  }),
);

Deno.test(
  "pretrain() ends when all images vanish, with its last checkpoint intact",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.checkpoint_every=2 steps", "optim.epochs=20");
    const error = await assertRejects(
      () =>
        train(config, {
          onEvent: (event) =>
            event.kind === "checkpoint" && event.step === 4 &&
            Deno.removeSync(`${folder}/images`, { recursive: true }),
        }),
      RunError,
    );
    assertMatch(
      error.message,
      /^None of the 12 image files under ".*images" can be read \(.*: the file has vanished/,
    );
    assertEquals((await listCheckpoints(`${folder}/run`)).at(-1), 4);
    await writeImages(`${folder}/images`, 12);
    const { result, said } = await train({ ...config, optim: { ...config.optim, epochs: 1 } }, {
      resume: true,
    });
    assertEquals([result.steps, said.length], [6, 1]);
  }),
);

Deno.test(
  "pretrain() ends well without a figure when its images vanish after the last step",
  withImages(async (folder) => {
    const { result, said } = await train(tinyConfig(folder, "run", "run.figure_images=2"), {
      onEvent: (event) =>
        event.kind === "checkpoint" && Deno.removeSync(`${folder}/images`, { recursive: true }),
    });
    assertEquals([result.steps, result.figure], [12, null]);
    assertEquals(said, ["No figure was drawn: no image of the data set can be read any more"]);
  }),
);

Deno.test(
  "pretrain() leaves no tensors behind when it cannot start",
  withImages(async (folder) => {
    await train(tinyConfig(folder), { stopAfter: 1 });
    const runtime = await openRuntime({ backend: "cpu" });
    const before = runtime.memory();
    const wider = tinyConfig(folder, "run", "model.encoder={width: 16, depth: 1, heads: 2, mlp_ratio: 2}");
    await assertRejects(
      () => train(wider, { resume: true }),
      InputError,
      "patch_embed.proj.weight [8, 3, 4, 4] instead of [16, 3, 4, 4]",
    );
    assertEquals(runtime.memory(), before);
  }),
);
