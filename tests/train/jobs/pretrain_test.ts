import { parseYamlLayer } from "../../../src/config/layers.ts";
import { resolvePretrainConfig, toYaml } from "../../../src/config/pretrain.ts";
import { decodeImage } from "../../../src/images/decode.ts";
import { readSafetensors } from "../../../src/formats/safetensors.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { createMae } from "../../../src/models/mae.ts";
import { readMetrics } from "../../../src/report/metrics.ts";
import { readTrainState } from "../../../src/train/checkpoint/checkpoint.ts";
import { RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "../../deps.ts";
import { fieldsOf, readRecords, scalarsOf } from "../../support/tensorboard.ts";
import { metricsOf, newestBits, tinyConfig, train, tree, withImages, writeImages } from "../support.ts";

for (const backend of ["cpu", "webgpu"]) {
  Deno.test(
    `pretrain() gives the same bits twice, and others with another seed (${backend})`,
    withImages(async (folder) => {
      const runs: [out: string, seed: number][] = [["a", 3], ["b", 3], ["c", 4]];
      for (const [out, seed] of runs) {
        const { result } = await train(
          tinyConfig(folder, out, `run.backend=${backend}`, `run.seed=${seed}`, "run.log_every=5"),
        );
        assertEquals([result.steps, result.interrupted, result.brokenFiles], [12, false, 0]);
      }
      const [a, b, c] = await Promise.all(runs.map(([out]) => newestBits(`${folder}/${out}`)));
      assertEquals(a, b);
      assertNotEquals(a.model, c.model);
      const [first, second, other] = await Promise.all(runs.map(([out]) => metricsOf(`${folder}/${out}`)));
      assertEquals(first, second);
      assertEquals(first.map(({ step }) => step), [5, 10, 12]);
      assertNotEquals(first, other);
    }),
  );
}

Deno.test(
  "pretrain() gives the same bits with any number of workers",
  withImages(async (folder) => {
    const bits: unknown[] = [];
    for (const workers of [0, 1, 2]) {
      const config = tinyConfig(folder, `run${workers}`);
      const { result } = await train({ ...config, data: { ...config.data, workers } });
      bits.push([await newestBits(`${folder}/run${workers}`), result.loss]);
    }
    assertEquals(bits[1], bits[0]);
    assertEquals(bits[2], bits[0]);
  }),
);

Deno.test(
  "pretrain() learns",
  withImages(async (folder) => {
    await train(tinyConfig(folder, "run", "optim.epochs=12", "run.log_every=6", "target.normalize=false"));
    const losses = (await readMetrics(`${folder}/run/metrics.jsonl`)).map(({ loss }) => loss ?? Infinity);
    assert((losses.at(-1) ?? Infinity) < 0.7 * losses[0], `${losses}`);
  }),
);

Deno.test(
  "pretrain() leaves everything that a run's folder should hold",
  withImages(async (folder) => {
    const config = tinyConfig(
      folder,
      "a/run",
      "run.figure_images=2",
      "run.checkpoint_every=1 epoch",
      "data.workers=1",
    );
    const { result } = await train(config);
    const run = `${folder}/a/run`;
    const files = await tree(run);
    const events = files.find((name) => name.startsWith("events."));
    const checkpoint = ["", "model.safetensors", "optimizer.safetensors", "state.json"];
    assertEquals(files, [
      "checkpoints/",
      ...["06", "12"].flatMap((step) => checkpoint.map((name) => `checkpoints/step-000000${step}/${name}`)),
      "config.yaml",
      events,
      "figures/",
      "figures/reconstructions-step-00000012.png",
      "metrics.jsonl",
    ]);
    assertMatch(events ?? "", /^events\.out\.tfevents\.\d{10}\.mae$/);
    const { seconds: _, ...rest } = result;
    assertEquals(rest, {
      steps: 12,
      loss: (await readMetrics(result.metrics)).at(-1)?.loss ?? null,
      checkpoint: `${run}/checkpoints/step-00000012`,
      metrics: `${run}/metrics.jsonl`,
      figure: `${run}/figures/reconstructions-step-00000012.png`,
      events: run,
      interrupted: false,
      brokenFiles: 0,
    });
    const yaml = await Deno.readTextFile(`${run}/config.yaml`);
    assertEquals(yaml, toYaml(config));
    assertEquals(resolvePretrainConfig([parseYamlLayer(yaml, "stored")]), config);
  }),
);

Deno.test(
  "pretrain() writes metrics with every field, means over each window",
  withImages(async (folder) => {
    await train(tinyConfig(folder, "ones", "run.log_every=1"));
    await train(tinyConfig(folder, "all", "run.log_every=1000"));
    const ones = await readMetrics(`${folder}/ones/metrics.jsonl`);
    const [all, ...others] = await readMetrics(`${folder}/all/metrics.jsonl`);
    assertEquals([ones.length, others], [12, []]);
    assertEquals(Object.keys(all), [
      ...["step", "epoch", "loss", "lr", "grad_norm", "images_per_second", "data_wait"],
      ...["skipped_steps", "peak_bytes", "broken_files", "substituted_images", "seconds"],
    ]);
    for (const name of ["loss", "grad_norm"] as const) {
      const mean = ones.reduce((sum, record) => sum + (record[name] ?? NaN), 0) / 12;
      assert(Math.abs((all[name] ?? NaN) / mean - 1) < 1e-5, `${name}: ${all[name]}, not ${mean}`);
    }
    assertEquals(all.peak_bytes, 0); // the CPU backend does not track it
    assertEquals(ones.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assertEquals(ones.map(({ epoch }) => epoch), ones.map(({ step }) => step / 6));
    for (
      const [i, { images_per_second, data_wait, seconds, skipped_steps, broken_files }] of ones.entries()
    ) {
      assert(images_per_second > 0 && data_wait >= 0 && data_wait <= 1);
      assert(seconds > (ones[i - 1]?.seconds ?? 0));
      assertEquals([skipped_steps, broken_files], [0, 0]);
    }
    // 24 images in `seconds`, in which the checkpoint at the end has no part
    assert(Math.abs(all.images_per_second * all.seconds / 24 - 1) < 0.05, JSON.stringify(all));
  }),
);

Deno.test(
  "pretrain() tells of its start, its steps and what it writes",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.checkpoint_every=5 steps", "optim.epochs=1");
    const { events } = await train(config);
    const told = events.map((event) => "step" in event ? `${event.kind} ${event.step}` : event.kind);
    assertEquals(told, [
      ...["warning", "start", "step 1", "step 2", "step 3", "log", "step 4", "step 5", "checkpoint 5"],
      ...["log", "step 6", "checkpoint 6"],
    ]);
    const start = events.find((event) => event.kind === "start");
    assert(start?.kind === "start");
    const { adapter: _, parameters, ...rest } = start;
    assertEquals(rest, {
      kind: "start",
      run: `${folder}/run`,
      backend: "cpu",
      samples: 12,
      repeat: 1,
      stepsPerEpoch: 6,
      steps: 6,
      startStep: 0,
      learningRate: 0.01,
      images: 2,
    });
    assert(parameters > 1000);
    for (const event of events) {
      if (event.kind !== "step") continue;
      assert(
        [event.imagesPerSecond, event.secondsLeft, event.dataWait].every((n) => Number.isFinite(n) && n >= 0),
      );
      assertEquals([event.steps, event.epoch, event.loss === null], [6, event.step / 6, event.step < 4]);
      assertEquals(event.secondsLeft === 0, event.step === 6);
    }
  }),
);

