import { type BenchOptions, besideF32 } from "../../src/bench/bench.ts";
import type { BenchReport, ConfigReport } from "../../src/bench/report.ts";
import { benchCommand } from "../../src/cli/bench.ts";
import { configTables, machineTable } from "../../src/cli/bench_tables.ts";
import { parseArguments } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { raisedLimits } from "../../src/gpu/adapter.ts";
import type { AdapterReport } from "../../src/gpu/adapter.ts";
import { RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../deps.ts";
import { smallModel } from "../bench/support.ts";
import { inFolder } from "../support/folder.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const adapter: AdapterReport = {
  description: "Example \u001b[1mGPU",
  vendor: "1",
  architecture: "",
  software: false,
  features: ["shader-f16"],
  subgroupSizes: [32, 32],
  limits: Object.fromEntries(raisedLimits.map((name) => [name, 1])) as AdapterReport["limits"],
};

const config: ConfigReport = {
  name: "mine",
  batch: 64,
  imageSize: [32, 64],
  patchSize: [4, 4],
  channels: 3,
  encoder: { width: 192, depth: 6, heads: 3, mlpRatio: 4 },
  decoder: { width: 96, depth: 2, heads: 3, mlpRatio: 4 },
  maskRatio: 0.75,
  precision: "f32",
  remat: true,
  step: {
    imagesPerSecond: 123.4,
    millisecondsPerStep: 518.6,
    steps: 12,
    peakBytes: 3 * 2 ** 30,
    residentBytes: 2 ** 30,
    parameters: 2_967_264,
    operations: 34.5e9,
    gflops: 66.52,
    share: 0.3801,
    overF32: 1.25,
    split: {
      millisecondsPerStep: 520,
      profiledMillisecondsPerStep: 610,
      kernels: [
        { name: "product NT", dispatches: 34, milliseconds: 200.12, share: 0.3859 },
        { name: "attention backward", dispatches: 8, milliseconds: 31.25, share: 0.0603 },
        { name: "step control", dispatches: 1, milliseconds: 0.05, share: 0.0001 },
        { name: "tfjs Add", dispatches: 2, milliseconds: 0.04, share: 0.0001 },
      ],
      outside: { milliseconds: 31.5, share: 0.0606 },
      spread: 0.012,
    },
  },
  finetune: {
    imagesPerSecond: 30.85,
    millisecondsPerStep: 2074.4,
    steps: 4,
    peakBytes: 4 * 2 ** 30,
    residentBytes: 2 ** 30,
    parameters: 2_874_088,
    operations: 138e9,
    gflops: 66.52,
    share: 0.3801,
    split: null,
  },
  finetunePeers: [
    { peer: "pytorch", variant: "2.13 cpu fp32", imagesPerSecond: 86.75, batch: 64, ratio: 0.3556, note: "" },
    {
      peer: "jax-js",
      variant: "wasm",
      imagesPerSecond: null,
      batch: null,
      ratio: null,
      note: "its program only pre-trains",
    },
  ],
  features: {
    imagesPerSecond: 1050,
    millisecondsPerStep: 60.9,
    steps: 50,
    peakBytes: 1_500_000,
    residentBytes: 9e8,
    parameters: 2_681_281,
    operations: 4e9,
    gflops: 65.7,
    share: 0.375,
    overF32: 1.5,
    split: null,
  },
  kernels: [
    {
      name: "product NT, bias",
      sizes: "1088 x 192 x 576",
      count: 6,
      milliseconds: 2.5,
      bound: "arithmetic",
      amount: 240_648_192,
      rate: 96.26,
      share: 0.55,
      peerRate: 350.4,
    },
    {
      name: "layer norm forward",
      sizes: "1088 x 192",
      count: 13,
      milliseconds: 0.1234,
      bound: "memory",
      amount: 1_671_168,
      rate: 13.54,
      share: 1.25,
    },
  ],
  peers: [
    { peer: "pytorch", variant: "2.13 cpu fp32", imagesPerSecond: 347, batch: 64, ratio: 0.3556, note: "" },
    {
      peer: "tfjs",
      variant: "4.22 webgpu fp32",
      imagesPerSecond: 6.7,
      batch: 8,
      ratio: 18.42,
      note: "batch 8",
    },
    { peer: "jax-js", variant: "wasm", imagesPerSecond: null, batch: null, ratio: null, note: "no module" },
  ],
};

const report: BenchReport = {
  version: 1,
  date: "2026-01-02T03:04:05.678Z",
  seconds: 5,
  machine: {
    mae: "0.1.0",
    deno: "2.9.6",
    system: "linux x86_64",
    cores: 1,
    adapter,
    peaks: { family: "tiles", f32: 1234.5, f16: 2345.6, buffers: 567.8, textures: null },
  },
  configurations: [config],
};

/** Runs the command around a benchmark that measures nothing. */
async function bench(
  run: (options: BenchOptions) => BenchReport | Promise<BenchReport>,
  ...args: string[]
): Promise<RecordingTerminal> {
  const terminal = new RecordingTerminal();
  const command = benchCommand(async (options, { onMachine, onConfig }) => {
    const report = await run(options);
    onMachine?.(report.machine);
    report.configurations.forEach((config) => onConfig?.(config));
    return report;
  });
  assertEquals(await command.run(parseArguments(command, args), terminal), 0);
  return terminal;
}

