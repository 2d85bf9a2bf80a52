/** Whether this device computes what it should: a few seconds of `mae doctor`. */

import { tf } from "../deps/tfjs.ts";
import { openRuntime, type Runtime } from "../gpu/runtime.ts";
import { readTensors } from "../gpu/tensors.ts";
import { createMae } from "../models/mae.ts";
import { checkKernels, kernelName, storeChecks } from "../ops/check/kernel_check.ts";
import { messageOf } from "../util/errors.ts";
import { Random } from "../util/random.ts";

/** One thing that was tried. */
export interface SelfTestResult {
  /** What was tried. */
  readonly name: string;
  /** Whether it came out right. */
  readonly ok: boolean;
  /** By how much, or what went wrong. */
  readonly detail: string;
  /** Where it did not, whether that only makes training slower. */
  readonly slower?: boolean;
}

/** Largest difference from the CPU that is rounding: sums of a few hundred float32 products, relative to the largest. */
const TOLERANCE = 1e-4;

/**
 * Tries the device of an open runtime, and leaves the CPU runtime open. Kernels must agree with their definitions, else they
 * are switched off here and in later runs. A model with its gradients must give the same
 * numbers twice, bit for bit, and those of the CPU backend up to rounding; half precision must be exact where it can be.
 */
export async function selfTest(runtime: Runtime): Promise<SelfTestResult[]> {
  if (runtime.backend === "cpu") return [await attempt("a model's gradients are finite", checkFinite)];
  const results: SelfTestResult[] = [];
  if (runtime.device && runtime.adapter?.features.includes("shader-f16")) {
    const device = runtime.device;
    results.push(await attempt("half precision (f16)", () => checkHalf(device)));
  }
  results.push(...await kernelResults(runtime));
  let first: Numbers = [];
  results.push(
    await attempt("a model's gradients, twice the same", async () => {
      first = await modelNumbers();
      runtime.check();
      return equalBits(first, await modelNumbers());
    }),
  );
  results.push(
    await attempt("a model's gradients, as on the CPU", async () => {
      await openRuntime({ backend: "cpu" });
      return compare(first, await modelNumbers());
    }),
  );
  return results;
}

/** Every kernel against its definition: one line for all that agree, and one for each that does not. */
async function kernelResults(runtime: Runtime): Promise<SelfTestResult[]> {
  try {
    const checks = await checkKernels();
    if (runtime.adapter) await storeChecks(runtime.adapter, checks);
    const agreeing = checks.filter(({ ok }) => ok).length;
    const name = "kernels, as their definitions";
    return [
      ...(agreeing > 0 ? [{ name, ok: true, detail: `${agreeing} of ${checks.length} agree` }] : []),
      ...checks.filter(({ ok }) => !ok).map((check) => ({
        name: `kernel ${kernelName(check)}`,
        ok: false,
        slower: true,
        detail: `switched off: ${check.detail}`,
      })),
    ];
  } catch (error) {
    return [{ name: "kernels", ok: false, detail: messageOf(error) }];
  }
}

/** Runs a check, which gives what it found or throws what is wrong. */
async function attempt(name: string, check: () => Promise<string>): Promise<SelfTestResult> {
  try {
    return { name, ok: true, detail: await check() };
  } catch (error) {
    return { name, ok: false, detail: messageOf(error) };
  }
}

/** The loss and every gradient of one model on one batch. */
type Numbers = readonly Float32Array[];

async function modelNumbers(): Promise<Numbers> {
  const stack = { width: 48, depth: 2, heads: 3, mlpRatio: 4 };
  const model = createMae({
    imageSize: 32,
    patchSize: 8,
    encoder: stack,
    decoder: stack,
    normalizeTarget: true,
  });
  const [images, noise] = [new Random(1), new Random(2)].map((random, i) =>
    random.uniformArray(i === 0 ? 4 * 3072 : 4 * 16)
  );
  const batch = tf.tensor(images, [4, 32, 32, 3]);
  const { loss, gradients } = model.lossAndGradients(batch, { maskRatio: 0.75, noise });
  const tensors = [loss, ...gradients.values()];
  try {
    return await readTensors(tensors);
  } finally {
    tf.dispose([batch, ...tensors]);
    model.dispose();
  }
}

async function checkFinite(): Promise<string> {
  const numbers = await modelNumbers();
  if (!numbers.every((values) => values.every(Number.isFinite))) throw new Error("some are not");
  return `loss ${numbers[0][0].toFixed(4)}`;
}

function equalBits(first: Numbers, second: Numbers): string {
  const different =
    first.filter((values, i) => values.some((value, j) => !Object.is(value, second[i][j]))).length;
  if (different > 0) {
    throw new Error(`${different} of ${first.length} tensors differ, so runs will not repeat exactly`);
  }
  return "equal bits";
}

function compare(device: Numbers, cpu: Numbers): string {
  if (device.length === 0) throw new Error("the device gave nothing to compare");
  let worst = 0;
  for (const [i, values] of cpu.entries()) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    for (const [j, value] of values.entries()) {
      const difference = Math.abs(device[i][j] - value) / largest;
      if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
    }
  }
  const found = `largest difference ${worst.toExponential(1)} of the largest value`;
  if (worst > TOLERANCE) throw new Error(`${found}, more than ${TOLERANCE}: the driver computes wrongly`);
  return found;
}

const halfShader = `enable f16;
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = f16(values[id.x]);
  values[id.x] = f32(x * x + f16(0.5));
}`;

/** x² + 1/2 for x = 0 … 31 by quarters fits half precision exactly up to x = 16, and rounds in a known way after. */
async function checkHalf(device: GPUDevice): Promise<string> {
  const inputs = Float32Array.from({ length: 64 }, (_, i) => i / 4);
  device.pushErrorScope("validation");
  const outputs = await runOnBuffer(device, halfShader, inputs);
  const error = await device.popErrorScope();
  if (error) throw new Error(error.message);
  const wrong = inputs.findIndex((x, i) => outputs[i] !== Math.f16round(Math.f16round(x * x) + 0.5));
  if (wrong >= 0) throw new Error(`${inputs[wrong]} squared and a half gives ${outputs[wrong]}`);
  return "exact";
}

/** Runs a shader over one buffer of float32 and reads it back. */
async function runOnBuffer(
  device: GPUDevice,
  code: string,
  values: Float32Array<ArrayBuffer>,
): Promise<Float32Array> {
  const size = values.byteLength;
  const buffer = device.createBuffer({
    size,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  try {
    device.queue.writeBuffer(buffer, 0, values);
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer } }],
      }),
    );
    pass.dispatchWorkgroups(values.length / 64);
    pass.end();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    return new Float32Array(staging.getMappedRange().slice(0));
  } finally {
    buffer.destroy();
    staging.destroy();
  }
}
