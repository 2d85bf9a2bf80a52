/** The library as others use it: only through mod.ts, here and from a program of a stranger. */
import {
  createMae,
  openRuntime,
  readSafetensors,
  readTensor,
  type StoredTensor,
  tf,
  writeSafetensors,
} from "../mod.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "./deps.ts";
import { assertClose, assertRelative } from "./support/compare.ts";
import { denoOutput } from "./support/deno.ts";
import { Fixture, fixtureJson, fixturePath } from "./support/fixtures.ts";
import { inFolder } from "./support/folder.ts";

const modUrl = new URL("../mod.ts", import.meta.url);

/** Names and values as `writeSafetensors` takes them. */
function entriesOf(tensors: ReadonlyMap<string, StoredTensor>) {
  return [...tensors].map(([name, tensor]) => ({ name, ...tensor }));
}

for (const backend of ["webgpu", "cpu"] as const) {
  Deno.test(`the library contract gives the official numbers (${backend})`, () =>
    inFolder(async (folder) => {
      const fixture = await Fixture.read("mae_a.safetensors");
      const official = await fixtureJson("mae_a.json") as {
        named_parameters_order: string[];
        pix1: { loss: number };
      };
      const path = `${folder}/model.safetensors`;
      await writeSafetensors(path, entriesOf(fixture.under("init/")));
      const noise = fixture.values("noise");

      const runtime = await openRuntime({ backend });
      assertEquals(runtime.backend, backend);
      assertEquals(runtime.adapter === null, backend === "cpu");
      const mae = createMae({
        imageSize: 32,
        patchSize: 8,
        channels: 3,
        encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 4 },
        decoder: { width: 32, depth: 2, heads: 4, mlpRatio: 4 },
        normalizeTarget: true,
      }, { seed: 0 });
      mae.loadState(await readSafetensors(path));
      assertEquals([...mae.parameters.keys()], official.named_parameters_order);
      const images: tf.Tensor = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]); // [N, H, W, C]

      const { loss, prediction, mask, idsRestore, latent } = mae.forward(images, { maskRatio: 0.75, noise });
      const shapes = [loss, prediction, mask, idsRestore, latent].map(({ shape }) => shape);
      assertEquals(shapes, [[], [4, 16, 192], [4, 16], [4, 16], [4, 5, 48]]);
      assertRelative(await readTensor(loss), [official.pix1.loss], 2e-6, "loss");
      assertClose(await readTensor(prediction), fixture.values("pred"), 2e-5, "prediction");
      assertClose(await readTensor(latent), fixture.values("latent"), 2e-5, "latent");
      assertEquals(await readTensor(mask), fixture.values("mask"));
      assertEquals(await readTensor(idsRestore), fixture.values("ids_restore"));

      const noiseTensor = tf.tensor(noise, [4, 16]);
      const { loss: again, gradients } = mae.lossAndGradients(images, {
        maskRatio: 0.75,
        noise: noiseTensor,
      });
      assertRelative(await readTensor(again), [official.pix1.loss], 2e-6, "loss with gradients");
      const trained = official.named_parameters_order.filter((name) => !name.endsWith("pos_embed"));
      assertEquals([...gradients.keys()], trained);
      for (const [name, gradient] of gradients) {
        const expected = fixture.values(`pix1/grad/${name}`);
        assertEquals(gradient.shape, mae.parameters.get(name)?.shape);
        assertClose(await readTensor(gradient), expected, 2e-5, name);
      }
      await runtime.close();
    }));
}

Deno.test("importing mod.ts does nothing, and needs no permission", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/spy.ts`,
      `export const calls: string[] = [];
       GPU.prototype.requestAdapter = () => { calls.push("adapter"); return Promise.resolve(null); };
       globalThis.Worker = class { constructor() { calls.push("worker"); } } as unknown as typeof Worker;
       Object.defineProperty(Deno, "args", { get: () => { calls.push("args"); return []; } });
       globalThis.fetch = () => { calls.push("fetch"); return Promise.reject(new Error("offline")); };`,
    );
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      `import { calls } from "./spy.ts";
       import * as mae from "${modUrl}";
       console.log(JSON.stringify({ calls, functions: typeof mae.createMae }));`,
    );
    const out = await denoOutput(["run", "--no-config", `${folder}/main.ts`]);
    assertEquals(JSON.parse(out), { calls: [], functions: "function" });
  }));

/** The project on an HTTP server of its own, while `use` runs. */
async function served(use: (origin: string) => Promise<void>): Promise<void> {
  const types: Record<string, string> = { ts: "application/typescript", json: "application/json" };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (!/^\/(mod\.ts|deno\.json|(src|configs)\/[\w./]+)$/.test(pathname)) {
      return new Response(null, { status: 404 });
    }
    const file = await Deno.readFile(new URL(`.${pathname}`, modUrl));
    const type = types[pathname.split(".").pop() ?? ""] ?? "text/plain";
    return new Response(file, { headers: { "content-type": type } });
  });
  await use(`http://127.0.0.1:${server.addr.port}`);
}

