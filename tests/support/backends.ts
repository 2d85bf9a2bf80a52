/** Running a test on every backend. A machine without an adapter fails these tests: they are never skipped. */
import { openRuntime, type Runtime } from "../../src/gpu/runtime.ts";
import { tf } from "../../src/deps/tfjs.ts";

/** Registers a test that runs on WebGPU and on the CPU backend. */
export function testOnBackends(name: string, test: (runtime: Runtime) => Promise<void>): void {
  for (const backend of ["webgpu", "cpu"] as const) {
    Deno.test(`${name} (${backend})`, () => onBackend(backend, test));
  }
}

/** Registers a test that runs on WebGPU. */
export function testOnWebGpu(name: string, test: (runtime: Runtime) => Promise<void>): void {
  Deno.test(name, () => onBackend("webgpu", test));
}

async function onBackend(
  backend: "webgpu" | "cpu",
  test: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  const runtime = await openRuntime({ backend });
  tf.engine().startScope();
  try {
    await test(runtime);
  } finally {
    tf.engine().endScope();
  }
}
