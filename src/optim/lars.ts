/** LARS over a few parameters, the linear probe's: momentum, accumulation over micro-batches, and skipping bad steps. */
import { tf } from "../deps/tfjs.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { loadParameters, type Parameters, readParameters, type State } from "../nn/parameters.ts";
import { accumulate } from "../ops/update/accumulate.ts";
import { larsUpdate } from "../ops/update/lars.ts";
import { controlSize, decideStep } from "../ops/update/step_control.ts";
import { partialSumsOfSquares } from "../ops/update/sum_of_squares.ts";
import type { ParameterGroup } from "./groups.ts";

/** Settings of the optimizer; the learning rate is given per step. */
export interface LarsOptions {
  /** What of the momentum stays; 0.9 by default. */
  readonly momentum?: number;
  /** Trust coefficient; 0.001 by default. */
  readonly trust?: number;
  /** Largest global gradient norm; null (default) for no clipping. */
  readonly clipNorm?: number | null;
}

interface LarsParameter {
  readonly name: string;
  readonly group: ParameterGroup;
  readonly parameter: tf.Variable;
  readonly momentum: tf.Variable;
}

/**
 * LARS (You et al. 2017) as the official linear probe has it: parameters of one dimension get plain momentum without
 * decay, the others adapt. Each parameter is updated on its own. Nothing is read back in a step: see
 * `src/ops/update/step_control.ts`.
 */
export class Lars {
  /** Counters and the decision of the last step; its places are named by `Control`. */
  readonly control: tf.Variable;
  readonly #parameters: readonly LarsParameter[];
  readonly #momentum: number;
  readonly #trust: number;
  readonly #clipNorm: number;
  #sums: tf.Tensor[] = [];
  #lossSum: tf.Tensor | null = null;
  #accumulated = 0;

  /**
   * Starts with a momentum of zero.
   * @param parameters trainable parameters by name
   * @param groups every name in exactly one group
   * @throws {Error} when a name is missing from the groups or in two of them
   */
  constructor(
    parameters: ReadonlyMap<string, tf.Variable>,
    groups: readonly ParameterGroup[],
    { momentum = 0.9, trust = 0.001, clipNorm }: LarsOptions = {},
  ) {
    const grouped = groups.flatMap((group) => group.names.map((name) => ({ name, group })));
    const names = [...parameters.keys()].sort().join();
    if (grouped.map(({ name }) => name).sort().join() !== names) {
      throw new Error("Every trainable parameter must be in exactly one group");
    }
    this.#momentum = momentum;
    this.#trust = trust;
    this.#clipNorm = clipNorm ?? 0;
    this.#parameters = grouped.map(({ name, group }) => {
      const parameter = parameters.get(name) as tf.Variable;
      return { name, group, parameter, momentum: zeros(parameter.shape) };
    });
    this.control = zeros([controlSize]);
  }

  /** Adds one micro-batch's loss and gradients, and takes them over: the caller no longer disposes them. */
  accumulate(loss: tf.Tensor, gradients: ReadonlyMap<string, tf.Tensor>): void {
    const terms = this.#parameters.map(({ name }) => {
      const gradient = gradients.get(name);
      if (!gradient) throw new Error(`No gradient was given for ${name}`);
      return gradient;
    });
    this.#sums = this.#accumulated === 0 ? terms : this.#sums.map((sum, i) => accumulate(sum, terms[i]));
    this.#lossSum = this.#lossSum ? accumulate(this.#lossSum, loss) : loss;
    this.#accumulated++;
  }

  /** Updates the parameters from what was accumulated. A step whose loss or gradients are not finite changes nothing. */
  step(learningRate: number): void {
    const lossSum = this.#lossSum;
    if (!lossSum) throw new Error("Nothing was accumulated before the step");
    const squares = partialSumsOfSquares(this.#sums);
    decideStep(this.control, lossSum, squares, {
      accumulate: this.#accumulated,
      clipNorm: this.#clipNorm,
      beta1: 1, // LARS has none of Adam's corrections
      beta2: 1,
    });
    this.#parameters.forEach(({ group, parameter, momentum }, i) => {
      larsUpdate({ parameter, momentum }, this.#sums[i], this.control, {
        learningRate: learningRate * group.lrScale,
        momentum: this.#momentum,
        weightDecay: group.weightDecay,
        trust: parameter.rank > 1 ? this.#trust : null,
      });
    });
    tf.dispose([squares, lossSum, ...this.#sums]);
    this.#sums = [];
    this.#lossSum = null;
    this.#accumulated = 0;
  }

  /** Momenta as `momentum.NAME`, and the control as `control`, as they are after the last step. */
  get variables(): Parameters {
    return new Map([
      ...this.#parameters.map(({ name, momentum }) => [`momentum.${name}`, momentum] as const),
      ["control", this.control],
    ]);
  }

  /** Reads everything that a resumed run needs. */
  state(): Promise<State> {
    return readParameters(this.variables);
  }

  /** Copies a saved state in. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    loadParameters(this.variables, state);
  }

  /** Frees the momenta and the control. */
  dispose(): void {
    tf.dispose([...this.variables.values(), ...this.#sums]);
    this.#lossSum?.dispose();
  }
}

function zeros(shape: readonly number[]): tf.Variable {
  return tf.tidy(() => tf.variable(tf.zeros([...shape]), false));
}