Deno.test(
  "pretrain() writes a figure that decodes, and the same picture and numbers for TensorBoard",
  withImages(async (folder) => {
    const { result } = await train(tinyConfig(folder, "run", "run.figure_images=3", "run.log_every=6"));
    const png = await Deno.readFile(result.figure ?? "");
    const figure = await decodeImage(png, { channels: 3, exif: "ignore" });
    assert(figure.width > 400 && figure.height > 300, `${figure.width} x ${figure.height}`);
    assert(new Set(figure.data).size > 50, "the figure is empty");

    const [name] = (await tree(`${folder}/run`)).filter((name) => name.startsWith("events."));
    const records = readRecords(await Deno.readFile(`${folder}/run/${name}`));
    assertEquals(records.length, 4); // the version, two logs, the picture
    const metrics = await readMetrics(result.metrics);
    for (const [i, record] of metrics.entries()) {
      const scalars = new Map(
        scalarsOf(records[1 + i]).map(([step, tag, value]) => [`${tag} ${step}`, value]),
      );
      assertEquals(scalars.get(`train/loss ${record.step}`), Math.fround(record.loss ?? NaN));
      assertEquals(scalars.size, 7);
    }
    const image = fieldsOf(records[3]);
    assertEquals(image.get(2), [12]);
    const summary = image.get(5)?.[0];
    assert(summary instanceof Uint8Array);
    const stored = new TextDecoder("latin1").decode(summary);
    assert(stored.includes(new TextDecoder("latin1").decode(png)), "TensorBoard's picture is another");
  }),
);

