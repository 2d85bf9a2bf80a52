/**
 * Guards around the tfjs WebGPU backend. Without them a buffer over the device's limits, memory running out or a lost
 * device do not throw: values silently stay stale or zero. Here every one of them becomes an error.
 */
import type { WebGPUBackend } from "../deps/tfjs.ts";
import { RunError } from "../util/errors.ts";
import { contentsChange } from "./textures.ts";

/** The GPU could not do what was asked: too large, out of memory, lost, or refused by the driver. */
export class DeviceError extends RunError {
  /** The class's name, for printing. */
  override name = "DeviceError";
}

/** The part of tfjs's buffer pool that the guards need; private in its declarations. */
interface BufferPool {
  acquireBuffer(size: number, usage: number, mappedAtCreation?: boolean, reuse?: boolean): GPUBuffer;
  freeBuffers: Map<string, GPUBuffer[]>;
  numFreeBuffers: number;
  numBytesUsed: number;
  numBytesAllocated: number;
}

const howToLower =
  "lower optim.batch_size (and raise optim.accumulate to keep the effective batch), the image size or the model";

/** A size in KiB, MiB or GiB, for people. */
export function formatBytes(bytes: number): string {
  if (bytes < 2 ** 20) return `${+(bytes / 1024).toFixed(1)} KiB`;
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1024 ? `${+mebibytes.toFixed(1)} MiB` : `${+(mebibytes / 1024).toFixed(2)} GiB`;
}

function refuseAbove(limit: number, bytes: number, what: "buffer" | "binding"): void {
  if (bytes <= limit) return;
  throw new DeviceError(
    `A tensor of ${formatBytes(bytes)} exceeds this device's limit of ${
      formatBytes(limit)
    } for one ${what}; ${howToLower}`,
  );
}

/** Watches one device and its buffer pool. */
export class DeviceGuard {
  readonly #pool: BufferPool;
  readonly #device: GPUDevice;
  #failure: DeviceError | undefined;
  #closing = false;
  #peakBytes = 0;
  /** Most bytes of a buffer. */
  #largest: number;
  /** Most bytes of a binding. */
  readonly #largestBinding: number;

  /**
   * Puts the guard in front of the backend's buffer pool.
   * @param submit Sends recorded commands off, after which buffers of disposed tensors can be freed.
   * @param byteLimit Total GPU bytes allowed; allocations beyond it throw. Infinite by default: the driver decides.
   */
  constructor(device: GPUDevice, backend: WebGPUBackend, submit: () => void, byteLimit = Infinity) {
    this.#device = device;
    this.#pool = backend.bufferManager as unknown as BufferPool;
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.#largestBinding = Math.min(Number(maxBufferSize), Number(maxStorageBufferBindingSize));
    this.#largest = this.#largestBinding;
    this.#guardPool(byteLimit, submit);
    device.addEventListener(
      "uncapturederror",
      (event) => this.#onError((event as GPUUncapturedErrorEvent).error),
    );
    device.lost.then((info) => {
      if (!this.#closing) {
        this.#fail(
          `The GPU device was lost (${
            info.message || info.reason
          }); the last checkpoint is intact, continue with --resume`,
        );
      }
    });
  }

  #guardPool(byteLimit: number, submit: () => void): void {
    const pool = this.#pool;
    const acquire = pool.acquireBuffer.bind(pool);
    pool.acquireBuffer = (size, usage, mappedAtCreation, reuse) => {
      this.check();
      refuseAbove(this.#largest, size, "buffer");
      const spare = () => reuse !== false && (pool.freeBuffers.get(`${size}_${usage}`)?.length ?? 0) > 0;
      const tooMuch = () => !spare() && pool.numBytesAllocated + size > byteLimit;
      if (tooMuch()) submit();
      if (tooMuch()) this.trim();
      if (tooMuch()) {
        throw new DeviceError(
          `A tensor of ${formatBytes(size)} does not fit: ${formatBytes(pool.numBytesAllocated)} of ${
            formatBytes(byteLimit)
          } GPU memory are in use; ${howToLower}`,
        );
      }
      const buffer = acquire(size, usage, mappedAtCreation, reuse);
      contentsChange(buffer); // whoever asks for a buffer fills it
      this.#peakBytes = Math.max(this.#peakBytes, pool.numBytesAllocated);
      return buffer;
    };
  }

  /** Runs `work`, in which buffers may be larger than one binding: those that kernels bind in parts only. */
  allowLarge<Result>(work: () => Result): Result {
    const before = this.#largest;
    this.#largest = Number(this.#device.limits.maxBufferSize);
    try {
      return work();
    } finally {
      this.#largest = before;
    }
  }

  /** Throws `DeviceError` where a binding is larger than the device's. */
  checkBinding(bytes: number): void {
    refuseAbove(this.#largestBinding, bytes, "binding");
  }

  #onError(error: GPUError): void {
    const inUse = formatBytes(this.#pool.numBytesAllocated);
    this.#fail(
      error instanceof GPUOutOfMemoryError
        ? `The GPU ran out of memory with ${inUse} allocated (${error.message}); ${howToLower}`
        : `The GPU driver refused an operation, with ${inUse} allocated: ${error.message}; ${howToLower}, or report this with the output of mae doctor`,
    );
  }

  #fail(message: string): void {
    this.#failure ??= new DeviceError(message);
  }

  /** Whether the device has reported an error, after which it computes nothing that can be trusted. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Throws the first error that the device has reported, if any. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Frees pooled buffers that no tensor uses and returns how many bytes that gave back. */
  trim(): number {
    const pool = this.#pool;
    let freed = 0;
    for (const [key, buffers] of pool.freeBuffers) {
      for (const buffer of buffers) {
        freed += buffer.size;
        buffer.destroy();
      }
      pool.numFreeBuffers -= buffers.length;
      pool.freeBuffers.set(key, []);
    }
    pool.numBytesAllocated -= freed;
    return freed;
  }

  /** Bytes in tensors, bytes allocated with the pool's spares, and the highest allocation so far. */
  memory(): { used: number; allocated: number; peak: number } {
    return { used: this.#pool.numBytesUsed, allocated: this.#pool.numBytesAllocated, peak: this.#peakBytes };
  }

  /** From here on a lost device is what was asked for. */
  close(): void {
    this.#closing = true;
  }
}
