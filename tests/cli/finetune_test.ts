import { type Arguments, parseArguments } from "../../src/cli/command.ts";
import { finetuneCommand, type FinetuneJob } from "../../src/cli/finetune.ts";
import { resolveFinetuneConfig } from "../../src/config/finetune.ts";
import type { FinetuneConfig } from "../../src/config/finetune_types.ts";
import { parseYamlLayer } from "../../src/config/layers.ts";
import type { FinetuneOptions, FinetuneResult } from "../../src/train/jobs/finetune.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const evaluation = { step: 120, images: 50, top1: 0.86, top5: 0.98, loss: 0.4512 };

const done: FinetuneResult = {
  steps: 120,
  loss: 1.31204,
  checkpoint: "runs/a/checkpoints/step-00000120",
  metrics: "runs/a/metrics.jsonl",
  figure: "runs/a/figures/curves-step-00000120.png",
  events: "runs/a",
  interrupted: false,
  seconds: 72,
  brokenFiles: 0,
  classes: ["ant", "bee"],
  evaluation,
  best: { ...evaluation, step: 90, top1: 0.88 },
  bestCheckpoint: "runs/a/checkpoints/best",
};

interface Call {
  readonly code: number;
  readonly terminal: RecordingTerminal;
  /** What the job was called with; undefined when it was not. */
  readonly config: FinetuneConfig | undefined;
  readonly options: FinetuneOptions | undefined;
  /** Whether a checkpoint to start from was looked at. */
  readonly prepared: boolean;
}

/** Runs the command around a job that only remembers its call. */
async function finetune(args: string[], result: FinetuneResult = done): Promise<Call> {
  let called: { config: FinetuneConfig; options: FinetuneOptions } | undefined;
  let prepared = false;
  const job: FinetuneJob = {
    prepare: (layers) => {
      prepared = true;
      return Promise.resolve({ config: resolveFinetuneConfig(layers), source: null });
    },
    train: (config, options) => {
      called = { config, options };
      options.onEvent?.({ kind: "evaluation", ...evaluation, epoch: 3, isBest: true });
      options.onEvent?.({ kind: "evaluation", ...evaluation, top5: null, epoch: 3.5, isBest: false });
      return Promise.resolve(result);
    },
  };
  const command = finetuneCommand(job);
  const parsed: Arguments = parseArguments(command, args);
  const terminal = new RecordingTerminal();
  const code = await command.run(parsed, terminal);
  return { code, terminal, prepared, config: called?.config, options: called?.options };
}

Deno.test("mae finetune lays flags over --set over the file", async () => {
  const flags = [
    "--from",
    "runs/b",
    "--data",
    "pets",
    "--split",
    "0.2",
    "--train-blocks",
    "0.5",
    "--epochs",
    "3",
  ];
  const { config, options, code } = await finetune([
    ...flags,
    "--set",
    "optim.epochs=9",
    "--set",
    "mix.mixup=0",
  ]);
  assertEquals([code, config?.from, config?.data.train, config?.data.split], [0, "runs/b", "pets", 0.2]);
  assertEquals([config?.model.trainBlocks, config?.optim.epochs, config?.mix.mixup], [0.5, 3, 0]);
  assertEquals([options?.resume, options?.tune, options?.source], [false, true, null]);
  const all = await finetune(["--data", "pets", "--train-blocks", "all"]);
  assertEquals([all.config?.model.trainBlocks, all.config?.from], ["all", null]);
  const shipped = await finetune(["--config", "vit_large", "--from", "x", "--data", "pets"]);
  assertEquals(shipped.config?.model.encoderName, "vit_large");
});

Deno.test("mae finetune prints the resolved configuration, evaluations and what to do next", async () => {
  const { terminal, config } = await finetune(["--data", "pets"]);
  const [configuration, ...rest] = terminal.output;
  assertEquals(resolveFinetuneConfig([parseYamlLayer(configuration, "printed")]), config);
  await assertSnapshot("cli", "finetune_done", rest.join("\n"));
});

Deno.test("mae finetune says how to go on after an interruption", async () => {
  const none = { evaluation: null, best: null, bestCheckpoint: null, figure: null };
  const result = { ...done, ...none, interrupted: true, loss: null, steps: 1, brokenFiles: 1 };
  const { terminal } = await finetune(["--data", "pets", "--out", "it's here", "--quiet"], result);
  assertEquals(terminal.output.length, 1);
  await assertSnapshot("cli", "finetune_stopped", terminal.text);
});

Deno.test("mae finetune --resume takes the run's own configuration, without a look at what it started from", () =>
  inFolder(async (folder) => {
    const stored = "from: gone\nmodel: {encoder: vit_small}\ndata: {train: mine}\nrun: {out: elsewhere}\n";
    await Deno.writeTextFile(`${folder}/config.yaml`, stored);
    const { config, options, prepared } = await finetune(["--resume", "--out", folder]);
    assertEquals([config?.from, config?.model.encoderName, config?.run.out, options?.resume, prepared], [
      "gone",
      "vit_small",
      folder,
      true,
      false,
    ]);
    assert((await finetune(["--resume", "--out", folder, "--config", "vit_base", "--data", "x"])).prepared);
    await assertRejects(
      () => finetune(["--resume"]),
      InputError,
      "--resume needs the folder of the run: --out DIR",
    );
    await assertRejects(
      () => finetune(["--resume", "--out", `${folder}/no`]),
      InputError,
      "--resume finds no",
    );
  }));

Deno.test("mae finetune --resume refuses a run of another job by its name, damaged checkpoints passed over", () =>
  inFolder(async (folder) => {
    const state = { format: 1, step: 1, epoch: 1, stepsPerEpoch: 1, samples: 1, seconds: 1, config: {} };
    const write = async (step: number, content: string) => {
      const checkpoint = `${folder}/checkpoints/step-0000000${step}`;
      await Deno.mkdir(checkpoint, { recursive: true });
      await Deno.writeTextFile(`${checkpoint}/state.json`, content);
    };
    await Deno.writeTextFile(`${folder}/config.yaml`, "data: {train: mine}\nmask: {ratio: 0.5}\n");
    await write(1, JSON.stringify({ ...state, job: "pretrain" }));
    await write(2, "{");
    await assertRejects(
      () => finetune(["--resume", "--out", folder]),
      InputError,
      `${folder} is a run of mae pretrain, not of mae finetune: give another --out`,
    );
    await Deno.writeTextFile(`${folder}/config.yaml`, "data: {train: mine}\n");
    await write(2, JSON.stringify({ ...state, job: "finetune" }));
    assertEquals((await finetune(["--resume", "--out", folder])).config?.data.train, "mine");
  }));

Deno.test("mae finetune --dry-run only prints the configuration, with images or without", async () => {
  const { code, config, terminal } = await finetune(["--dry-run", "--data", "pets"]);
  assertEquals([code, config], [0, undefined]);
  const printed = (text: string) => resolveFinetuneConfig([parseYamlLayer(text, "printed")]);
  assertEquals(printed(terminal.text).data.train, "pets");
  const anywhere = await finetune(["--dry-run", "--config", "vit_large", "--epochs", "7"]);
  const { data, optim } = printed(anywhere.terminal.text);
  assertEquals([anywhere.code, data.train, optim.epochs], [0, "DIR", 7]);
  await assertRejects(() => finetune(["--epochs", "3"]), InputError, "data.train is missing");
});