Deno.test("mae bench prints tables", async () => {
  const nothing: ConfigReport = {
    ...config,
    step: config.step && { ...config.step, split: null, overF32: undefined },
    finetune: undefined,
    kernels: undefined,
  };
  const { step } = config;
  const busy = step?.split && { ...step, split: { ...step.split, spread: 0.31 } };
  const software = { ...report.machine.peaks, f16: null, textures: 4.5, buffers: 1.25 };
  await assertSnapshot(
    "cli",
    "bench_tables",
    [
      machineTable(report.machine),
      configTables(config),
      machineTable({
        ...report.machine,
        peaks: software,
        adapter: { ...adapter, software: true, features: [] },
      }),
      configTables({ ...nothing, peers: undefined, features: undefined, remat: false }),
      configTables({ ...nothing, peers: undefined, features: undefined, step: busy ?? undefined }),
    ].join("\n\n"),
  );
});

Deno.test("mae bench prints the tables as they come, and with --json nothing but JSON", async () => {
  const tables = await bench(() => report);
  assertEquals(tables.output, [machineTable(report.machine), `\n${configTables(config)}`]);
  const json = await bench(() => report, "--json");
  assertEquals(json.output.length, 1);
  assertEquals(JSON.parse(json.text), JSON.parse(JSON.stringify(report)));
});

Deno.test("mae bench tells its progress on standard error, or on a line that comes and goes", async () => {
  const command = benchCommand((_options, { onProgress }) => {
    onProgress?.("tiny: whole training steps");
    onProgress?.("tiny: kernels", "product NN");
    onProgress?.("tiny: kernels", "product NT");
    return Promise.resolve(report);
  });
  const piped = new RecordingTerminal();
  await command.run(parseArguments(command, ["--json"]), piped);
  assertEquals(piped.errors, ["0 s: tiny: whole training steps", "0 s: tiny: kernels"]);
  assertEquals([piped.output.length, piped.statuses], [1, []]);
  const terminal = new RecordingTerminal(true, false, 40);
  await command.run(parseArguments(command, []), terminal);
  assertEquals(terminal.errors, []);
  assertEquals(terminal.statuses, [
    "Measuring tiny: whole training steps",
    "Measuring tiny: kernels: product NN",
    "Measuring tiny: kernels: product NT",
    "",
  ]);
});

Deno.test("half precision is compared with single precision of the same configuration in the same run", () => {
  const single = { ...config, name: "a" };
  const faster = config.step && { ...config.step, imagesPerSecond: 246.8, overF32: undefined };
  const half = { ...single, precision: "f16", step: faster };
  assertEquals(besideF32(half, [{ ...single, name: "b" }, single]).step?.overF32, 2);
  assertEquals(besideF32(half, [{ ...single, remat: false }]), half);
  assertEquals(besideF32({ ...single, step: faster }, [single]).step?.overF32, undefined);
  assertEquals(besideF32(half, [single]).finetune?.overF32, 1);
  assertEquals(besideF32({ ...half, step: undefined }, [single]).step, undefined);
});

