/** Opening the backend that tensors live on: WebGPU where there is an adapter, else tfjs's own CPU backend. */
import { tf, WebGPUBackend } from "../deps/tfjs.ts";
import { RunError } from "../util/errors.ts";
import { type AdapterReport, findAdapter, openDevice } from "./adapter.ts";
import { DeviceGuard } from "./guards.ts";
import { textureBytes } from "./textures.ts";

/** Which backend to open. */
export interface RuntimeOptions {
  /** `webgpu` throws without an adapter; `auto` (default) falls back to `cpu`, which is far slower. */
  readonly backend?: "auto" | "webgpu" | "cpu";
  /** Another WebGPU implementation's `GPU` object, in place of Deno's `navigator.gpu`. */
  readonly gpu?: GPU;
  /** Most GPU bytes to allocate; more throws `DeviceError`. The driver's own limit by default. */
  readonly byteLimit?: number;
}

/** Bytes and tensors in use. */
export interface MemoryUse {
  /** Tensors alive. */
  readonly tensors: number;
  /** Bytes in tensors. */
  readonly bytesUsed: number;
  /** Bytes allocated on the device, spare buffers and textures included; equals `bytesUsed` on the CPU. */
  readonly bytesAllocated: number;
  /** Highest `bytesAllocated` so far; 0 on the CPU, where it is not tracked. */
  readonly bytesPeak: number;
}

/** The open backend. There is one at a time, because tfjs has one engine per process. */
export interface Runtime {
  /** Where tensors live. */
  readonly backend: "webgpu" | "cpu";
  /** What the adapter says of itself; null on the CPU backend. */
  readonly adapter: AdapterReport | null;
  /** The device; null on the CPU backend. */
  readonly device: GPUDevice | null;
  /** Tensors and bytes in use. */
  memory(): MemoryUse;
  /** Throws `DeviceError` if the device has reported an error; costs nothing. */
  check(): void;
  /** Waits until the device has done all work, then checks. About 11 ms: never inside a step. */
  settle(): Promise<void>;
  /** Frees spare buffers; returns the bytes given back. */
  trim(): number;
  /** Closes the backend and disposes every tensor on it. */
  close(): Promise<void>;
}

/** A WebGPU backend with its device, as kernels need them. */
export interface OpenWebGpu {
  /** tfjs's backend on the device. */
  readonly backend: WebGPUBackend;
  /** The one device. */
  readonly device: GPUDevice;
  /** What its adapter says of itself. */
  readonly adapter: AdapterReport;
  /** Turns what goes wrong on it into errors. */
  readonly guard: DeviceGuard;
}

let opened: { runtime: Runtime; gpu: GPU | undefined; webgpu: OpenWebGpu | null } | null = null;

/**
 * Opens the backend that all models of this process use, or returns the open one when it fits the request.
 * @throws {RunError} when `webgpu` is asked for and there is no adapter.
 */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const wanted = options.backend ?? "auto";
  const fits = opened && (wanted === "auto" || wanted === opened.runtime.backend) &&
    options.gpu === opened.gpu;
  if (opened && fits && !opened.webgpu?.guard.failed) return opened.runtime; // a failed device is replaced
  await opened?.runtime.close();
  tf.enableProdMode();
  if (wanted !== "cpu") {
    const adapter = await findAdapter(options.gpu);
    if (adapter) return await openWebGpu(adapter, options);
    if (wanted === "webgpu") {
      throw new RunError(
        "No WebGPU adapter found; run mae doctor for the driver to install, or use --backend cpu",
      );
    }
  }
  return await openCpu(options);
}

async function openWebGpu(adapter: GPUAdapter, options: RuntimeOptions): Promise<Runtime> {
  const { device, report } = await openDevice(adapter, options.gpu);
  // tfjs's declarations come from @webgpu/types, Deno's from its own library: the same interfaces under two names.
  const backend = new WebGPUBackend(
    device as unknown as ConstructorParameters<typeof WebGPUBackend>[0],
    adapter.info as unknown as ConstructorParameters<typeof WebGPUBackend>[1],
  );
  const guard = new DeviceGuard(device, backend, () => submitPending(backend), options.byteLimit);
  // Kernels are registered for the name "webgpu", so the factory of that name is replaced: tfjs's own asks for
  // default limits and mistypes a feature.
  if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => backend);
  await tf.setBackend("webgpu");
  // Small tensors stay on the GPU, else an operation would wait for a readback; and matrix products never use the
  // program with atomic adds, whose sums change from run to run (3 is tfjs's packed program).
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  tf.env().set("WEBGPU_MATMUL_PROGRAM_TYPE", 3);
  const runtime: Runtime = {
    backend: "webgpu",
    adapter: report,
    device,
    memory: () => {
      const { used, allocated, peak } = guard.memory();
      const textures = textureBytes(device); // they only grow
      return {
        tensors: tf.memory().numTensors,
        bytesUsed: used,
        bytesAllocated: allocated + textures,
        bytesPeak: peak + textures,
      };
    },
    check: () => guard.check(),
    settle: async () => {
      submitPending(backend);
      await device.queue.onSubmittedWorkDone();
      guard.check();
    },
    trim: () => guard.trim(),
    close: () => {
      guard.close();
      closeBackend("webgpu");
      device.destroy();
      return Promise.resolve();
    },
  };
  opened = { runtime, gpu: options.gpu, webgpu: { backend, device, adapter: report, guard } };
  return runtime;
}

async function openCpu(options: RuntimeOptions): Promise<Runtime> {
  await tf.setBackend("cpu");
  const runtime: Runtime = {
    backend: "cpu",
    adapter: null,
    device: null,
    memory: () => {
      const { numTensors, numBytes } = tf.memory();
      return { tensors: numTensors, bytesUsed: numBytes, bytesAllocated: numBytes, bytesPeak: 0 };
    },
    check: () => {},
    settle: () => Promise.resolve(),
    trim: () => 0,
    close: () => {
      tf.disposeVariables();
      opened = null;
      return Promise.resolve();
    },
  };
  opened = { runtime, gpu: options.gpu, webgpu: null };
  return runtime;
}

function closeBackend(name: string): void {
  tf.disposeVariables();
  tf.removeBackend(name);
  opened = null;
}

/** Sends recorded commands to the device. */
export function submitPending(backend: WebGPUBackend): void {
  const internals = backend as unknown as { commandEncoder: GPUCommandEncoder | null };
  if (internals.commandEncoder === null) return;
  backend.endComputePassEncoder();
  backend.submitQueue();
}

/** The open runtime. Throws `RunError` when none is open. */
export function currentRuntime(): Runtime {
  if (!opened) throw new RunError("No backend is open; call await openRuntime() first");
  return opened.runtime;
}

/** The open WebGPU backend for kernels, or null when tensors live on the CPU or nothing is open. */
export function currentWebGpu(): OpenWebGpu | null {
  return opened?.webgpu ?? null;
}
