/** AdamW over a model's parameters: moments, accumulation over micro-batches, clipping, and skipping bad steps. */
import { tf } from "../deps/tfjs.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { loadParameters, type Parameters, readParameters, type State } from "../nn/parameters.ts";
import { clearedTensor } from "../gpu/copies.ts";
import { kernelsAvailable } from "../gpu/kernel.ts";
import { accumulate } from "../ops/update/accumulate.ts";
import { type AdamWSegment, type AdamWState, adamWUpdate } from "../ops/update/adamw.ts";
import { type PackLayout, packLayout, packValues } from "../ops/update/pack.ts";
import { partialSumsOfSquares } from "../ops/update/sum_of_squares.ts";
import { controlSize, decideStep } from "../ops/update/step_control.ts";
import type { ParameterGroup } from "./groups.ts";
import { PackedVariables } from "./packed.ts";

/** Settings of the optimizer; the learning rate is given per step. */
export interface AdamWOptions {
  /** Decay rates of the first and second moment; [0.9, 0.95] by default. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 by default. */
  readonly eps?: number;
  /** Largest global gradient norm; null (default) for no clipping. */
  readonly clipNorm?: number | null;
}

/** Parameters below this many values are updated together. */
const smallSize = 2 ** 16;

/** Most values updated together; parameters beyond are updated one by one. */
const packedSize = 2 ** 24;

/** A parameter that is updated on its own. */
interface LargeParameter extends AdamWState {
  readonly name: string;
  readonly group: ParameterGroup;
}

/** The parameters that are updated together, group by group, with what they share. */
interface SmallParameters {
  readonly names: readonly string[];
  readonly layout: PackLayout;
  /** The groups in order, and how many packed values each has. */
  readonly segments: readonly { readonly group: ParameterGroup; readonly count: number }[];
  readonly parameter: PackedVariables;
  readonly expAvg: PackedVariables;
  readonly expAvgSq: PackedVariables;
}

/**
 * AdamW (Loshchilov and Hutter 2019). Nothing is read back in a step: see `src/ops/update/step_control.ts`. Of a model's hundreds
 * of parameters most are small: those are packed side by side, so that a step launches two kernels for all of them.
 */
export class AdamW {
  /** Counters and the decision of the last step; its places are named by `Control`. */
  readonly control: tf.Variable;
  readonly #moments: Parameters = new Map();
  readonly #small: SmallParameters;
  readonly #large: readonly LargeParameter[];
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #clipNorm: number;
  /** Sums of the gradients: of the small parameters together, then of each large one. */
  #sums: tf.Tensor[] = [];
  #lossSum: tf.Tensor | null = null;
  #accumulated = 0;

