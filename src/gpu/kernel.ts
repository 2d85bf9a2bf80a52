/**
 * The launcher for our own WGSL. A kernel is recorded into the same command encoder as tfjs's own operations, so both
 * stay in order; it may have several outputs, and it may change variables in place.
 */
import { tf, type WebGPUBackend } from "../deps/tfjs.ts";
import { isHalf, markHalf } from "./half.ts";
import { markRoom, roomLike, roomOf } from "./room.ts";
import { contentsChange, copiedToTextures, type TextureSource } from "./textures.ts";
import { currentWebGpu, type OpenWebGpu } from "./runtime.ts";

/** One compute program. Its bindings are, in order: inputs, outputs, in-place variables, then the uniform if any. */
export interface KernelSource {
  /** Unique name of the generated code: equal names mean equal code. */
  readonly name: string;
  /** Generates the WGSL, with entry point `main` and all bindings in group 0; called once per device. */
  readonly code: () => string;
}

/**
 * A tensor, or part of one, as a kernel binds it. A storage texture holds four values per texel, in rows of
 * `texelsPerRow` texels whatever the tensor's shape: quad i is the texel (i % texelsPerRow, i / texelsPerRow), and quads
 * beyond the last read as 0. On CPU adapters such loads are several times cheaper than a buffer's; the copy costs one
 * pass over the data.
 */
export interface Operand {
  /** The tensor; as a texture, the number of values bound is a multiple of 4. */
  readonly tensor: tf.Tensor;
  /** Whether it is copied into a texture, and not bound as the buffer it is. */
  readonly texture: boolean;
  /** First value bound, a multiple of 64 (128 in half precision); 0 by default. */
  readonly first?: number;
  /** Number of values bound; all from the first by default. */
  readonly count?: number;
}

/** An output to make, of which more is to be said than its shape. */
export interface Output {
  /** Its shape. */
  readonly shape: readonly number[];
  /** Whether it is in half precision; single by default. */
  readonly half?: boolean;
  /** Values that its buffer has room for; as many as it holds by default. */
  readonly room?: number;
}

/** An output to make, or just its shape. */
export type OutputShape = readonly number[] | Output;

/** One run of a kernel. */
export interface Launch {
  /** What the kernel reads. */
  readonly inputs: readonly (tf.Tensor | Operand)[];
  /** Tensors to make. */
  readonly outputs?: readonly OutputShape[];
  /** Tensors, or parts of them, that the kernel reads and writes. */
  readonly inPlace?: readonly (tf.Tensor | Operand)[];
  /** Bytes of the uniform, a multiple of 16. */
  readonly uniform?: ArrayBuffer;
  /** Values from the device that follow in the uniform, a multiple of 4: on software adapters a buffer's are dear to read. */
  readonly uniformTail?: tf.Tensor;
  /** Workgroups in x, y and z. */
  readonly workgroups: readonly [number, number?, number?];
}

/** What the launcher needs of the backend beyond its declarations. */
interface BackendInternals {
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
  dispatchCountInPass: number;
  uniformPendingDisposal: GPUBuffer[];
}

const pipelines = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

function pipelineFor(device: GPUDevice, source: KernelSource): GPUComputePipeline {
  let known = pipelines.get(device);
  if (!known) pipelines.set(device, known = new Map());
  let pipeline = known.get(source.name);
  if (!pipeline) {
    pipeline = device.createComputePipeline({
      label: source.name,
      layout: "auto",
      compute: {
        module: device.createShaderModule({ label: source.name, code: withExtensions(source.code()) }),
        entryPoint: "main",
      },
    });
    known.set(source.name, pipeline);
  }
  return pipeline;
}

/** Half precision must be enabled at the top of the code that uses it. */
function withExtensions(code: string): string {
  return /\bf16\b/.test(code) ? `enable f16;\n${code}` : code;
}

