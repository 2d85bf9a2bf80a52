/** LARS's update of one tensor (You et al. 2017), in the order of operations of the official linear probe, in place. */
import { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch } from "../../gpu/kernel.ts";
import { clearedTensor, copyValues } from "../../gpu/copies.ts";
import { launchInPlace } from "../templates/in_place_kernel.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { Control, controlSize } from "./step_control.ts";
import { partialSumsOfSquares } from "./sum_of_squares.ts";
import { component } from "../templates/wgsl.ts";

/** Settings of one tensor in one step. */
export interface LarsSettings {
  /** Learning rate of this step. */
  readonly learningRate: number;
  /** What of the momentum stays. */
  readonly momentum: number;
  /** Weight decay, added to the gradient; only where the rate adapts. */
  readonly weightDecay: number;
  /** Trust coefficient; null where the rate does not adapt. */
  readonly trust: number | null;
}

/** A parameter with its momentum. */
export interface LarsState {
  /** The parameter. */
  readonly parameter: tf.Variable;
  /** Momentum, of the same shape. */
  readonly momentum: tf.Variable;
}

type Body = (state: LarsState, gradient: tf.Tensor, control: tf.Tensor, settings: LarsSettings) => void;

const bodies: Bodies<Body> = { name: "lars", composed: composedBody, kernel: kernelBody };

/**
 * Updates a parameter and its momentum, unless the control says that this step is skipped: the gradient plus decay is
 * multiplied with trust · ‖parameter‖ / ‖gradient plus decay‖ (1 where either norm is 0), added to the momentum, and the
 * momentum times the learning rate is taken off. Nothing is read back.
 * @param gradient same shape as the parameter, summed over micro-batches; the control scales it
 * @param control what `decideStep` wrote
 * @throws {RangeError} when the sizes differ
 */
export function larsUpdate(
  state: LarsState,
  gradient: tf.Tensor,
  control: tf.Tensor,
  settings: LarsSettings,
): void {
  if (gradient.size !== state.parameter.size) {
    throw new RangeError(
      `A gradient of ${gradient.size} values does not fit a parameter of ${state.parameter.size}`,
    );
  }
  chooseBody(bodies)(state, gradient, control, settings);
}

function composedBody(...[state, gradient, control, settings]: Parameters<Body>): void {
  const { learningRate, trust, weightDecay } = settings;
  const [parameter, momentum] = tf.tidy(() => {
    const decided = tf.unstack(control);
    const proceed = tf.cast(decided[Control.proceed], "bool");
    const scaled = tf.where(
      proceed,
      tf.mul(gradient, decided[Control.gradientScale]),
      tf.zerosLike(gradient),
    );
    const decayed = trust === null ? scaled : tf.add(scaled, tf.mul(state.parameter, weightDecay));
    const ratio = trust === null ? tf.scalar(1) : composedRatio(state.parameter, decayed, trust);
    const momentum = tf.add(tf.mul(state.momentum, settings.momentum), tf.mul(decayed, ratio));
    return [
      tf.where(proceed, tf.sub(state.parameter, tf.mul(momentum, learningRate)), state.parameter),
      tf.where(proceed, momentum, state.momentum),
    ];
  });
  state.parameter.assign(parameter);
  state.momentum.assign(momentum);
  tf.dispose([parameter, momentum]);
}

function composedRatio(parameter: tf.Tensor, update: tf.Tensor, trust: number): tf.Tensor {
  const [ofParameter, ofUpdate] = [parameter, update].map((x) => tf.sqrt(tf.sum(tf.square(x))));
  const adapts = tf.logicalAnd(tf.greater(ofParameter, 0), tf.greater(ofUpdate, 0));
  const safe = tf.where(adapts, ofUpdate, tf.onesLike(ofUpdate));
  return tf.where(adapts, tf.div(tf.mul(ofParameter, trust), safe), tf.onesLike(ofUpdate));
}

/** A value of the control in the uniform. */
function controlled(name: keyof typeof Control): string {
  return `settings.tail[${Math.floor(Control[name] / 4)}].${component(Control[name])}`;
}

/**
 * A copy of the gradient and four launches: gradient plus decay (8 bytes read and 4 written per value), both norms (8
 * read), the ratio, and the update (12 read, 8 written); about 10 operations per value. Without adaptation there are no
 * norms.
 */
function kernelBody(...[{ parameter, momentum }, gradient, control, settings]: Parameters<Body>): void {
  const { learningRate, trust } = settings;
  const update = clearedTensor(gradient.shape);
  copyValues([{ from: gradient, to: update }]);
  launchInPlace({
    name: "lars_decay",
    reads: { parameter },
    changes: { update },
    numbers: { decay: trust === null ? 0 : settings.weightDecay },
    tail: control,
    code: `  if (${controlled("proceed")} == 0.0) { return; }
  next_update[i] = update(i) * ${controlled("gradientScale")} + parameter(i) * settings.decay;`,
  });
  const ratio = ratioOf(parameter, update, control, trust);
  launchInPlace({
    name: "lars_update",
    reads: { update },
    changes: { parameter, momentum },
    numbers: { momentum: settings.momentum, lr: learningRate },
    tail: ratio,
    code: `  if (settings.tail[0].y == 0.0) { return; }
  let m = momentum(i) * settings.momentum + update(i) * settings.tail[0].x;
  next_momentum[i] = m;
  next_parameter[i] = parameter(i) - m * settings.lr;`,
  });
  tf.dispose([ratio, update]);
}

/** What the gradient is multiplied with, and whether the step goes on: [4]. */
function ratioOf(
  parameter: tf.Tensor,
  update: tf.Tensor,
  control: tf.Tensor,
  trust: number | null,
): tf.Tensor {
  const squares = trust === null
    ? [control, control]
    : [parameter, update].map((x) => partialSumsOfSquares([x]));
  const [ratio] = launch(ratioSource, {
    inputs: [squares[0], squares[1], control],
    outputs: [[4]],
    uniform: new Float32Array([trust ?? 0, trust === null ? 0 : 1, 0, 0]).buffer,
    workgroups: [1],
  });
  if (trust !== null) tf.dispose(squares);
  return ratio;
}

const ratioSource: KernelSource = {
  name: "lars_ratio",
  code: () => `
@group(0) @binding(0) var<storage, read> parameter_squares: array<f32>;
@group(0) @binding(1) var<storage, read> update_squares: array<f32>;
@group(0) @binding(2) var<storage, read> control: array<f32, ${controlSize}>;
@group(0) @binding(3) var<storage, read_write> ratio: array<f32>;
@group(0) @binding(4) var<uniform> settings: vec4f; // trust coefficient, whether the rate adapts

@compute @workgroup_size(1)
fn main() {
  var of_parameter = 0.0;
  for (var i = 0u; i < arrayLength(&parameter_squares); i++) { of_parameter += parameter_squares[i]; }
  var of_update = 0.0;
  for (var i = 0u; i < arrayLength(&update_squares); i++) { of_update += update_squares[i]; }
  ratio[0] = 1.0;
  if (settings.y != 0.0 && of_parameter > 0.0 && of_update > 0.0) {
    ratio[0] = settings.x * sqrt(of_parameter) / sqrt(of_update);
  }
  ratio[1] = control[${Control.proceed}];
  ratio[2] = 0.0;
  ratio[3] = 0.0;
}`,
};
