/** Copies from buffer to buffer and buffers of zeros, recorded in order with kernels. They bind nothing, so that no limit on bindings applies. */
import { tf, type WebGPUBackend } from "../deps/tfjs.ts";
import { currentWebGpu, type OpenWebGpu } from "./runtime.ts";
import { contentsChange } from "./textures.ts";

/** Values to copy from one tensor to another; both are in single precision. */
export interface ValueCopy {
  /** Where the values are. */
  readonly from: tf.Tensor;
  /** Where they go; another tensor. */
  readonly to: tf.Tensor;
  /** First value read; 0 by default. */
  readonly fromFirst?: number;
  /** First value written; 0 by default. */
  readonly toFirst?: number;
  /** Number of values; all that `from` has after the first by default. */
  readonly count?: number;
}

/** What a recorded copy needs of the backend beyond its declarations. */
interface BackendInternals {
  commandEncoder: GPUCommandEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
}

/** Records copies; nothing waits. What `to` held elsewhere stays. */
export function copyValues(copies: readonly ValueCopy[]): void {
  if (copies.length === 0) return;
  const gpu = openGpu();
  const ends = copies.map(({ from, to }) => [bufferOf(gpu, from), bufferOf(gpu, to)] as const);
  const encoder = recordOn(gpu, copies.flatMap(({ from, to }) => [from, to]));
  copies.forEach(({ from, to, fromFirst = 0, toFirst = 0, count = from.size - fromFirst }, i) => {
    encoder.copyBufferToBuffer(ends[i][0], 4 * fromFirst, ends[i][1], 4 * toFirst, 4 * count);
    contentsChange(ends[i][1]);
    forgetHostCopy(gpu.backend, to);
  });
}

/** A tensor of zeros, which may be larger than the largest binding. */
export function clearedTensor(shape: readonly number[]): tf.Tensor {
  const gpu = openGpu();
  const info = gpu.backend.makeTensorInfo([...shape], "float32");
  const buffer = bufferOf(gpu, info);
  recordOn(gpu, [info]).clearBuffer(buffer);
  return tf.engine().makeTensorFromTensorInfo(info);
}

function openGpu(): OpenWebGpu {
  const gpu = currentWebGpu();
  if (!gpu) throw new Error("Copies between buffers need the WebGPU backend");
  return gpu;
}

function bufferOf({ backend, guard }: OpenWebGpu, tensor: tf.TensorInfo): GPUBuffer {
  guard.allowLarge(() => backend.uploadToGPU(tensor.dataId));
  return backend.tensorMap.get(tensor.dataId).resource as unknown as GPUBuffer;
}

/** The open command encoder outside of any pass, after which the tensors' buffers live until it is submitted. */
function recordOn({ backend }: OpenWebGpu, tensors: readonly tf.TensorInfo[]): GPUCommandEncoder {
  const internals = backend as unknown as BackendInternals;
  // Only now that every buffer is there: making one may submit, and what is submitted owns nothing any more.
  for (const { dataId } of tensors) internals.commandQueueOwnedIds.add(dataId);
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  if (!internals.commandEncoder) throw new Error("tfjs made no command encoder");
  return internals.commandEncoder;
}

/** tfjs would go on using values that it once read. */
function forgetHostCopy(backend: WebGPUBackend, { dataId }: tf.TensorInfo): void {
  backend.tensorMap.get(dataId).values = null as never;
}
