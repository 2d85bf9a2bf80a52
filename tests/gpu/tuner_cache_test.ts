/** The file of what was measured: damage, other versions, writers at the same time, and permissions. */
import { assert, assertEquals } from "../deps.ts";
import type { AdapterReport } from "../../src/gpu/adapter.ts";
import {
  cachePath,
  kernelVersion,
  readAdapterCache,
  useCache,
  writeAdapterCache,
} from "../../src/gpu/tuner_cache.ts";
import { denoOutput, projectFolder } from "../support/deno.ts";
import { inFolder } from "../support/folder.ts";

const adapter = {
  description: "a GPU",
  vendor: "1",
  architecture: "",
  software: false,
  features: ["subgroups"],
  subgroupSizes: [32, 32],
  limits: {},
} as unknown as AdapterReport;

Deno.test("what is written of an adapter is read again, by section and key, and not for another adapter", () =>
  inFolder(async (folder) => {
    const path = `${folder}/new/mae/tuner.json`;
    assertEquals(await readAdapterCache(adapter, path), {});
    assert(await writeAdapterCache(adapter, "plans", { one: { rows: 32 } }, path));
    assert(await writeAdapterCache(adapter, "plans", { two: { rows: 64 } }, path));
    assert(await writeAdapterCache(adapter, "self_test", { layerNorm: "passed" }, path));
    const expected = { plans: { one: { rows: 32 }, two: { rows: 64 } }, self_test: { layerNorm: "passed" } };
    assertEquals(await readAdapterCache(adapter, path), expected);
    for (
      const other of [
        { ...adapter, description: "another" },
        { ...adapter, features: [] },
        { ...adapter, subgroupSizes: [16, 32] as const },
      ]
    ) {
      assertEquals(await readAdapterCache(other, path), {});
      assert(await writeAdapterCache(other, "plans", { one: { rows: 128 } }, path));
    }
    assertEquals(await readAdapterCache(adapter, path), expected);
  }));

Deno.test("a file that is damaged or of another version is ignored, and rebuilt by the next write", () =>
  inFolder(async (folder) => {
    const path = `${folder}/tuner.json`;
    assert(await writeAdapterCache(adapter, "plans", { one: 1 }, path));
    const good = await Deno.readTextFile(path);
    const contents = [
      good.slice(0, -20),
      "",
      "null",
      "[1]",
      '{"version": 1}',
      good.replace(`"version": ${kernelVersion}`, `"version": ${kernelVersion + 1}`),
      good.replace(/"plans": \{[^}]*\}/, '"plans": 7'),
      "\u0000\ufffd",
    ];
    for (const content of contents) {
      await Deno.writeTextFile(path, content);
      assertEquals(await readAdapterCache(adapter, path), {}, content);
      assert(await writeAdapterCache(adapter, "plans", { two: 2 }, path));
      assertEquals(await readAdapterCache(adapter, path), { plans: { two: 2 } });
    }
  }));

Deno.test("writers at the same time leave a whole file and nothing else", () =>
  inFolder(async (folder) => {
    const path = `${folder}/tuner.json`;
    const writers = Array.from({ length: 20 }, (_, i) =>
      writeAdapterCache(adapter, "plans", { [`key ${i}`]: "x".repeat(5000) }, path));
    const readers = Array.from({ length: 20 }, () =>
      readAdapterCache(adapter, path));
    assert((await Promise.all(writers)).every(Boolean));
    await Promise.all(readers);
    assert(Object.keys((await readAdapterCache(adapter, path)).plans).length > 0);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["tuner.json"]);
  }));

Deno.test("a path that cannot be written is no error, and a cache that is turned off is not touched", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    assertEquals(await writeAdapterCache(adapter, "plans", { one: 1 }, `${folder}/file/tuner.json`), false);
    assertEquals(await readAdapterCache(adapter, `${folder}/file/tuner.json`), {});
    assertEquals(await writeAdapterCache(adapter, "plans", { one: 1 }, null), false);
    const path = `${folder}/tuner.json`;
    assert(await writeAdapterCache(adapter, "plans", { one: 1 }, path));
    useCache(false);
    try {
      assertEquals(await readAdapterCache(adapter, path), {});
      assertEquals(await writeAdapterCache(adapter, "plans", { two: 2 }, path), false);
    } finally {
      useCache(true);
    }
    assertEquals(await readAdapterCache(adapter, path), { plans: { one: 1 } });
  }));

/** What the module says in a process with these permissions and this environment. */
async function inProcess(
  permissions: string[],
  env: Record<string, string>,
  expression: string,
): Promise<string> {
  const module = `${projectFolder()}/src/gpu/tuner_cache.ts`;
  let output = "";
  await inFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      `import * as cache from ${JSON.stringify(module)};
const adapter = ${JSON.stringify(adapter)};
console.log(JSON.stringify(${expression}));`,
    );
    // Deno has a cache of its own in the same place.
    const environment = { ...env, DENO_DIR: `${folder}/deno` };
    const args = ["run", "--no-check", "--no-prompt", ...permissions, `${folder}/main.ts`];
    output = await denoOutput(args, { env: environment });
  });
  return output.trim();
}

Deno.test({
  name: "the file lies in the user's cache folder, where the environment may be read",
  ignore: Deno.build.os === "windows", // has another folder, and the same code for the rest
  async fn() {
    const all = "--allow-env=XDG_CACHE_HOME,HOME,LOCALAPPDATA";
    const path = (permissions: string[], env: Record<string, string>) =>
      inProcess(permissions, { HOME: "/home/me", XDG_CACHE_HOME: "", ...env }, "cache.cachePath()");
    assertEquals(await path([all], {}), '"/home/me/.cache/mae/tuner.json"');
    assertEquals(await path([all], { XDG_CACHE_HOME: "/tmp/c" }), '"/tmp/c/mae/tuner.json"');
    assertEquals(await path([all], { XDG_CACHE_HOME: "relative" }), '"/home/me/.cache/mae/tuner.json"');
    assertEquals(await path([], { XDG_CACHE_HOME: "/tmp/c" }), "null");
  },
});

Deno.test("without permission nothing is read, written or asked", () =>
  inFolder(async (folder) => {
    const path = `${folder}/tuner.json`;
    assert(await writeAdapterCache(adapter, "plans", { one: 1 }, path));
    const both = `[await cache.readAdapterCache(adapter, ${JSON.stringify(path)}),
      await cache.writeAdapterCache(adapter, "plans", {two: 2}, ${JSON.stringify(path)})]`;
    assertEquals(await inProcess([], {}, both), "[{},false]");
    assertEquals(await inProcess([`--allow-read=${folder}`], {}, both), '[{"plans":{"one":1}},false]');
    assertEquals(await readAdapterCache(adapter, path), { plans: { one: 1 } });
  }));

Deno.test("the path of the cache is null or ends in mae/tuner.json", () => {
  const path = cachePath();
  assert(path === null || path.endsWith("/mae/tuner.json"));
});
