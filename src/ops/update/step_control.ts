/**
 * What an optimizer step must decide on the device, so that nothing is read back: whether loss and gradients are finite,
 * how far gradients are scaled down, and the bias corrections of Adam. It lives in one small tensor, the control.
 */
import { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch } from "../../gpu/kernel.ts";
import { type Bodies, chooseBody } from "../operation.ts";

/** Places in the control tensor. */
export const Control = {
  /** Steps that changed the weights. */
  updates: 0,
  /** Steps skipped because loss or gradient norm was not finite. */
  skipped: 1,
  /** Steps skipped since the last good one. */
  skippedInRow: 2,
  /** Sum of the losses of good steps since the last log. */
  lossSum: 3,
  /** Sum of their gradient norms, before clipping. */
  normSum: 4,
  /** Number of them. */
  counted: 5,
  /** What to multiply the summed gradients with in this step. */
  gradientScale: 6,
  /** 1 when this step changes the weights, else 0. */
  proceed: 7,
  /** 1 − beta1^updates */
  correction1: 8,
  /** √(1 − beta2^updates) */
  correction2: 9,
} as const;

/** Values in the control tensor. */
export const controlSize = 12;

/** Settings of a step that the host knows. */
export interface StepSettings {
  /** Micro-batches that were added up. */
  readonly accumulate: number;
  /** Largest global gradient norm; 0 for no clipping. */
  readonly clipNorm: number;
  /** Decay rate of the first moment. */
  readonly beta1: number;
  /** Decay rate of the second moment. */
  readonly beta2: number;
}

type Body = (control: tf.Variable, lossSum: tf.Tensor, squares: tf.Tensor, settings: StepSettings) => void;

const bodies: Bodies<Body> = { name: "stepControl", composed: composedBody, kernel: kernelBody };

/**
 * Decides on a step and writes the decision into `control`.
 * @param lossSum scalar: the losses of the step's micro-batches, summed
 * @param squares partial sums of the squares of all summed gradients
 */
export function decideStep(
  control: tf.Variable,
  lossSum: tf.Tensor,
  squares: tf.Tensor,
  settings: StepSettings,
): void {
  chooseBody(bodies)(control, lossSum, squares, settings);
}

function composedBody(...[control, lossSum, squares, settings]: Parameters<Body>): void {
  const { accumulate, clipNorm, beta1, beta2 } = settings;
  const next = tf.tidy(() => {
    const before = tf.unstack(control);
    const norm = tf.div(tf.sqrt(tf.sum(squares)), accumulate);
    const loss = tf.div(tf.reshape(lossSum, []), accumulate);
    const largest = 3.4e38; // comparisons with NaN are false, and infinity is larger
    const finite = tf.logicalAnd(tf.lessEqual(tf.abs(loss), largest), tf.lessEqual(norm, largest));
    const proceed = tf.cast(finite, "float32");
    const updates = tf.add(before[Control.updates], proceed);
    const clip = clipNorm > 0 ? tf.minimum(1, tf.div(clipNorm, tf.add(norm, 1e-6))) : tf.scalar(1);
    const zero = tf.scalar(0);
    const correction = (beta: number) => tf.sub(1, tf.exp(tf.mul(updates, Math.log(beta))));
    return tf.stack([
      updates,
      tf.add(before[Control.skipped], tf.sub(1, proceed)),
      tf.mul(tf.add(before[Control.skippedInRow], 1), tf.sub(1, proceed)),
      tf.add(before[Control.lossSum], tf.where(finite, loss, zero)),
      tf.add(before[Control.normSum], tf.where(finite, norm, zero)),
      tf.add(before[Control.counted], proceed),
      tf.where(finite, tf.div(clip, accumulate), zero),
      proceed,
      correction(beta1),
      tf.sqrt(correction(beta2)),
      zero,
      zero,
    ]);
  });
  control.assign(next as tf.Tensor);
  next.dispose();
}

/** One workgroup. Finiteness is read from the bits, which no compiler assumes away. */
function kernelBody(...[control, lossSum, squares, settings]: Parameters<Body>): void {
  const { accumulate, clipNorm, beta1, beta2 } = settings;
  const uniform = new Float32Array([accumulate, clipNorm, Math.log(beta1), Math.log(beta2)]);
  launch(controlSource, {
    inputs: [lossSum, squares],
    inPlace: [control],
    uniform: uniform.buffer,
    workgroups: [1],
  });
}

const controlSource: KernelSource = {
  name: "step_control",
  code: () => `
struct Settings { accumulate: f32, clip_norm: f32, log_beta1: f32, log_beta2: f32 }
@group(0) @binding(0) var<storage, read> loss_sum: array<f32>;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> control: array<f32>;
@group(0) @binding(3) var<uniform> settings: Settings;

fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }

var<workgroup> shares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var share = 0.0;
  for (var i = thread; i < arrayLength(&squares); i += 64u) { share += squares[i]; }
  shares[thread] = share;
  workgroupBarrier();
  if (thread != 0u) { return; }
  var total = 0.0;
  for (var i = 0u; i < 64u; i++) { total += shares[i]; }
  let norm = sqrt(total) / settings.accumulate;
  let loss = loss_sum[0] / settings.accumulate;
  if (is_finite(loss) && is_finite(total)) {
    control[${Control.updates}] += 1.0;
    control[${Control.skippedInRow}] = 0.0;
    control[${Control.lossSum}] += loss;
    control[${Control.normSum}] += norm;
    control[${Control.counted}] += 1.0;
    var clip = 1.0;
    if (settings.clip_norm > 0.0) { clip = min(1.0, settings.clip_norm / (norm + 1e-6)); }
    control[${Control.gradientScale}] = clip / settings.accumulate;
    control[${Control.proceed}] = 1.0;
  } else {
    control[${Control.skipped}] += 1.0;
    control[${Control.skippedInRow}] += 1.0;
    control[${Control.gradientScale}] = 0.0;
    control[${Control.proceed}] = 0.0;
  }
  control[${Control.correction1}] = 1.0 - exp(control[${Control.updates}] * settings.log_beta1);
  control[${Control.correction2}] = sqrt(1.0 - exp(control[${Control.updates}] * settings.log_beta2));
}`,
};