Deno.test(
  "pretrain() saves a checkpoint that the library's model takes, and a state that says what it is",
  withImages(async (folder) => {
    const config = tinyConfig(folder);
    const { result } = await train(config);
    await openRuntime({ backend: "cpu" });
    const mae = createMae({ ...config.model, normalizeTarget: true }, { seed: 9 });
    const stored = await readSafetensors(`${result.checkpoint}/model.safetensors`);
    mae.loadState(stored);
    const weights = (await mae.state()).get("blocks.0.attn.qkv.weight");
    assertEquals(weights?.data, stored.get("blocks.0.attn.qkv.weight")?.data);
    mae.dispose();
    const { step, epoch, stepsPerEpoch, samples, loss, seconds } = await readTrainState(result.checkpoint);
    assertEquals([step, epoch, stepsPerEpoch, samples, loss], [12, 2, 6, 12, result.loss]);
    assert(seconds > 0 && seconds < result.seconds);
  }),
);

Deno.test(
  "pretrain() keeps the newest checkpoints",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.checkpoint_every=2 steps", "run.keep=2", "optim.epochs=1");
    const { events } = await train(config);
    const saved = events.flatMap((event) => event.kind === "checkpoint" ? [event.step] : []);
    assertEquals(saved, [2, 4, 6]);
    const kept = (await tree(`${folder}/run/checkpoints`)).filter((name) => name.endsWith("/"));
    assertEquals(kept, ["step-00000004/", "step-00000006/"]);
  }),
);

Deno.test(
  "pretrain() draws a small data set as often as fills one step",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "optim.batch_size=5", "optim.epochs=1", "run.figure_images=6");
    const { events, result } = await train(config);
    const start = events.find((event) => event.kind === "start");
    assert(start?.kind === "start");
    assertEquals([start.samples, start.repeat, start.stepsPerEpoch, start.steps], [3, 2, 1, 1]);
    assertEquals([result.steps, result.figure !== null], [1, true]);
  }, 3),
);

Deno.test(
  "pretrain() trains one step on one image of a file's path, gray and with a partial window",
  withImages(async (folder) => {
    await writeImages(`${folder}/gray`, 1, 1);
    const config = tinyConfig(
      folder,
      "run",
      `data.train=${folder}/gray/00.png`,
      "model.channels=1",
      "optim.epochs=1",
      "run.figure_images=1",
    );
    const { result } = await train(config);
    assertEquals([result.steps, (await readMetrics(result.metrics)).length], [1, 1]);
    assert(result.figure !== null && result.loss !== null);
  }, 0),
);

Deno.test(
  "pretrain() takes fractional epochs from a program",
  withImages(async (folder) => {
    const config = tinyConfig(folder);
    for (const [epochs, steps] of [[0.5, 3], [1.25, 8], [0.01, 1]]) {
      const optim = { ...config.optim, epochs, warmupEpochs: 0 };
      const { result } = await train({
        ...config,
        optim,
        run: { ...config.run, out: `${folder}/run${steps}` },
      });
      assertEquals(result.steps, steps);
    }
  }),
);

for (const backend of ["cpu", "webgpu"] as const) {
  Deno.test(
    `pretrain() gives back all memory, whether it ends well, is stopped or fails (${backend})`,
    withImages(async (folder) => {
      const runtime = await openRuntime({ backend });
      const used = async () => {
        await runtime.settle(); // buffers whose commands have not been sent yet are still in use
        return [runtime.memory().tensors, runtime.memory().bytesUsed];
      };
      const config = (out: string) =>
        tinyConfig(folder, out, `run.backend=${backend}`, "run.figure_images=1");
      await train(config("a")); // what a backend keeps for later, it makes here
      const before = await used();
      await train(config("b"));
      await train(config("c"), { stopAfter: 2 });
      const failing = { ...config("d"), optim: { ...config("d").optim, lr: 1e30, warmupEpochs: 0 } };
      await assertRejects(() => train(failing), RunError, "not finite");
      const threaded = { ...config("e"), data: { ...config("e").data, workers: 1 } };
      const workerUrl = `data:text/javascript,postMessage({ kind: "crash", message: "broken" })`;
      await assertRejects(() => train(threaded, { workerUrl }), RunError, "A data worker crashed: broken");
      assertEquals(await used(), before);
    }),
  );
}
