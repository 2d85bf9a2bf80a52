/** AdamW's update of one tensor (Loshchilov and Hutter 2019), in PyTorch's order of operations, in place. */
import { tf } from "../../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch, type Operand } from "../../gpu/kernel.ts";
import { type Storage, storageOf } from "../../gpu/operand.ts";
import { type Part, partOf, partsOf } from "../../gpu/parts.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { Control, controlSize } from "./step_control.ts";
import { bindings, component, declareQuads, loadQuads } from "../templates/wgsl.ts";

/** A run of values that share their rates. */
export interface AdamWSegment {
  /** How many values; a multiple of 4 but in the last segment. */
  readonly count: number;
  /** Learning rate of this step. */
  readonly learningRate: number;
  /** Decoupled weight decay. */
  readonly weightDecay: number;
}

/** Settings of one tensor in one step. */
export interface AdamWSettings {
  /** Rates of all the tensor's values, in order. */
  readonly segments: readonly AdamWSegment[];
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
 * @throws {RangeError} when the segments do not cover the parameter
 */
export function adamWUpdate(
  state: AdamWState,
  gradient: tf.Tensor,
  control: tf.Tensor,
  settings: AdamWSettings,
): void {
  const covered = settings.segments.reduce((sum, { count }) => sum + count, 0);
  if (covered !== gradient.size || state.parameter.size !== gradient.size) {
    throw new RangeError(
      `Segments of ${covered} values and a gradient of ${gradient.size} do not fit a parameter of ${state.parameter.size}`,
    );
  }
  chooseBody(bodies)(state, gradient, control, settings);
}

function composedBody(...[state, gradient, control, settings]: Parameters<Body>): void {
  const { segments, beta1, beta2, eps } = settings;
  /** A number where all values share it, else one per value. */
  const perValue = (rate: (segment: AdamWSegment) => number): tf.Tensor =>
    segments.length === 1
      ? tf.scalar(rate(segments[0]))
      : tf.reshape(tf.concat(segments.map((one) => tf.fill([one.count], rate(one)))), gradient.shape);
  const [parameter, expAvg, expAvgSq] = tf.tidy(() => {
    const decided = tf.unstack(control);
    const proceed = tf.cast(decided[Control.proceed], "bool");
    // A skipped step's gradient may be NaN, which no factor removes.
    const g = tf.where(proceed, tf.mul(gradient, decided[Control.gradientScale]), tf.zerosLike(gradient));
    const m = tf.add(tf.mul(state.expAvg, beta1), tf.mul(g, 1 - beta1));
    const v = tf.add(tf.mul(state.expAvgSq, beta2), tf.mul(tf.square(g), 1 - beta2));
    const denominator = tf.add(tf.div(tf.sqrt(v), decided[Control.correction2]), eps);
    const rate = tf.div(perValue(({ learningRate }) => learningRate), decided[Control.correction1]);
    const kept = tf.mul(state.parameter, perValue(decayFactor));
    return [
      tf.where(proceed, tf.sub(kept, tf.mul(tf.div(m, denominator), rate)), state.parameter),
      tf.where(proceed, m, state.expAvg),
      tf.where(proceed, v, state.expAvgSq),
    ];
  });
  state.parameter.assign(parameter);
  state.expAvg.assign(expAvg);
  state.expAvgSq.assign(expAvgSq);
  tf.dispose([parameter, expAvg, expAvgSq]);
}

/** What decoupled weight decay leaves of a parameter. */
function decayFactor({ learningRate, weightDecay }: AdamWSegment): number {
  return 1 - learningRate * weightDecay;
}

/** What the code of an update depends on. */
interface UpdateVariant {
  /** Where gradient, parameter and moments are read: on software adapters textures of them, else the buffers. */
  readonly storage: Storage;
  /** Four values at a time where the size allows, else one. */
  readonly wide: boolean;
  /** Number of segments. */
  readonly segments: number;
}

const threads = 64;

/** Traffic: 16 bytes read and 12 written per value; about 15 operations. Tensors are updated in parts. */
function kernelBody(...[state, gradient, control, settings]: Parameters<Body>): void {
  const tensors = [gradient, state.parameter, state.expAvg, state.expAvgSq];
  const wide = gradient.size % 4 === 0;
  for (const part of partsOf(gradient.size)) {
    const operands = tensors.map((tensor): Operand => partOf(tensor, part));
    const whole = operands.map(({ tensor }): Operand => ({ tensor, texture: false, ...part }));
    const variant: UpdateVariant = {
      storage: storageOf(operands[0]),
      wide,
      segments: settings.segments.length,
    };
    const textures = operands[0].texture;
    launch(updateSource(variant), {
      inputs: textures ? operands : operands.slice(0, 1),
      inPlace: whole.slice(1),
      uniform: packSettings(settings, part, wide ? 4 : 1),
      uniformTail: control,
      workgroups: coverThreads(part.count / (wide ? 4 : 1), threads),
    });
  }
}

/** Bytes of the uniform: five floats and the number of items, then for each segment its rates and where it ends. */
function packSettings({ segments, beta1, beta2, eps }: AdamWSettings, part: Part, item: number): ArrayBuffer {
  const bytes = new ArrayBuffer(32 + 16 * segments.length);
  const view = new DataView(bytes);
  [beta1, 1 - beta1, beta2, 1 - beta2, eps].forEach((value, i) => view.setFloat32(4 * i, value, true));
  view.setUint32(20, part.count / item, true);
  let end = -part.first;
  segments.forEach((segment, i) => {
    end += segment.count;
    view.setFloat32(32 + 16 * i, segment.learningRate, true);
    view.setFloat32(36 + 16 * i, decayFactor(segment), true);
    view.setUint32(40 + 16 * i, Math.max(0, end) / item, true);
  });
  return bytes;
}

/** A value of the control in the uniform. */
function controlled(name: keyof typeof Control): string {
  return `settings.control[${Math.floor(Control[name] / 4)}].${component(Control[name])}`;
}

const operandNames = ["gradient", "parameter", "exp_avg", "exp_avg_sq"];

function updateSource({ storage, wide, segments }: UpdateVariant): KernelSource {
  const item = wide ? "vec4f" : "f32";
  const textures = storage === "texture";
  const results = operandNames.slice(1).map((name) => `next_${name}`);
  /** Declares what is read from a texture, and the function that reads it. */
  const declared = (name: string) =>
    wide ? declareQuads(name, storage) : `var<storage, read> ${name}_quads: array<f32>;`;
  const read = (name: string, i: number) => {
    if (!textures && i > 0) return `fn ${name}(i: u32) -> ${item} { return next_${name}[i]; }`;
    return wide ? loadQuads(name, storage) : `fn ${name}(i: u32) -> f32 { return ${name}_quads[i]; }`;
  };
  return {
    name: `adamw_${storage}_${item}_${segments}`,
    code: () => `
struct Segment { lr: f32, decay: f32, end: u32, unused: u32 }
struct Settings {
  beta1: f32, rest1: f32, beta2: f32, rest2: f32, eps: f32, items: u32, unused: u32, unused2: u32,
  segments: array<Segment, ${segments}>,
  control: array<vec4f, ${controlSize / 4}>,
}
${
      bindings(
        ...operandNames.slice(0, textures ? 4 : 1).map(declared),
        ...results.map((name) => `var<storage, read_write> ${name}: array<${item}>;`),
        "var<uniform> settings: Settings;",
      )
    }
${operandNames.map(read).join("\n")}
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i >= settings.items || ${controlled("proceed")} == 0.0) { return; }
  var s = 0u;
${segments > 1 ? "  while (i >= settings.segments[s].end) { s++; }" : ""}
  let g = gradient(i) * ${controlled("gradientScale")};
  let m = exp_avg(i) * settings.beta1 + g * settings.rest1;
  let v = exp_avg_sq(i) * settings.beta2 + g * g * settings.rest2;
  next_exp_avg[i] = m;
  next_exp_avg_sq[i] = v;
  let denominator = sqrt(v) / ${controlled("correction2")} + settings.eps;
  let step = settings.segments[s].lr / ${controlled("correction1")} * (m / denominator);
  next_parameter[i] = parameter(i) * settings.segments[s].decay - step;
}`,
  };
}
