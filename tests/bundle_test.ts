/** The program away from its sources: as the two files of `deno task bundle`, and as the executable of `deno task compile`. */
import project from "../deno.json" with { type: "json" };
import { assertEquals, assertMatch, assertStringIncludes } from "./deps.ts";
import { denoOutput, type Outcome, projectFolder, runDeno } from "./support/deno.ts";
import { fixturePath } from "./support/fixtures.ts";
import { inFolder } from "./support/folder.ts";
import { directoryOf } from "../src/util/files.ts";

/** The arguments of each `deno` command of a task, with the task's results put into another folder. */
function commandsOf(task: "bundle" | "compile" | "mae", folder: string): string[][] {
  return project.tasks[task].command.split(" && ").map((command) =>
    command.split(" ").slice(1).map((word) =>
      word.replace("=mae", `=${folder}/mae`).replace(/(^|=)dist\//, `$1${folder}/`)
    )
  );
}

/** Bundles into the folder. */
async function bundle(folder: string): Promise<void> {
  for (const args of commandsOf("bundle", folder)) await denoOutput(args, { cwd: projectFolder() });
}

/** Calls the program with arguments. */
type Program = (...args: string[]) => Promise<Outcome>;

/** The bundle in this folder, which may read everything but the sources and Deno's cache, and do no more than the task. */
async function bundledProgram(folder: string): Promise<Program> {
  const { denoDir } = JSON.parse(await denoOutput(["info", "--json"]));
  const permissions = commandsOf("mae", folder)[0].filter((word) => word.startsWith("--allow-"));
  const denied = `--deny-read=${projectFolder()},${denoDir}`;
  const flags = ["run", "--no-config", "--cached-only", ...permissions, denied, `${folder}/mae.js`];
  return (...args) => runDeno([...flags, ...args], { cwd: folder, env: { DENO_DIR: `${folder}/no-cache` } });
}

const tiny = [
  [
    "model",
    "{image_size: 16, patch_size: 4, encoder: {width: 16, depth: 1, heads: 2}, decoder: {width: 8, depth: 1, heads: 2}}",
  ],
  ["data.workers", "2"],
  ["data.values", "uint8"],
  ["data.repeat", "1"],
  ["optim", "{batch_size: 2, epochs: 2, warmup_epochs: 0}"],
  ["run", "{log_every: 1, checkpoint_every: 1 step, figure_images: 1}"],
].flatMap(([key, value]) => ["--set", `${key}=${value}`]);

/** Everything that a stranger does first; `folder` is where the program runs. */
async function exercise(program: Program, folder: string): Promise<void> {
  const call = async (...args: string[]) => {
    const { code, stdout, stderr } = await program(...args);
    assertEquals(code, 0, `mae ${args.join(" ")}:\n${stdout}${stderr}`);
    return stdout;
  };
  assertStringIncludes(await call("--help"), "Usage: mae <command> [flags]");
  assertEquals(await call("--version"), `mae ${project.version}\n`);

  await Deno.mkdir(`${folder}/images`);
  for (const name of ["rgb.jpg", "cmyk.jpg", "lossy.webp", "rgb16.png"]) {
    await Deno.copyFile(fixturePath(`images/${name}`), `${folder}/images/${name}`);
  }
  const first = await call("pretrain", "--config", "demo", ...tiny, "--data", "images", "--out", "run");
  assertStringIncludes(first, "Done after 4 steps");
  assertStringIncludes(first, "  mae inspect run/checkpoints/"); // and not a task of the sources
  assertEquals(await loggedSteps(`${folder}/run`), [1, 2, 3, 4]);
  await Deno.remove(`${folder}/run/checkpoints/step-00000004`, { recursive: true });
  const second = await call("pretrain", "--resume", "--out", "run", "--quiet");
  assertStringIncludes(second, "Done after 4 steps");
  assertEquals(await loggedSteps(`${folder}/run`), [1, 2, 3, 4]);

  assertMatch(await call("inspect", "run"), /^ {2}training +step 4, epoch 2, 4 images/m);
  assertStringIncludes(await call("doctor"), "Everything works");
  const { code, stderr } = await program("pretrian");
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'did you mean "pretrain"?');
}

async function loggedSteps(run: string): Promise<number[]> {
  const lines = (await Deno.readTextFile(`${run}/metrics.jsonl`)).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line).step);
}

Deno.test("the bundle does without its sources what the program does", () =>
  inFolder(async (folder) => {
    await bundle(`${folder}/made`);
    await Deno.rename(`${folder}/made`, `${folder}/moved`);
    await exercise(await bundledProgram(`${folder}/moved`), `${folder}/moved`);
  }));

/** Runs an executable file; through Deno, because the tests may run nothing else. */
function executable(path: string): Program {
  const launcher =
    `const { code } = await new Deno.Command(Deno.args[0], { args: Deno.args.slice(1) }).spawn().status;
    Deno.exit(code);`;
  return (...args) => runDeno(["eval", launcher, path, ...args], { cwd: directoryOf(path) });
}

Deno.test("the executable does without its sources and without Deno what the program does", (t) =>
  inFolder(async (folder) => {
    await bundle(`${folder}/made`);
    const { code, stderr } = await runDeno(commandsOf("compile", `${folder}/made`)[1], {
      cwd: projectFolder(),
    });
    if (code !== 0) {
      await t.step("NOT TESTED: its runtime cannot be downloaded here; the bundle it is made of is", () => {
        assertMatch(stderr, /error sending request for url \(https:\/\/dl\.deno\.land/); // any other failure is ours
      });
      return;
    }
    const name = Deno.build.os === "windows" ? "mae.exe" : "mae";
    await Deno.mkdir(`${folder}/moved`);
    await Deno.rename(`${folder}/made/${name}`, `${folder}/moved/${name}`);
    await Deno.remove(`${folder}/made`, { recursive: true });
    await exercise(executable(`${folder}/moved/${name}`), `${folder}/moved`);
  }));