/** A stranger's folder: a configuration and a cache of its own, which know nothing of this project. */
interface Stranger {
  readonly folder: string;
  /** Where the project is served. */
  readonly origin: string;
  /** Folders that must be readable to decode images: npm's packages. */
  readonly packages: readonly string[];
  /** Runs `deno <command>` there with leave to import from the server, and gives what it prints. */
  deno(command: string, ...args: string[]): Promise<string>;
}

function asStranger(test: (stranger: Stranger) => Promise<void>): Promise<void> {
  return inFolder((folder) =>
    served(async (origin) => {
      const { npmCache } = JSON.parse(await denoOutput(["info", "--json"]));
      const cache = `${folder}/cache`;
      await Deno.mkdir(cache);
      await Deno.symlink(npmCache, `${cache}/npm`, { type: "junction" }); // what was downloaded need not be again
      await Deno.writeTextFile(`${folder}/deno.json`, "{}");
      const options = { cwd: folder, env: { DENO_DIR: cache } };
      const allowed = `--allow-import=${new URL(origin).host}`;
      await test({
        folder,
        origin,
        packages: [`${cache}/npm`, npmCache],
        deno: (command, ...args) => denoOutput([command, allowed, ...args], options),
      });
    })
  );
}

/** The examples in TypeScript of the README and of the documentation of mod.ts. */
async function documentedExamples(): Promise<string[]> {
  const [comment] = (await Deno.readTextFile(modUrl)).split("*/");
  const readme = await Deno.readTextFile(new URL("README.md", modUrl));
  const texts = [readme, comment.replaceAll(/^ \* ?/gm, "")];
  return texts.flatMap((text) => [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code));
}

Deno.test("the documented examples run as they stand, but for the address", () =>
  asStranger(async ({ folder, origin, deno }) => {
    const examples = await documentedExamples();
    const names = examples.map((_, i) => `example${i}.ts`);
    for (const [i, code] of examples.entries()) {
      await Deno.writeTextFile(`${folder}/${names[i]}`, code.replaceAll("https://…", origin));
    }
    await deno("check", ...names);
    const modelExamples = names.filter((_, i) => examples[i].includes("createMae("));
    assertEquals([names.length, modelExamples.length], [5, 2]); // the others train for long, or need a run
    for (const name of modelExamples) {
      assertMatch(await deno("run", name), /Float32Array\(1\) \[ \d\.\d+ \] \[ 144, 48 \]\n$/);
    }
  }));

const training = (origin: string, folder: string) => `
import { InputError, loadEvalImages, pretrain, resolvePretrainConfig } from "${origin}/mod.ts";

const stack = { width: 16, depth: 1, heads: 2, mlp_ratio: 2 };
const config = resolvePretrainConfig([{ origin: "test", values: {
  model: { image_size: 16, patch_size: 4, encoder: stack, decoder: stack },
  data: { train: "${folder}/images", workers: 2 },
  optim: { batch_size: 2, epochs: 2 },
  run: { out: "${folder}/out", log_every: 1, figure_images: 1 },
} }]);
const losses: (number | null)[] = [];
const result = await pretrain(config, {
  onEvent: (event) => { if (event.kind === "log") losses.push(event.record.loss); },
});
const { paths } = await loadEvalImages([\`${folder}/images/a.jpg\`], { imageSize: [8, 8], channels: 1, exif: "apply" });
console.log(JSON.stringify({ ...result, losses, loaded: paths.length }));
try {
  resolvePretrainConfig([{ origin: "test", values: { model: { patchsize: 4 } } }]);
} catch (error) {
  console.log(error instanceof InputError, error instanceof Error && error.message);
}
`;

Deno.test("a program elsewhere imports mod.ts by its URL and pre-trains with data workers", () =>
  asStranger(async ({ folder, origin, packages, deno }) => {
    await Deno.mkdir(`${folder}/images`);
    await Deno.copyFile(fixturePath("images/rgb.jpg"), `${folder}/images/a.jpg`);
    await Deno.copyFile(fixturePath("images/lossy.webp"), `${folder}/images/b.webp`);
    await Deno.writeTextFile(`${folder}/main.ts`, training(origin, folder));
    const readable = [...packages, `${folder}/images`, `${folder}/out`].join(",");
    const printed = await deno("run", `--allow-read=${readable}`, `--allow-write=${folder}/out`, "main.ts");
    const [result, refusal] = printed.split("\n");
    const { steps, losses, figure, checkpoint, brokenFiles, loaded } = JSON.parse(result);
    assertEquals([steps, losses.length, brokenFiles, loaded], [2, 2, 0, 1]);
    assert(losses.every(Number.isFinite), result);
    assert((await Deno.stat(figure)).isFile);
    assertEquals((await readSafetensors(`${checkpoint}/model.safetensors`)).has("cls_token"), true);
    assertStringIncludes(refusal, 'true Unknown key "model.patchsize" (from test)');
    const modules = await deno("info", "--json", "main.ts");
    assertEquals([
      modules.includes(`${origin}/src/train/jobs/pretrain.ts`),
      modules.includes(modUrl.pathname),
    ], [
      true,
      false,
    ]);
  }));
