/**
 * The unit everything is made of: a differentiable function on tensors with a composed body (a few tfjs operations,
 * which is the definition) and, where it pays, a kernel body (our own WGSL). This file decides which body runs.
 */
import { tf } from "../deps/tfjs.ts";
import { kernelsAvailable } from "../gpu/kernel.ts";
import { currentWebGpu } from "../gpu/runtime.ts";

/** The two ways of computing an operation. */
export type BodyName = "composed" | "kernel";

/** An operation's bodies: equal signatures, equal values. */
export interface Bodies<Body> {
  /** Name of the operation, in errors and tests. */
  readonly name: string;
  /** The definition, in operations of tfjs. */
  readonly composed: Body;
  /** The same in our own WGSL. */
  readonly kernel?: Body;
}

let forced: BodyName | null = null;

/** Operations whose kernels a device gets wrong, by their names. */
const switchedOff = new WeakMap<GPUDevice, Set<string>>();

/** From now on the operation of that name is composed on the open device. */
export function switchOffKernel(name: string): void {
  const device = currentWebGpu()?.device;
  if (device) switchedOff.set(device, new Set([...switchedOff.get(device) ?? [], name]));
}

/** Lets the open device run every kernel again. */
export function switchOnKernels(): void {
  const device = currentWebGpu()?.device;
  if (device) switchedOff.delete(device);
}

/** Names of the operations whose kernels are switched off on the open device. */
export function switchedOffKernels(): string[] {
  const device = currentWebGpu()?.device;
  return [...device && switchedOff.get(device) || []];
}

/**
 * The body to run now: the kernel where there is one, the device can run it and it is not switched off, else the composed
 * one. `withBody` has the last word.
 */
export function chooseBody<Body>({ name, composed, kernel }: Bodies<Body>): Body {
  if (kernel === undefined || forced === "composed" || !kernelsAvailable()) return composed;
  const device = currentWebGpu()?.device;
  const off = forced !== "kernel" && device && switchedOff.get(device)?.has(name);
  return off ? composed : kernel;
}

/** Whether the kernel body would run now. */
export function usesKernel<Body>(bodies: Bodies<Body>): boolean {
  return chooseBody(bodies) !== bodies.composed;
}

/** Runs `work` with one body for every operation that has it: how tests and benchmarks compare the two. */
export function withBody<Result>(body: BodyName, work: () => Result): Result {
  const before = forced;
  forced = body;
  try {
    return work();
  } finally {
    forced = before;
  }
}

/** A forward result and how to go back from it. */
export interface Differentiable {
  /** The result. */
  readonly value: tf.Tensor;
  /** Tensors to keep for the way back. */
  readonly saved: readonly tf.Tensor[];
  /** One gradient per input, from the gradient of the value and the saved tensors. */
  readonly gradients: (upstream: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[];
}

/** Whether what runs now is recorded for a way back. */
export function recordsGradients(): boolean {
  const { gradientDepth, kernelDepth } = tf.engine().state;
  return gradientDepth > 0 && kernelDepth === 0;
}

/**
 * Puts an operation on the gradient tape. Tensors that `forward` only captures get no gradient; what `gradients` needs
 * must be in `saved`, because tfjs frees everything else that the forward pass made.
 */
export function differentiable<Output extends tf.Tensor = tf.Tensor>(
  inputs: readonly tf.Tensor[],
  forward: () => Differentiable,
): Output {
  const onTape = (...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const { value, saved, gradients } = forward();
    save([...saved]);
    const gradFunc = (upstream: tf.Tensor, kept: tf.Tensor[]) => {
      const results = tf.tidy(() => gradients(upstream, kept));
      tf.dispose(kept); // tfjs would keep them until the whole way back is done
      return results;
    };
    return { value, gradFunc };
  };
  return tf.customGrad(onTape as Parameters<typeof tf.customGrad>[0])(...inputs) as Output;
}

/**
 * Runs `forward` without keeping what it makes; the way back runs it again (Chen et al. 2016). Costs one more forward pass
 * and saves everything inside.
 * @param x the input that gets a gradient, besides the variables
 * @param variables what else gets a gradient; `forward` reads them itself
 */
export function rematerialized(
  x: tf.Tensor,
  variables: readonly tf.Tensor[],
  forward: (x: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  return differentiable([x, ...variables], () => ({
    value: forward(x),
    saved: [x],
    gradients: (upstream, [x]) => gradientsInside([x, ...variables], () => forward(x), upstream),
  }));
}

/** Gradients within a way back. tfjs keeps one tape, which the inner gradients would clear: it is put aside. */
function gradientsInside(inputs: tf.Tensor[], forward: () => tf.Tensor, upstream: tf.Tensor): tf.Tensor[] {
  const { state } = tf.engine();
  const tape = state.activeTape;
  try {
    const { value, grads } = tf.engine().gradients(forward, inputs, upstream);
    value.dispose();
    return grads;
  } finally {
    state.activeTape = tape;
  }
}

/** The same values under another shape, outside the tape: for use inside a body. */
export function asMatrix(x: tf.Tensor): tf.Tensor2D {
  const columns = x.shape[x.shape.length - 1];
  return tf.reshape(x, [x.size / columns, columns]);
}