/** Whether kernels can run: tensors live on a WebGPU device that this process opened. */
export function kernelsAvailable(): boolean {
  return currentWebGpu() !== null && tf.getBackend() === "webgpu";
}

/**
 * Records one run of a kernel and returns its outputs. Nothing waits.
 * @throws {DeviceError} when an output exceeds the device's limits, or the device has failed.
 */
export function launch(source: KernelSource, run: Launch): tf.Tensor[] {
  const gpu = currentWebGpu();
  if (!gpu) throw new Error(`The kernel ${source.name} needs the WebGPU backend`);
  const { backend, device } = gpu;
  const internals = backend as unknown as BackendInternals;
  const outputs = (run.outputs ?? []).map((shape) => makeOutput(backend, shape));
  const bindings: (tf.TensorInfo | Operand)[] = [...run.inputs, ...outputs, ...(run.inPlace ?? [])];
  const tensors = bindings.map((binding) => "tensor" in binding ? binding.tensor : binding);
  const buffers = bindings.map((binding) => bufferOf(gpu, binding));
  const tail = run.uniformTail ? tailOf(backend, run.uniformTail) : null;
  const uniform = run.uniform ? makeUniform(backend, run.uniform, tail?.size) : null;
  for (const binding of run.inPlace ?? []) {
    const { dataId } = "tensor" in binding ? binding.tensor : binding;
    backend.tensorMap.get(dataId).values = null as never; // tfjs would go on using a copy on the host
  }

  // Only now: making a buffer may submit, and what is submitted owns nothing any more.
  for (const tensor of tensors) internals.commandQueueOwnedIds.add(tensor.dataId);
  if (run.uniformTail) internals.commandQueueOwnedIds.add(run.uniformTail.dataId);
  const pipeline = pipelineFor(device, source);
  backend.ensureCommandEncoderReady();
  const resources = bindAll(gpu, bindings, buffers);
  if (uniform) resources.push({ buffer: uniform });
  if (uniform && tail) {
    backend.endComputePassEncoder();
    const offset = run.uniform?.byteLength ?? 0;
    commandEncoder(internals).copyBufferToBuffer(tail, 0, uniform, offset, tail.size);
  }
  const entries = resources.map((resource, binding) => ({ binding, resource }));
  internals.computePassEncoder ??= commandEncoder(internals).beginComputePass();
  const pass = internals.computePassEncoder;
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(run.workgroups[0], run.workgroups[1] ?? 1, run.workgroups[2] ?? 1);
  for (const buffer of buffers.slice(run.inputs.length + outputs.length)) contentsChange(buffer); // those in place
  internals.dispatchCountInPass++;
  if (internals.dispatchCountInPass >= tf.env().getNumber("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE")) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
  return outputs.map((info) => tf.engine().makeTensorFromTensorInfo(info));
}

function commandEncoder(internals: BackendInternals): GPUCommandEncoder {
  if (!internals.commandEncoder) throw new Error("tfjs made no command encoder");
  return internals.commandEncoder;
}

/** The buffer of what is bound. Only one that is bound in parts, or copied into a texture, may be larger than a binding. */
function bufferOf({ backend, guard }: OpenWebGpu, binding: tf.TensorInfo | Operand): GPUBuffer {
  const { dataId } = "tensor" in binding ? binding.tensor : binding;
  const upload = () => backend.uploadToGPU(dataId);
  const inParts = "tensor" in binding && (binding.texture || binding.count !== undefined);
  if (inParts) guard.allowLarge(upload);
  else upload();
  const buffer = backend.tensorMap.get(dataId).resource as unknown as GPUBuffer;
  if (!inParts) guard.checkBinding(buffer.size);
  return buffer;
}

/**
 * Makes a tensor for a kernel to fill, in place. It may be larger than a binding, and is then bound in parts.
 * @throws {DeviceError} when it exceeds the device's largest buffer, or the device has failed.
 */
