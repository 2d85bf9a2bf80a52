/** The start-up test of kernels: what it tries, and what becomes of a kernel that fails it. */
import { assert, assertEquals, assertMatch } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { launch } from "../../../src/gpu/kernel.ts";
import { openRuntime, type Runtime } from "../../../src/gpu/runtime.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import {
  checkKernels,
  checkKernelsOnce,
  kernelWarning,
  storeChecks,
} from "../../../src/ops/check/kernel_check.ts";
import { kernelCases } from "../../../src/ops/check/kernel_cases.ts";
import { layerNorm, layerNormBodies } from "../../../src/ops/norm/layer_norm.ts";
import { switchedOffKernels, switchOffKernel, switchOnKernels } from "../../../src/ops/operation.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";
import { countDispatches } from "../../support/dispatches.ts";
import { inFolder } from "../../support/folder.ts";

Deno.test("every operation with a kernel is tried", async () => {
  const names = new Set<string>();
  const search = async (folder: URL): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await search(new URL(`${name}/`, folder));
      else if (name.endsWith(".ts")) {
        const code = await Deno.readTextFile(new URL(name, folder));
        for (const [, found] of code.matchAll(/: Bodies<[^;{]*> = \{\s*name: "(\w+)"/g)) names.add(found);
      }
    }
  };
  await search(new URL("../../../src/ops/", import.meta.url));
  assert(names.size >= 20);
  assertEquals([...names].sort(), [...new Set(kernelCases().map(({ kernel }) => kernel))].sort());
});

const layerNormCases = kernelCases().filter(({ kernel }) => kernel === "layerNorm");

/** Runs `work` with another kernel in the place of layer norm's. */
async function withLayerNorm(
  forward: (x: tf.Tensor2D) => tf.Tensor[],
  work: () => Promise<void>,
): Promise<void> {
  const bodies = layerNormBodies as {
    -readonly [Key in keyof typeof layerNormBodies]: typeof layerNormBodies[Key];
  };
  const own = bodies.kernel;
  if (!own) throw new Error("Layer norm has no kernel");
  bodies.kernel = { ...own, forward };
  try {
    await work();
  } finally {
    bodies.kernel = own;
    switchOnKernels();
  }
}

const brokenCode = (result: string) => `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = ${result}; }`;

function launched(name: string, result: string): (x: tf.Tensor2D) => tf.Tensor[] {
  return (x) => {
    const source = { name: `test_broken_${name}`, code: () => brokenCode(result) };
    const workgroups = [Math.ceil(x.size / 64)] as const;
    return [...launch(source, { inputs: [x], outputs: [x.shape], workgroups }), tf.zeros([x.shape[0], 4])];
  };
}

const broken: Record<string, { forward: (x: tf.Tensor2D) => tf.Tensor[]; detail: RegExp }> = {
  "computes something else": {
    forward: launched("wrong", "x[id.x]"),
    detail: /largest difference [1-9][.\d]*e/,
  },
  "gives NaN": {
    forward: launched("nan", "sqrt(-1.0 - x[id.x] * x[id.x])"),
    detail: /largest difference Infinity/,
  },
  "does not compile": { forward: launched("invalid", "no_such_thing"), detail: /\S/ },
  throws: {
    forward: () => {
      throw new Error("Not on this device");
    },
    detail: /^Not on this device$/,
  },
};