  /**
   * Starts with moments of zero.
   * @param parameters trainable parameters by name
   * @param groups every name in exactly one group
   * @throws {Error} when a name is missing from the groups or in two of them
   */
  constructor(
    parameters: ReadonlyMap<string, tf.Variable>,
    groups: readonly ParameterGroup[],
    options: AdamWOptions = {},
  ) {
    const grouped = groups.flatMap((group) => group.names).sort();
    if (grouped.join() !== [...parameters.keys()].sort().join()) {
      throw new Error("Every trainable parameter must be in exactly one group");
    }
    this.#betas = options.betas ?? [0.9, 0.95];
    this.#eps = options.eps ?? 1e-8;
    this.#clipNorm = options.clipNorm ?? 0;
    for (const prefix of ["exp_avg", "exp_avg_sq"]) {
      for (const [name, variable] of parameters) {
        this.#moments.set(`${prefix}.${name}`, zeroVariable(variable.shape));
      }
    }
    this.control = zeroVariable([controlSize]);
    const small = smallNames(parameters, groups);
    this.#large = groups.flatMap((group) =>
      group.names.filter((name) => !small.has(name)).map((name) => ({
        name,
        group,
        parameter: known(parameters, name),
        expAvg: known(this.#moments, `exp_avg.${name}`),
        expAvgSq: known(this.#moments, `exp_avg_sq.${name}`),
      }))
    );
    this.#small = packTogether(parameters, this.#moments, groups, small);
  }

  /** Adds one micro-batch's loss and gradients, and takes them over: the caller no longer disposes them. */
  accumulate(loss: tf.Tensor, gradients: ReadonlyMap<string, tf.Tensor>): void {
    const gradientOf = (name: string) => {
      const gradient = gradients.get(name);
      if (!gradient) throw new Error(`No gradient was given for ${name}`);
      return gradient;
    };
    const { names, layout } = this.#small;
    const small = names.map(gradientOf);
    const large = this.#large.map(({ name }) => gradientOf(name));
    const terms = [...(names.length > 0 ? [packValues(small, layout)] : []), ...large];
    tf.dispose(small);
    this.#sums = this.#accumulated === 0 ? terms : this.#sums.map((sum, i) => accumulate(sum, terms[i]));
    this.#lossSum = this.#lossSum ? accumulate(this.#lossSum, loss) : loss;
    this.#accumulated++;
  }

  /** Updates the parameters from what was accumulated. A step whose loss or gradients are not finite changes nothing. */
  step(learningRate: number): void {
    const lossSum = this.#lossSum;
    if (!lossSum) throw new Error("Nothing was accumulated before the step");
    const [beta1, beta2] = this.#betas;
    const squares = partialSumsOfSquares(this.#sums);
    const accumulated = { accumulate: this.#accumulated, clipNorm: this.#clipNorm };
    decideStep(this.control, lossSum, squares, { ...accumulated, beta1, beta2 });
    const update = (state: AdamWState, gradient: tf.Tensor, segments: readonly AdamWSegment[]) =>
      adamWUpdate(state, gradient, this.control, { segments, beta1, beta2, eps: this.#eps });
    const rates = ({ weightDecay, lrScale }: ParameterGroup) => ({
      weightDecay,
      learningRate: learningRate * lrScale,
    });
    const sums = [...this.#sums];
    const { names, segments, parameter, expAvg, expAvgSq } = this.#small;
    if (names.length > 0) {
      const state = { parameter: parameter.values, expAvg: expAvg.values, expAvgSq: expAvgSq.values };
      const gradient = sums.shift() as tf.Tensor;
      update(state, gradient, segments.map(({ group, count }) => ({ count, ...rates(group) })));
      parameter.writeBack();
    }
    for (const [i, { group, ...state }] of this.#large.entries()) {
      update(state, sums[i], [{ count: sums[i].size, ...rates(group) }]);
    }
    tf.dispose([squares, lossSum, ...this.#sums]);
    this.#sums = [];
    this.#lossSum = null;
    this.#accumulated = 0;
  }

  /** Moments as `exp_avg.NAME` and `exp_avg_sq.NAME`, and the control as `control`, as they are after the last step. */
  get variables(): Parameters {
    this.#small.expAvg.writeBack();
    this.#small.expAvgSq.writeBack();
    return new Map([...this.#moments, ["control", this.control]]);
  }

  /** Reads everything that a resumed run needs. */
  state(): Promise<State> {
    return readParameters(this.variables);
  }

  /** Copies a saved state in. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    loadParameters(this.variables, state);
  }

  /** Frees the moments and the control. */
  dispose(): void {
    const { parameter, expAvg, expAvgSq } = this.#small;
    for (const packed of [parameter, expAvg, expAvgSq]) packed.dispose();
    tf.dispose([...this.#moments.values(), this.control, ...this.#sums]);
    this.#lossSum?.dispose();
  }
}

function zeroVariable(shape: readonly number[]): tf.Variable {
  // tfjs's own zeros are limited to one binding.
  const zeros = kernelsAvailable() ? clearedTensor(shape) : tf.zeros([...shape]);
  const variable = tf.variable(zeros, false);
  zeros.dispose();
  return variable;
}

/** Names of the parameters to update together. */
function smallNames(
  parameters: ReadonlyMap<string, tf.Variable>,
  groups: readonly ParameterGroup[],
): ReadonlySet<string> {
  const names = new Set<string>();
  let room = packedSize;
  for (const name of groups.flatMap((group) => group.names)) {
    const { size } = known(parameters, name);
    if (size >= smallSize || size > room) continue;
    names.add(name);
    room -= size;
  }
  return names;
}

function packTogether(
  parameters: ReadonlyMap<string, tf.Variable>,
  moments: Parameters,
  groups: readonly ParameterGroup[],
  small: ReadonlySet<string>,
): SmallParameters {
  const perGroup = groups.map((group) => ({ group, names: group.names.filter((name) => small.has(name)) }));
  const names = perGroup.flatMap((one) => one.names);
  const sizesOf = (some: readonly string[]) => some.map((name) => known(parameters, name).size);
  const layout = packLayout(sizesOf(names));
  const packed = (prefix: string) =>
    new PackedVariables(names.map((name) => known(moments, `${prefix}.${name}`)), layout);
  return {
    names,
    layout,
    segments: perGroup.filter((one) => one.names.length > 0)
      .map((one) => ({ group: one.group, count: packLayout(sizesOf(one.names)).size })),
    parameter: new PackedVariables(names.map((name) => known(parameters, name)), layout),
    expAvg: packed("exp_avg"),
    expAvgSq: packed("exp_avg_sq"),
  };
}

function known<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new Error(`The optimizer has no ${name}`);
  return value;
}