export function allocateOutput(shape: OutputShape): tf.Tensor {
  const gpu = currentWebGpu();
  if (!gpu) throw new Error("Outputs of kernels need the WebGPU backend");
  const info = makeOutput(gpu.backend, shape);
  gpu.guard.allowLarge(() => gpu.backend.uploadToGPU(info.dataId));
  return tf.engine().makeTensorFromTensorInfo(info);
}

/** An output with as many rows as another tensor holds and has room for. */
export function outputLike(tensor: tf.Tensor, shape: readonly number[], half = false): Output {
  return { shape, half, room: roomLike(tensor, tf.util.sizeFromShape([...shape])) };
}

/** Makes a tensor; its buffer comes with its first use. A half-precision one has two bytes per value. */
function makeOutput(backend: WebGPUBackend, output: OutputShape): tf.TensorInfo {
  const { shape, half = false, room }: Output = "shape" in output ? output : { shape: output };
  const info = backend.makeTensorInfo([...shape], "float32");
  const size = tf.util.sizeFromShape([...shape]);
  const values = room ?? size;
  if (half || values !== size) {
    // The buffer's size comes from this shape; the tensor keeps the true one.
    const entry = backend.tensorMap.get(info.dataId) as { shape: number[] };
    entry.shape = [half ? Math.ceil(values / 2) : values];
  }
  if (half) markHalf(info);
  if (values !== size) markRoom(info, values);
  return info;
}

/** What to bind, in order. The copies into textures that it takes are recorded before the kernel. */
function bindAll(
  gpu: OpenWebGpu,
  bindings: readonly (tf.TensorInfo | Operand)[],
  buffers: readonly GPUBuffer[],
): GPUBindingResource[] {
  const sources: TextureSource[] = [];
  const takers: number[] = [];
  const resources: GPUBindingResource[] = bindings.map((binding, i) => {
    const buffer = buffers[i];
    if (!("tensor" in binding)) return { buffer };
    const { tensor, texture, first = 0 } = binding;
    const bytesPerValue = isHalf(tensor) ? 2 : 4;
    const count = binding.count ?? tensor.size - first;
    const room = binding.count === undefined ? roomOf(tensor) - first : count;
    const offset = first * bytesPerValue;
    if (!texture) return { buffer, offset, size: Math.ceil(count * bytesPerValue / 4) * 4 };
    sources.push({ buffer, offset, count, room, bytesPerValue });
    takers.push(i);
    return { buffer }; // takes the place of the texture until all are known
  });
  if (sources.length === 0) return resources;
  const views = copiedToTextures(gpu.device, sources, () => {
    gpu.backend.endComputePassEncoder();
    return commandEncoder(gpu.backend as unknown as BackendInternals);
  });
  for (const [k, i] of takers.entries()) resources[i] = views[k];
  return resources;
}

/** The buffer of values that go to the end of a uniform. */
function tailOf(backend: WebGPUBackend, { dataId }: tf.Tensor): GPUBuffer {
  backend.uploadToGPU(dataId);
  return backend.tensorMap.get(dataId).resource as unknown as GPUBuffer;
}

function makeUniform(backend: WebGPUBackend, bytes: ArrayBuffer, tailBytes = 0): GPUBuffer {
  const buffer = backend.bufferManager.acquireBuffer(
    bytes.byteLength + tailBytes,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  ) as unknown as GPUBuffer;
  (backend.queue as unknown as GPUQueue).writeBuffer(buffer, 0, bytes);
  (backend as unknown as BackendInternals).uniformPendingDisposal.push(buffer);
  return buffer;
}

/** Workgroups that cover `threads` in a row, split over two dimensions where one is too short (65,535 at most). */
export function coverThreads(threads: number, perWorkgroup: number): [number, number] {
  const groups = Math.ceil(threads / perWorkgroup);
  const limit = 65535;
  return groups <= limit ? [Math.max(1, groups), 1] : [limit, Math.ceil(groups / limit)];
}