Deno.test("mae bench --out writes the JSON when everything is measured, and else nothing", () =>
  inFolder(async (folder) => {
    const path = `${folder}/bench.json`;
    await bench(() => report, "--out", path);
    assertEquals(JSON.parse(await Deno.readTextFile(path)), JSON.parse(JSON.stringify(report)));
    await Deno.remove(path);
    const fails = () => {
      throw new RunError("The device was lost");
    };
    await assertRejects(() => bench(fails, "--out", path), RunError);
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("mae bench passes its arguments on", async () => {
  const seen: BenchOptions[] = [];
  const look = (options: BenchOptions) => {
    seen.push(options);
    return report;
  };
  await bench(look);
  await bench(look, "kernels", "--config", "mini,tiny", "--seconds", "0.5", "--peers", "--no-tune");
  await bench(look, "features", "--config", "tiny", "--precision", "f16", "--remat");
  await bench(look, "--config", "tiny,mini", "--precision", "f32, f16,f32", "--batch", "7");
  await bench(look, "finetune", "--config", "tiny");
  const [usual, kernels, features, both, finetune] = seen.map(({ configs, ...options }) => ({
    ...options,
    configs: configs.map(({ name, precision, remat }) => [name, precision, remat]),
  }));
  assertEquals(both.configs, [
    ["tiny", "f32", false],
    ["tiny", "f16", false],
    ["mini", "f32", false],
    ["mini", "f16", false],
  ]);
  assertEquals(seen[3].configs.map(({ batch }) => batch), [7, 7, 7, 7]);
  assertEquals(
    [usual.parts, usual.peers, usual.seconds, usual.tune, usual.configs.map(([name]) => name)],
    [["steps", "finetune", "features", "kernels"], false, 5, true, ["tiny", "mini", "vit_base", "vit_large"]],
  );
  assertEquals(
    [kernels.parts, kernels.peers, kernels.seconds, kernels.tune, kernels.configs],
    [["kernels"], true, 0.5, false, [["mini", "f32", false], ["tiny", "f32", false]]],
  );
  assertEquals(finetune.parts, ["finetune"]);
  assertEquals([features.parts, features.configs], [["features"], [["tiny", "f16", true]]]);
});

Deno.test("mae bench refuses wrong usage with exit code 2 and one sentence", async () => {
  const cases: [string[], RegExp][] = [
    [
      ["stesp"],
      /^mae: PART must be steps, finetune, features, kernels, all or data, not "stesp"; did you mean "steps"\?$/,
    ],
    [["steps", "kernels"], /^mae: Unexpected argument "kernels": mae bench takes only one PART; see/],
    [
      ["--config", "tiny,mnii"],
      /^mae: --config must be of tiny, mini, vit_base, vit_large, vit_huge or the path of a YAML file, not "mnii"; did you mean "mini"\?$/,
    ],
    [["--config", "vit_hug"], /not "vit_hug"; did you mean "vit_huge"\?$/],
    [["--batch", "0"], /^mae: --batch must be a whole number from 1 to 1000000, not "0"$/],
    [["--batch", "-8"], /^mae: --batch must be a whole number from 1 to 1000000, not "-8"$/],
    [["--batch", "many"], /^mae: --batch must be a whole number from 1 to 1000000, not "many"$/],
    [["--batch", "2.5"], /^mae: --batch must be a whole number from 1 to 1000000, not "2\.5"$/],
    [["--precision", "f32,bf16"], /^mae: --precision must be f32 or f16, not "bf16"; did you mean "f16"\?$/],
    [["--config", "no/such.yaml"], /^mae: There is no configuration file no\/such\.yaml;/],
    [["--config", ""], /^mae: --config needs a value: --config LIST$/],
    [["--precision", "bf16"], /^mae: --precision must be f32 or f16, not "bf16"; did you mean "f16"\?$/],
    [["--seconds", "0"], /^mae: --seconds must be a number above 0 and up to 3600, not "0"$/],
    [["--seconds", "soon"], /^mae: --seconds must be a number above 0 and up to 3600, not "soon"$/],
    [["--out", "no/such/folder/bench.json"], /^mae: --out no\/such\/folder\/bench\.json cannot be written: /],
    [["--out", "deno.json/bench.json"], /^mae: --out deno\.json\/bench\.json cannot be written: /],
    [["--peer"], /^mae: Unknown flag --peer; see mae bench --help; did you mean "--peers"\?$/],
  ];
  for (const [args, sentence] of cases) {
    const terminal = new RecordingTerminal();
    assertEquals(await main(["bench", ...args], terminal), 2, `${args}: ${terminal.errors}`);
    assertEquals([terminal.output, terminal.errors.length], [[], 1]);
    assertMatch(terminal.errors[0], sentence);
  }
});

Deno.test("mae bench measures every part of a small model", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/small.yaml`, smallModel);
    const args = ["bench", "--config", `${folder}/small.yaml`, "--seconds", "0.02", "--no-tune", "--json"];
    const terminal = new RecordingTerminal();
    assertEquals(await main(args, terminal), 0, terminal.errors.join());
    const { version, date, machine, configurations }: BenchReport = JSON.parse(terminal.text);
    assertEquals([version, new Date(date).toISOString()], [1, date]);
    const { f32, f16, buffers, textures, family } = machine.peaks;
    assert(f32 > 0 && buffers > 0);
    assertEquals([textures !== null, f16 !== null], [
      family === "lanes",
      machine.adapter.features.includes("shader-f16"),
    ]);
    const [{ name, batch, step, finetune, features, kernels, peers }, ...more] = configurations;
    assertEquals([name, batch, peers, more], ["small", 3, undefined, []]);
    for (const part of [step, finetune, features]) {
      assert(
        part && part.imagesPerSecond > 0 && part.steps >= 2 && part.peakBytes > 0 && part.residentBytes > 0,
        JSON.stringify(part),
      );
      const product = part.imagesPerSecond * part.millisecondsPerStep;
      assert(Math.abs(product / 3000 - 1) < 1e-9, `${product}`);
    }
    for (const part of [step, finetune, features]) {
      assert(part && part.operations > 0 && part.share > 0 && part.parameters > 5_000, JSON.stringify(part));
      const { split } = part;
      if (!split) continue;
      const parts = [...split.kernels, split.outside];
      const sum = parts.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      assert(Math.abs(sum / split.millisecondsPerStep - 1) < 1e-9, `${sum} of ${split.millisecondsPerStep}`);
      assert(split.kernels.some(({ name }) => name === "product NT"));
      const isBack = split.kernels.some(({ name }) => name === "product TN");
      assertEquals(isBack, part !== features); // features go one way
    }
    assert(kernels && kernels.length > 40, `${kernels?.length} kernels`);
    for (const { name, count, milliseconds, amount, rate, share } of kernels) {
      assert([count, milliseconds, amount, rate, share].every((value) => value > 0), name);
      assert(Math.abs(amount / milliseconds / 1e6 / rate - 1) < 1e-9, name);
    }
  }));
