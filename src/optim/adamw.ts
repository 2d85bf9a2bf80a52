/** AdamW over a model's parameters: moments, accumulation over micro-batches, clipping, and skipping bad steps. */
import { tf } from "../deps/tfjs.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { loadParameters, type Parameters, readParameters, type State } from "../nn/parameters.ts";
import { type AdamWSettings, adamWUpdate } from "../ops/adamw.ts";
import { partialSumsOfSquares } from "../ops/sum_of_squares.ts";
import { controlSize, decideStep } from "../ops/step_control.ts";
import type { ParameterGroup } from "./groups.ts";

/** Settings of the optimizer; the learning rate is given per step. */
export interface AdamWOptions {
  /** Decay rates of the first and second moment; [0.9, 0.95] by default. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 by default. */
  readonly eps?: number;
  /** Largest global gradient norm; null (default) for no clipping. */
  readonly clipNorm?: number | null;
}

/** AdamW (Loshchilov and Hutter 2019). Nothing is read back in a step: see `src/ops/step_control.ts`. */
export class AdamW {
  /** Counters and the decision of the last step; its places are named by `Control`. */
  readonly control: tf.Variable;
  readonly #parameters: ReadonlyMap<string, tf.Variable>;
  readonly #groups: readonly ParameterGroup[];
  readonly #moments: Parameters = new Map();
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #clipNorm: number;
  readonly #sums = new Map<string, tf.Tensor>();
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
    this.#parameters = parameters;
    this.#groups = groups;
    this.#betas = options.betas ?? [0.9, 0.95];
    this.#eps = options.eps ?? 1e-8;
    this.#clipNorm = options.clipNorm ?? 0;
    for (const prefix of ["exp_avg", "exp_avg_sq"]) {
      for (const [name, variable] of parameters) {
        const zeros = tf.zeros(variable.shape);
        this.#moments.set(`${prefix}.${name}`, tf.variable(zeros, false));
        zeros.dispose();
      }
    }
    const zeros = tf.zeros([controlSize]);
    this.control = tf.variable(zeros, false);
    zeros.dispose();
  }

  /** Adds one micro-batch's loss and gradients, and takes them over: the caller no longer disposes them. */
  accumulate(loss: tf.Tensor, gradients: ReadonlyMap<string, tf.Tensor>): void {
    for (const name of this.#parameters.keys()) {
      const gradient = gradients.get(name);
      if (!gradient) throw new Error(`No gradient was given for ${name}`);
      this.#sums.set(name, addInto(this.#sums.get(name), gradient));
    }
    this.#lossSum = addInto(this.#lossSum ?? undefined, loss);
    this.#accumulated++;
  }

  /** Updates the parameters from what was accumulated. A step whose loss or gradients are not finite changes nothing. */
  step(learningRate: number): void {
    const lossSum = this.#lossSum;
    if (!lossSum) throw new Error("Nothing was accumulated before the step");
    const [beta1, beta2] = this.#betas;
    const squares = partialSumsOfSquares([...this.#sums.values()]);
    decideStep(this.control, lossSum, squares, {
      accumulate: this.#accumulated,
      clipNorm: this.#clipNorm,
      beta1,
      beta2,
    });
    for (const { names, weightDecay, lrScale } of this.#groups) {
      const settings = { learningRate: learningRate * lrScale, weightDecay, beta1, beta2, eps: this.#eps };
      for (const name of names) this.#update(name, settings);
    }
    tf.dispose([squares, lossSum, ...this.#sums.values()]);
    this.#sums.clear();
    this.#lossSum = null;
    this.#accumulated = 0;
  }

  #update(name: string, settings: AdamWSettings): void {
    const state = {
      parameter: known(this.#parameters, name),
      expAvg: known(this.#moments, `exp_avg.${name}`),
      expAvgSq: known(this.#moments, `exp_avg_sq.${name}`),
    };
    adamWUpdate(state, known(this.#sums, name), this.control, settings);
  }

  /** Moments as `exp_avg.NAME` and `exp_avg_sq.NAME`, and the control as `control`. */
  get variables(): Parameters {
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
    tf.dispose([...this.variables.values(), ...this.#sums.values()]);
    this.#lossSum?.dispose();
  }
}

/** Adds to a running sum, taking over both tensors. */
function addInto(sum: tf.Tensor | undefined, term: tf.Tensor): tf.Tensor {
  if (!sum) return term;
  const next = tf.add(sum, term);
  tf.dispose([sum, term]);
  return next;
}

function known<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new Error(`The optimizer has no ${name}`);
  return value;
}
