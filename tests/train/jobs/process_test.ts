/** Runs in processes of their own, which are killed and stopped. */
import { toYaml } from "../../../src/config/pretrain.ts";
import { listCheckpoints } from "../../../src/train/checkpoint/checkpoint.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps.ts";
import { TestServer } from "../../support/http_server.ts";
import { metricsOf, newestBits, tinyConfig, train, tree, withImages } from "../support.ts";

const cli = decodeURIComponent(new URL("../../../cli.ts", import.meta.url).pathname);

/** What the tasks of deno.json allow the program. */
const permissions = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env=XDG_RUNTIME_DIR,XDG_CACHE_HOME,HOME,LOCALAPPDATA",
  "--allow-sys=statfs,systemMemoryInfo",
];

/** Arguments of `deno` that run `mae pretrain` with the tiny configuration. */
async function pretrainArgs(folder: string, ...sets: string[]): Promise<string[]> {
  const config = `${folder}/tiny.yaml`;
  await Deno.writeTextFile(config, toYaml(tinyConfig(folder, "run", "data.workers=1", ...sets)));
  return ["run", ...permissions, cli, "pretrain", "--config", config];
}

interface Exit {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `deno` to its end; `watch` is called with the process when it starts. */
async function run(
  args: readonly string[],
  watch: (child: Deno.ChildProcess) => Promise<void> = () => Promise.resolve(),
  env: Record<string, string> = {},
): Promise<Exit> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdout: "piped",
    stderr: "piped",
    env,
  });
  const child = command.spawn();
  const [out, err] = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
  await watch(child);
  const { code } = await child.status;
  return { code, out: await out, err: await err };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Waits until `condition` holds, looking often. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const start = performance.now(); !await condition(); await pause(1)) {
    if (performance.now() - start > 30_000) throw new Error("What the test waits for does not happen");
  }
}

const stepOf = async (run: string) => (await listCheckpoints(run)).at(-1) ?? -1;

/** Waits until a checkpoint is being written. */
async function untilWriting(run: string): Promise<void> {
  const names = async () => (await tree(`${run}/checkpoints`).catch(() => [])).join();
  await until(async () => /step-\d+\.tmp\//.test(await names()));
}

Deno.test(
  "mae pretrain that is killed at any moment resumes to the bits of a run that never was",
  withImages(async (folder) => {
    const sets = ["run.checkpoint_every=1 steps", "run.log_every=2", "optim.epochs=8", "optim.accumulate=2"];
    await train(tinyConfig(folder, "whole", ...sets));
    const args = await pretrainArgs(folder, ...sets);
    const out = `${folder}/run`;
    const moments: (() => Promise<void>)[] = [
      () => until(async () => await stepOf(out) >= 1),
      () => untilWriting(out),
      () => until(async () => await stepOf(out) >= 5).then(() => pause(7)),
      () => until(async () => await stepOf(out) >= 7).then(() => untilWriting(out)),
      () => pause(250), // while it starts
    ];
    for (const moment of moments) {
      const before = await stepOf(out);
      const kill = async (child: Deno.ChildProcess) => {
        await moment();
        child.kill("SIGKILL");
      };
      // Half a file of coverage, as this leaves it, must not lie among those of the tests.
      const { code } = await run([...args, "--resume"], kill, { DENO_COVERAGE_DIR: `${folder}/coverage` });
      assert(code !== 0, `the run ended before it was killed after step ${before}`);
    }
    const { code, err } = await run([...args, "--resume"]);
    assertEquals(code, 0, err);
    assertEquals(await newestBits(out), await newestBits(`${folder}/whole`));
    assertEquals(await metricsOf(out), await metricsOf(`${folder}/whole`));
    assertEquals((await tree(out)).filter((path) => path.includes(".tmp")), []);
    assertEquals((await listCheckpoints(out)).length, 3);
  }),
);

Deno.test({
  name: "mae pretrain saves a checkpoint on SIGINT and SIGTERM, and says how to go on",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: withImages(async (folder) => {
    const sets = ["optim.epochs=10", "run.log_every=2"];
    await train(tinyConfig(folder, "whole", ...sets));
    let args = await pretrainArgs(folder, ...sets);
    const metrics = () => Deno.readTextFile(`${folder}/run/metrics.jsonl`).catch(() => "");
    const steps: number[] = [];
    for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const { length } = await metrics();
      const { code, out, err } = await run(args, async (child) => {
        await until(async () => (await metrics()).length > length);
        child.kill(signal);
      });
      assertEquals(code, exitCode, err);
      assertStringIncludes(err, "Stopping after a checkpoint; press Control-C again to quit at once");
      const step = await stepOf(`${folder}/run`);
      assertStringIncludes(out, `Checkpoint of step ${step}: `);
      assertMatch(out, new RegExp(`Stopped after ${step} steps, loss \\d`));
      assertMatch(out, /Go on with\n {2}deno task pretrain --resume --out .*\/run\n/);
      steps.push(step);
      args = ["run", ...permissions, cli, "pretrain", "--resume", "--out", `${folder}/run`];
    }
    assert(steps[0] < steps[1] && steps[1] < 60, `stopped after ${steps}`);
    const { code, out, err } = await run([...args, "--quiet"]);
    assertEquals(code, 0, err);
    assertStringIncludes(out, "Done after 60 steps");
    assertEquals(await newestBits(`${folder}/run`), await newestBits(`${folder}/whole`));
  }),
});

