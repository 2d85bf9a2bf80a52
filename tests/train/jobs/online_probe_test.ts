import { resolvePretrainConfig, toYaml } from "../../../src/config/pretrain.ts";
import { parseYamlLayer } from "../../../src/config/layers.ts";
import { readMetrics } from "../../../src/report/metrics.ts";
import { pretrain } from "../../../src/train/jobs/pretrain.ts";
import { evaluateNeighbours } from "../../../src/train/features/neighbours.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../../deps.ts";
import { readRecords } from "../../support/tensorboard.ts";
import { withShapes } from "../finetune_support.ts";
import { newestBits, tinyConfig, train } from "../support.ts";

Deno.test(
  "a look at labelled images during pre-training is logged, and changes no bit of the weights",
  withShapes(async (folder) => {
    const images = `data.train=${folder}/data/train`;
    const probe = [`probe={data: ${folder}/data, k: 3, every: 1}`];
    for (const backend of ["cpu", "webgpu"]) {
      const sets = [images, `run.backend=${backend}`, "run.log_every=100"];
      const plain = await train(tinyConfig(folder, `plain-${backend}`, ...sets));
      const looked = await train(tinyConfig(folder, `looked-${backend}`, ...sets, ...probe));
      assertEquals(
        await newestBits(`${folder}/looked-${backend}`),
        await newestBits(`${folder}/plain-${backend}`),
      );
      assertEquals(looked.result.loss !== plain.result.loss, true); // its last window is shorter
      const metrics = await readMetrics(looked.result.metrics);
      assertEquals(metrics.map(({ step }) => step), [9, 18]);
      const last = metrics[1].knn_top1 ?? -1;
      assertEquals(
        looked.said.at(-1),
        `Step 18, epoch 2: top-1 of 3 nearest neighbours ${(100 * last).toFixed(2)} %`,
      );

      // The same number as `mae knn` finds by the checkpoint.
      const { accuracies: [{ top1 }] } = await evaluateNeighbours({ from: looked.result.checkpoint }, {
        data: `${folder}/data`,
        ks: [3],
        workers: 0,
        backend: backend === "cpu" ? "cpu" : "webgpu",
        checkKernels: false,
      });
      assertEquals(top1, last);
    }
    const [name] = Array.from(Deno.readDirSync(`${folder}/looked-cpu`), ({ name }) => name)
      .filter((name) => name.includes("tfevents"));
    const records = readRecords(await Deno.readFile(`${folder}/looked-cpu/${name}`));
    const words = records.map((record) => new TextDecoder().decode(record)).join();
    assertEquals(words.match(/val\/knn_top1/g)?.length, 2);
  }),
);

Deno.test(
  "a look is resumed, refused before anything is written, and survives YAML",
  withShapes(async (folder) => {
    const probe = (
      more: string,
    ) => [`data.train=${folder}/data/train`, `probe={data: ${folder}/data, ${more}}`];
    const config = tinyConfig(folder, "run", ...probe("k: 3, every: 2, pooling: average"));
    assertEquals(resolvePretrainConfig([parseYamlLayer(toYaml(config), "YAML")]).probe, config.probe);
    assertEquals(toYaml(tinyConfig(folder)).includes("probe"), false);
    await train(config, { stopAfter: 2 });
    const { said } = await train(tinyConfig(folder, "run", `data.train=${folder}/data/train`), {
      resume: true,
    });
    assertEquals(said, []);

    const refusal = async (...sets: string[]) =>
      (await assertRejects(() => pretrain(tinyConfig(folder, "other", ...sets), { tune: false }), InputError))
        .message;
    assertEquals(
      await refusal(...probe("k: 19")),
      `probe.k 19 is more than the 18 training images of probe.data ${folder}/data`,
    );
    assertEquals((await refusal(...probe("split: 0.5"))).startsWith("probe.split is 0.5, but"), true);
    assertEquals((await refusal("probe.data=nowhere")).includes("nowhere"), true);
    await assertRejects(
      () => Promise.resolve().then(() => tinyConfig(folder, "other", "probe=default")),
      InputError,
      "probe.data is missing: give a folder with train and val",
    );
  }),
);
