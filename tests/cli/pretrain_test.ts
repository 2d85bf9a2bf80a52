import { type Arguments, parseArguments } from "../../src/cli/command.ts";
import type { DemoRuns } from "../../src/cli/demo_runs.ts";
import { pretrainCommand, type PretrainJob } from "../../src/cli/pretrain.ts";
import { parseYamlLayer } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import type { PretrainConfig } from "../../src/config/types.ts";
import type { PretrainOptions, PretrainResult } from "../../src/train/jobs/pretrain.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const done: PretrainResult = {
  steps: 120,
  loss: 0.31204,
  checkpoint: "runs/demo/checkpoints/step-00000120",
  metrics: "runs/demo/metrics.jsonl",
  figure: "runs/demo/figures/step-00000120.png",
  events: "runs/demo",
  interrupted: false,
  seconds: 72,
  brokenFiles: 0,
};

interface Call {
  readonly code: number;
  readonly terminal: RecordingTerminal;
  /** What the job was called with; undefined when it was not. */
  readonly config: PretrainConfig | undefined;
  readonly options: PretrainOptions | undefined;
}

/** A disk without runs of the demo, or with those up to `newest`. */
function demosUpTo(newest: number): DemoRuns {
  const folder = (base: string, number: number) => number > 1 ? `${base}-${number}` : base;
  return {
    next: (base) => Promise.resolve(folder(base, newest + 1)),
    newest: (base) => Promise.resolve(newest === 0 ? null : folder(base, newest)),
  };
}

/** Runs the command around a job that only remembers its call. */
async function pretrain(args: string[], result: PretrainResult = done, demos = demosUpTo(0)): Promise<Call> {
  let called: { config: PretrainConfig; options: PretrainOptions } | undefined;
  const job: PretrainJob = (config, options) => {
    called = { config, options };
    options.onEvent?.({ kind: "notice", message: "Training" });
    return Promise.resolve(result);
  };
  const command = pretrainCommand(job, demos);
  const parsed: Arguments = parseArguments(command, args);
  const terminal = new RecordingTerminal();
  const code = await command.run(parsed, terminal);
  return { code, terminal, config: called?.config, options: called?.options };
}

Deno.test("mae pretrain runs the demo by default", async () => {
  const { code, config, options } = await pretrain([]);
  assertEquals([code, config?.data.train, config?.run.out], [0, "examples/photos", "runs/demo"]);
  assertEquals([options?.resume, options?.tune, options?.signal?.aborted], [false, true, false]);
  assertEquals((await pretrain(["--no-tune"])).options?.tune, false);
});

Deno.test("mae pretrain gives each run of the demo a folder of its own, unless it is told one", async () => {
  const outOf = async (...args: string[]) => (await pretrain(args, done, demosUpTo(2))).config?.run.out;
  assertEquals(await outOf(), "runs/demo-3");
  assertEquals(await outOf("--epochs", "1", "--set", "run.seed=4"), "runs/demo-3");
  assertEquals(await outOf("--out", "mine"), "mine");
  assertEquals(await outOf("--set", "run.out=mine"), "mine");
  assertEquals(await outOf("--set", "run={out: mine}"), "mine");
  assertEquals(await outOf("--config", "demo"), "runs/demo");
  assertEquals(await outOf("--config", "vit_base", "--data", "x"), "runs/vit_base");
});