Deno.test({
  name: "mae pretrain refuses a folder that it cannot use before its first step",
  ignore: Deno.build.os !== "linux", // has /proc
  fn: withImages(async (folder) => {
    const { code, out, err } = await run([...await pretrainArgs(folder), "--out", "/proc/mae"]);
    assertEquals(code, 2, err);
    assertMatch(
      err,
      /^mae: run\.out \/proc\/mae cannot be (read|written to) \(.*\); choose another folder with --out\n$/,
    );
    assert(!out.includes("peak lr"), "it has told of its start");
  }),
});

Deno.test({
  name: "mae pretrain stops at once where it waits for a server, and saves the steps that it made",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: withImages(async (folder) => {
    const sets = ["optim.epochs=6", "run.log_every=1"];
    await using server = new TestServer(await Deno.readFile(`${folder}/images/00.png`));
    for await (const { name } of Deno.readDir(`${folder}/images`)) { // every address serves the same
      await Deno.writeFile(`${folder}/images/${name}`, server.bytes);
    }
    const rows = Array.from({ length: 12 }, (_, i) => JSON.stringify({ url: `${server.origin}/${i}.png` }));
    await Deno.writeTextFile(`${folder}/images.jsonl`, rows.join("\n"));
    server.faults.push(...Array(40).fill({})); // then it fails, in the fourth of six epochs
    server.always = { status: 503 };
    const [verb, ...rest] = await pretrainArgs(folder, ...sets, `data.train=${folder}/images.jsonl`);
    const args = [verb, "--allow-net=127.0.0.1", ...rest];
    let asked = 0;
    const { code, out, err } = await run(args, async (child) => {
      await until(() => Promise.resolve(server.seen.length > 42));
      await pause(500);
      asked = performance.now();
      child.kill("SIGINT");
    });
    assertEquals(code, 130, err);
    assert(performance.now() - asked < 5000, `it took ${performance.now() - asked} ms`);
    const step = await stepOf(`${folder}/run`);
    assert(step > 0 && step < 36, `stopped after ${step}`);
    assertMatch(out, new RegExp(`Stopped after ${step} steps, loss \\d`));
    server.always = {};
    assertEquals((await run([...args, "--resume"])).code, 0);
    await train(tinyConfig(folder, "alike", ...sets));
    assertEquals(await newestBits(`${folder}/run`), await newestBits(`${folder}/alike`));
  }),
});

Deno.test({
  name: "mae pretrain stops at once where its data cannot be reached, and writes nothing",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: withImages(async (folder) => {
    await using server = new TestServer(new Uint8Array());
    server.always = { status: 503 };
    const [verb, ...rest] = await pretrainArgs(folder, `data.train=${server.origin}/a.tar`);
    const before = await tree(folder);
    const { code, err } = await run([verb, "--allow-net=127.0.0.1", ...rest], async (child) => {
      await until(() => Promise.resolve(server.seen.length > 1));
      child.kill("SIGTERM");
    });
    assertEquals(code, 143, err);
    assertStringIncludes(err, "Stopped before there was anything to save");
    assertEquals(await tree(folder), before);
  }),
});
