/** Nothing that goes wrong on the device may end in silently wrong numbers. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { DeviceError, formatBytes } from "../../src/gpu/guards.ts";
import { allocateOutput, launch } from "../../src/gpu/kernel.ts";
import { openRuntime, type Runtime } from "../../src/gpu/runtime.ts";
import { readTensor } from "../../src/gpu/tensors.ts";

/** A fresh device, so that a test may break it. */
async function freshRuntime(byteLimit?: number): Promise<Runtime> {
  const open = await openRuntime({ backend: "webgpu" });
  await open.close();
  return await openRuntime({ backend: "webgpu", byteLimit });
}

Deno.test("a tensor over the device's limit is an error that says how large and what to lower", async () => {
  const runtime = await freshRuntime();
  const limit = runtime.adapter?.limits.maxStorageBufferBindingSize ?? 0;
  const cap = Math.min(limit, runtime.adapter?.limits.maxBufferSize ?? 0);
  const error = assertThrows(() => tf.add(tf.fill([cap / 4 + 1024], 1), 1), DeviceError);
  assertMatch(
    error.message,
    /^A tensor of [\d.]+ (MiB|GiB) exceeds this device's limit of .* lower optim.batch_size/,
  );
  assertEquals((await readTensor(tf.add(tf.fill([4], 1), 1)))[0], 2); // the device is still good
  runtime.check();
  await runtime.close();
});

Deno.test("a tensor for kernels may exceed a binding, where it is bound in parts, but not the largest buffer", async () => {
  const runtime = await freshRuntime();
  const { maxBufferSize = 0, maxStorageBufferBindingSize = 0 } = runtime.adapter?.limits ?? {};
  if (maxBufferSize > maxStorageBufferBindingSize) {
    const size = maxStorageBufferBindingSize / 4 + 64;
    const large = allocateOutput([size]);
    const source = {
      name: "test_ones",
      code: () =>
        `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) { x[i] = 1.0; }`,
    };
    const last = { tensor: large, texture: false, first: size - 64, count: 64 };
    launch(source, { inputs: [], inPlace: [last], workgroups: [1] });
    assertEquals((await readTensor(large)).subarray(size - 65), Float32Array.from([0, ...Array(64).fill(1)]));
    const whole = () => launch(source, { inputs: [], inPlace: [large], workgroups: [1] });
    assertThrows(whole, DeviceError, "for one binding; lower optim.batch_size");
  }
  assertThrows(() => allocateOutput([maxBufferSize / 4 + 64]), DeviceError, "for one buffer; lower");
  await runtime.settle();
  await runtime.close();
});

Deno.test("more memory than allowed is an error, after spare buffers have been given back", async () => {
  const runtime = await freshRuntime(40 * 2 ** 20);
  const eightMebibytes = (seed: number) => tf.tidy(() => tf.add(tf.fill([2 * 2 ** 20], seed), 1));
  for (let i = 0; i < 10; i++) eightMebibytes(i).dispose(); // reuses the pool
  const other = tf.tidy(() => tf.add(tf.fill([3, 2 ** 20], 1), 1)); // 12 MiB: another size, the pool must shrink
  await runtime.settle();
  const error = assertThrows(() => {
    const held: tf.Tensor[] = [other];
    for (let i = 0; i < 6; i++) held.push(eightMebibytes(i));
  }, DeviceError);
  assertMatch(
    error.message,
    /^A tensor of 8 MiB does not fit: [\d.]+ MiB of 40 MiB GPU memory are in use; lower/,
  );
  await runtime.close();
});

Deno.test("out of memory as the driver reports it stops everything that follows", async () => {
  const runtime = await freshRuntime();
  const event = new GPUUncapturedErrorEvent("uncapturederror", {
    error: new GPUOutOfMemoryError("no memory left"),
  });
  runtime.device?.dispatchEvent(event);
  assertThrows(() => runtime.check(), DeviceError, "The GPU ran out of memory");
  assertThrows(() => tf.add(tf.fill([2 ** 20], 1), 1), DeviceError, "ran out of memory");
  await runtime.close();
});

Deno.test("an operation that the driver refuses surfaces at the next wait", async () => {
  const runtime = await freshRuntime();
  runtime.device?.createBuffer({ size: 2 ** 50, usage: GPUBufferUsage.STORAGE });
  const error = await assertRejects(() => runtime.settle(), DeviceError);
  assertMatch(error.message, /^The GPU driver refused an operation, .*mae doctor/s);
  await runtime.close();
});

Deno.test("a lost device is an error that names the way on", async () => {
  const runtime = await freshRuntime();
  runtime.device?.destroy();
  await runtime.device?.lost;
  assertThrows(() => runtime.check(), DeviceError, "continue with --resume");
  const replacement = await openRuntime({ backend: "webgpu" });
  assert(replacement !== runtime);
  assertEquals((await readTensor(tf.add(tf.scalar(1), 1)))[0], 2);
  await replacement.close();
});

Deno.test("a broken kernel is an error, not a wrong result", async () => {
  const runtime = await freshRuntime();
  launch({ name: "broken", code: () => "@compute @workgroup_size(1) fn main() { nonsense(); }" }, {
    inputs: [tf.scalar(1)],
    outputs: [[1]],
    workgroups: [1],
  });
  await assertRejects(() => runtime.settle(), DeviceError, "refused an operation");
  await runtime.close();
});

Deno.test("closing and opening again gives a working device; the CPU backend stands in when asked for", async () => {
  const first = await freshRuntime();
  assert(first === await openRuntime());
  await first.close();
  const cpu = await openRuntime({ backend: "cpu" });
  assertEquals([cpu.backend, cpu.adapter, cpu.trim()], ["cpu", null, 0]);
  assertEquals((await readTensor(tf.add(tf.scalar(1), 1)))[0], 2);
  await cpu.settle();
  await cpu.close();
  const again = await openRuntime({ backend: "webgpu" });
  assertEquals((await readTensor(tf.add(tf.scalar(2), 1)))[0], 3);
  assert(again.memory().bytesUsed > 0 && again.trim() >= 0);
  await again.close();
});

Deno.test("formatBytes() speaks of KiB, MiB and GiB", () => {
  assertEquals(formatBytes(512), "0.5 KiB");
  assertEquals(formatBytes(1.5 * 2 ** 20), "1.5 MiB");
  assertEquals(formatBytes(3 * 2 ** 30), "3 GiB");
});