for (const [what, { forward, detail }] of Object.entries(broken)) {
  testOnWebGpu(
    `checkKernels() switches off a kernel that ${what}, and all goes on without it`,
    async (runtime) => {
      const inputs = () => [tf.reshape(tf.range(0, 12), [3, 4]), tf.ones([4]), tf.zeros([4])] as const;
      const expected = await readTensor(layerNorm(...inputs()));
      await withLayerNorm(forward, async () => {
        const [check, ...others] = await checkKernels(layerNormCases);
        assertEquals([check.kernel, check.ok, others.length], ["layerNorm", false, 0]);
        assertMatch(check.detail, detail);
        assertEquals(switchedOffKernels(), ["layerNorm"]);
        const warning = kernelWarning([check]) ?? "";
        assertMatch(warning, /^Switched off on this device, .*: the kernels of layerNorm \(/);
        assertEquals(warning.includes("\n"), false);
        runtime.check();
        // The body that is left is the composed one, which rounds a little otherwise.
        const actual = await readTensor(layerNorm(...inputs()));
        assert(actual.every((value, i) => Math.abs(value - expected[i]) < 1e-5));
      });
    },
  );
}

testOnWebGpu("checkKernels() finds no fault with this device", async (runtime) => {
  const tensors = tf.memory().numTensors;
  const checks = await checkKernels();
  assertEquals(checks.filter(({ ok }) => !ok), []);
  const half = runtime.adapter?.features.includes("shader-f16") ?? false;
  assertEquals(checks.some((check) => check.half), half);
  assertEquals(kernelWarning(checks), null);
  assertEquals(tf.memory().numTensors, tensors);
});

testOnBackends("a kernel that is switched off is switched on again for another device", async (runtime) => {
  switchOffKernel("layerNorm");
  assertEquals(switchedOffKernels(), runtime.backend === "webgpu" ? ["layerNorm"] : []);
  await runtime.close();
  await openRuntime({ backend: runtime.backend });
  assertEquals(switchedOffKernels(), []);
});

/** The cache's file in a folder, and a device that nobody has tried yet. */
async function withNewDevice(
  work: (path: string, reopen: () => Promise<Runtime>) => Promise<void>,
): Promise<void> {
  const reopen = async () => {
    await (await openRuntime({ backend: "webgpu" })).close();
    return await openRuntime({ backend: "webgpu" });
  };
  await inFolder((folder) => work(`${folder}/tuner.json`, reopen));
}

Deno.test("checkKernelsOnce() takes over what an earlier run found out, and tries only the rest", async () => {
  await withNewDevice(async (path, reopen) => {
    const { adapter } = await reopen();
    assert(adapter);
    const names = [...new Set(kernelCases().map(({ kernel }) => kernel))];
    const agreed = names.map((kernel) => ({ kernel, half: false, ok: true, detail: "" }));
    const faulty = agreed.map((check) =>
      check.kernel === "attention" ? { ...check, ok: false, detail: "Wrong" } : check
    ).filter(({ kernel }) => kernel !== "pack");
    await storeChecks(adapter, faulty, path);
    let started = 0;
    const once = () => checkKernelsOnce(false, { path, onStart: () => started++ });
    const checks = await once();
    assertEquals(started, 1);
    assertEquals(checks.length, names.length);
    assertEquals(checks.filter(({ ok }) => !ok), [{
      kernel: "attention",
      half: false,
      ok: false,
      detail: "Wrong",
    }]);
    assertEquals(switchedOffKernels(), ["attention"]);

    await reopen(); // as the next run of the program does
    let pending: ReturnType<typeof once> | undefined;
    assertEquals(countDispatches(() => pending = once()), 0);
    assertEquals((await pending)?.filter(({ ok }) => ok).length, names.length - 1);
    assertEquals(started, 1);
    assertEquals(switchedOffKernels(), ["attention"]);

    await reopen();
    await Deno.writeTextFile(path, "damaged");
    const anew = checkKernelsOnce(false, { path, onStart: () => started++ });
    assertEquals(kernelWarning(await anew), null);
    assertEquals([started, switchedOffKernels()], [2, []]);
  });
});

Deno.test("switching off needs a device to do it on", async () => {
  await openRuntime({ backend: "cpu" });
  assertEquals([await checkKernels(), await checkKernelsOnce(true, { path: null })], [[], []]);
  switchOffKernel("layerNorm");
  assertEquals(switchedOffKernels(), []);
});
