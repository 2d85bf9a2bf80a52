/** One parameter's AdamW update (Loshchilov and Hutter 2019), in PyTorch's order of operations, in place. */
import { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { type Bodies, chooseBody } from "./operation.ts";
import { Control } from "./step_control.ts";

/** Settings of one parameter in one step. */
export interface AdamWSettings {
  /** Learning rate of this step. */
  readonly learningRate: number;
  /** Decoupled weight decay. */
  readonly weightDecay: number;
  /** Decay rate of the first moment. */
  readonly beta1: number;
  /** Decay rate of the second moment. */
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly eps: number;
}

/** A parameter with its first and second moment. */
export interface AdamWState {
  /** The parameter. */
  readonly parameter: tf.Variable;
  /** First moment, of the same shape. */
  readonly expAvg: tf.Variable;
  /** Second moment, of the same shape. */
  readonly expAvgSq: tf.Variable;
}

type Body = (state: AdamWState, gradient: tf.Tensor, control: tf.Tensor, settings: AdamWSettings) => void;

const bodies: Bodies<Body> = { name: "adamW", composed: composedBody, kernel: kernelBody };

/**
 * Updates a parameter and its moments, unless the control says that this step is skipped.
 * @param gradient same shape as the parameter, summed over micro-batches; the control scales it
 * @param control what `decideStep` wrote
 */
export function adamWUpdate(
  state: AdamWState,
  gradient: tf.Tensor,
  control: tf.Tensor,
  settings: AdamWSettings,
): void {
  chooseBody(bodies)(state, gradient, control, settings);
}

function composedBody(...[state, gradient, control, settings]: Parameters<Body>): void {
  const { learningRate, weightDecay, beta1, beta2, eps } = settings;
  const [parameter, expAvg, expAvgSq] = tf.tidy(() => {
    const decided = tf.unstack(control);
    const proceed = tf.cast(decided[Control.proceed], "bool");
    // A skipped step's gradient may be NaN, which no factor removes.
    const g = tf.where(proceed, tf.mul(gradient, decided[Control.gradientScale]), tf.zerosLike(gradient));
    const m = tf.add(tf.mul(state.expAvg, beta1), tf.mul(g, 1 - beta1));
    const v = tf.add(tf.mul(state.expAvgSq, beta2), tf.mul(tf.square(g), 1 - beta2));
    const denominator = tf.add(tf.div(tf.sqrt(v), decided[Control.correction2]), eps);
    const step = tf.mul(tf.div(m, denominator), tf.div(learningRate, decided[Control.correction1]));
    const next = tf.sub(tf.mul(state.parameter, 1 - learningRate * weightDecay), step);
    return [
      tf.where(proceed, next, state.parameter),
      tf.where(proceed, m, state.expAvg),
      tf.where(proceed, v, state.expAvgSq),
    ];
  });
  state.parameter.assign(parameter);
  state.expAvg.assign(expAvg);
  state.expAvgSq.assign(expAvgSq);
  tf.dispose([parameter, expAvg, expAvgSq]);
}

/** Traffic: 16 bytes read and 12 written per value; about 15 operations. */
function kernelBody(...[state, gradient, control, settings]: Parameters<Body>): void {
  const { learningRate, weightDecay, beta1, beta2, eps } = settings;
  const decay = 1 - learningRate * weightDecay;
  const uniform = new Float32Array([learningRate, decay, beta1, 1 - beta1, beta2, 1 - beta2, eps, 0]);
  const lanes = gradient.size % 4 === 0 ? 4 : 1;
  const items = gradient.size / lanes;
  const [x, y] = coverThreads(items, 64);
  launch(updateSource(lanes, items, x * 64), {
    inputs: [gradient, control],
    inPlace: [state.parameter, state.expAvg, state.expAvgSq],
    uniform: uniform.buffer,
    workgroups: [x, y],
  });
}

/** Four values at a time where the size allows. */
function updateSource(lanes: 1 | 4, items: number, rowThreads: number): KernelSource {
  const item = lanes === 4 ? "vec4f" : "f32";
  return {
    name: `adamw_${lanes}_${items}_${rowThreads}`,
    code: () => `
struct Settings { lr: f32, decay: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, eps: f32, unused: f32 }
@group(0) @binding(0) var<storage, read> gradient: array<${item}>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameter: array<${item}>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<${item}>;
@group(0) @binding(4) var<storage, read_write> exp_avg_sq: array<${item}>;
@group(0) @binding(5) var<uniform> settings: Settings;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * ${rowThreads}u;
  if (i >= ${items}u || control[${Control.proceed}] == 0.0) { return; }
  let g = gradient[i] * control[${Control.gradientScale}];
  let m = exp_avg[i] * settings.beta1 + g * settings.rest1;
  let v = exp_avg_sq[i] * settings.beta2 + g * g * settings.rest2;
  exp_avg[i] = m;
  exp_avg_sq[i] = v;
  let denominator = sqrt(v) / control[${Control.correction2}] + settings.eps;
  parameter[i] = parameter[i] * settings.decay - settings.lr / control[${Control.correction1}] * (m / denominator);
}`,
  };
}