Deno.test("mae pretrain --resume goes on with the newest run of the demo", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const demos: DemoRuns = {
      next: () => Promise.reject("not asked for"),
      newest: () => Promise.resolve(folder),
    };
    // The folder was renamed since: its own run.out is out of date.
    await Deno.writeTextFile(
      `${folder}/config.yaml`,
      "data: {train: mine}\nrun: {out: runs/demo-7, seed: 5}\n",
    );
    const { config, options } = await pretrain(["--resume"], done, demos);
    assertEquals([config?.run.out, config?.run.seed, config?.data.train, options?.resume], [
      folder,
      5,
      "mine",
      true,
    ]);
    const none = await pretrain(["--resume"]);
    assertEquals([none.config?.run.out, none.config?.data.train, none.options?.resume], [
      "runs/demo",
      "examples/photos",
      true,
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("mae pretrain lays flags over --set over the file, wherever they stand", async () => {
  const { config } = await pretrain([
    ...[
      "--epochs",
      "7",
      "--batch-size=8",
      "--data",
      "123",
      "--out",
      "my runs/1",
      "--seed",
      "3",
      "--backend",
      "cpu",
    ],
    ...[
      "--set",
      "optim.epochs=5",
      "--set",
      "optim.blr=1e-3",
      "--config",
      "vit_tiny_cifar",
      "--set",
      "optim.warmup_epochs=1",
    ],
  ]);
  assertEquals(config?.model.encoderName, "vit_tiny");
  assertEquals([config?.optim.epochs, config?.optim.batchSize, config?.optim.blr], [7, 8, 0.001]);
  assertEquals([config?.data.train, config?.run.out, config?.run.seed, config?.run.backend], [
    "123",
    "my runs/1",
    3,
    "cpu",
  ]);
});

Deno.test("mae pretrain prints the resolved configuration, events and what to do next", async () => {
  const { terminal, config } = await pretrain([]);
  const [configuration, ...rest] = terminal.output;
  assertEquals(resolvePretrainConfig([parseYamlLayer(configuration, "printed")]), config);
  await assertSnapshot("cli", "pretrain_done", rest.join("\n"));
});

Deno.test("mae pretrain says that the demo's settings are used for other images, unless they were chosen", async () => {
  const notices = async (...args: string[]) => {
    const { terminal } = await pretrain(args);
    return terminal.text.split("\n").filter((line) => line.includes("Without --config"));
  };
  const [notice, ...more] = await notices("--data", "photos");
  assertStringIncludes(notice, "those of configs/pretrain/demo.yaml, a tiny model");
  assertStringIncludes(notice, "--config vit_base");
  assertEquals(more, []);
  assertEquals(await notices("--set", "data.train=photos", "--dry-run"), [`# ${notice}`]);
  for (const args of [[], ["--config", "demo"], ["--config", "vit_base"], ["--quiet"]]) {
    const data = args.length === 0 ? [] : ["--data", "photos"];
    assertEquals(await notices(...data, ...args), [], args.join(" "));
  }
});

Deno.test("mae pretrain says how to go on after an interruption", async () => {
  const result = { ...done, interrupted: true, figure: null, brokenFiles: 2, loss: null, steps: 1 };
  const { terminal } = await pretrain(["--out", "it's here", "--quiet"], result);
  assertEquals(terminal.output.length, 1);
  await assertSnapshot("cli", "pretrain_stopped", terminal.text);
});

Deno.test("mae pretrain that fails says what was saved before", async () => {
  const path = "runs/demo/checkpoints/step-00000007";
  const failing = (saves: boolean): PretrainJob => (_config, { onEvent }) => {
    if (saves) onEvent?.({ kind: "checkpoint", path, step: 7 });
    return Promise.reject(new RunError("The server is gone"));
  };
  for (const saves of [true, false]) {
    const command = pretrainCommand(failing(saves), demosUpTo(0));
    const terminal = new RecordingTerminal();
    await assertRejects(
      () => command.run(parseArguments(command, []), terminal),
      RunError,
      "The server is gone",
    );
    assertEquals(
      terminal.errors.filter((line) => line.includes("--resume")),
      saves ? [`Saved before this: ${path}; --resume goes on from there`] : [],
    );
  }
});

Deno.test("mae pretrain --dry-run only prints the configuration", async () => {
  const { code, config, terminal } = await pretrain(["--dry-run", "--set", "model.encoder=vit_small"]);
  assertEquals([code, config], [0, undefined]);
  assertEquals(
    resolvePretrainConfig([parseYamlLayer(terminal.text, "printed")]).model.encoderName,
    "vit_small",
  );
});

Deno.test("mae pretrain --dry-run needs no images, and says what follows from the configuration", async () => {
  const { terminal } = await pretrain(["--dry-run", "--config", "vit_base"]);
  const { data, optim } = resolvePretrainConfig([parseYamlLayer(terminal.text, "printed")]);
  assertEquals([data.train, optim.accumulate], ["DIR", 64]);
  assertEquals(terminal.text.split("\n").filter((line) => line.startsWith("#")), [
    "#  model    111.9 M parameters",
    "#  patches  14 x 14, of which 49 of 196 are kept",
    "#  step     4096 images, 64 batches of 64",
    "#  memory   1.67 GiB for parameters, gradients and moments; activations come on top",
  ]);
  await assertRejects(() => pretrain(["--config", "vit_base"]), InputError, "data.train is missing");
});

Deno.test("mae pretrain --resume takes the run's own configuration unless one is given", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/config.yaml`, "data: {train: mine}\nmodel: {encoder: vit_small}\n");
    for (const args of [["--out", folder], ["--set", `run.out=${folder}`]]) {
      const { config, options } = await pretrain(["--resume", ...args]);
      assertEquals([config?.model.encoderName, config?.data.train, config?.run.out], [
        "vit_small",
        "mine",
        folder,
      ]);
      assert(options?.resume);
    }
    const other = await pretrain(["--resume", "--out", folder, "--config", "vit_base", "--data", "x"]);
    assertEquals(other.config?.model.encoderName, "vit_base");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A program that trains nothing until it is told to stop, and then takes `seconds` for its checkpoint. */
function program(seconds: number): string {
  const source = (path: string) => JSON.stringify(new URL(`../../src/cli/${path}`, import.meta.url).href);
  return `
    import { parseArguments } from ${source("command.ts")};
    import { pretrainCommand } from ${source("pretrain.ts")};
    import { systemTerminal } from ${source("terminal.ts")};
    const result = ${JSON.stringify({ ...done, interrupted: true, figure: null })};
    const command = pretrainCommand((_config, { signal, onEvent }) => new Promise((resolve) => {
      const waiting = setInterval(() => {}, 1000);
      signal.onabort = () => setTimeout(() => { clearInterval(waiting); resolve(result); }, ${
    seconds * 1000
  });
      onEvent({ kind: "notice", message: "ready" });
    }));
    Deno.exit(await command.run(parseArguments(command, ["--config", "demo"]), systemTerminal()));
  `;
}

async function stop(
  seconds: number,
  signals: Deno.Signal[],
): Promise<{ code: number; out: string; err: string }> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, program(seconds));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", file],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const err = new Response(child.stderr).text();
  let out = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let sent = 0;;) {
    const { done, value } = await reader.read();
    if (done) break;
    out += value;
    if (sent > 0 || !out.includes("ready")) continue;
    for (const signal of signals) {
      if (sent++ > 0) await new Promise((resolve) => setTimeout(resolve, 200)); // equal signals at once would be one
      child.kill(signal);
    }
  }
  const { code } = await child.status;
  await Deno.remove(file);
  return { code, out, err: await err };
}

Deno.test({
  name: "mae pretrain saves a checkpoint on SIGINT and SIGTERM and ends with their exit codes",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: async () => {
    for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const { code, out, err } = await stop(0, [signal]);
      assertEquals(code, exitCode, err);
      assertStringIncludes(err, "Stopping after a checkpoint");
      assertStringIncludes(out, "--resume --out runs/demo");
    }
  },
});

Deno.test({
  name: "mae pretrain quits at once on a second signal",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: async () => {
    const { code, out } = await stop(60, ["SIGINT", "SIGINT"]);
    assertEquals([code, out.includes("--resume")], [130, false]);
  },
});
