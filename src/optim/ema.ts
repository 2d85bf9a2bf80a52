/** Exponential moving average of a model's weights, kept on the device. */
import { tf } from "../deps/tfjs.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { clearedTensor, copyValues } from "../gpu/copies.ts";
import { kernelsAvailable } from "../gpu/kernel.ts";
import { loadParameters, type Parameters, readParameters, type State } from "../nn/parameters.ts";
import { movingAverage } from "../ops/update/moving_average.ts";
import { type PackLayout, packLayout, packValues } from "../ops/update/pack.ts";
import { PackedVariables } from "./packed.ts";

/** Parameters below this many values are averaged together. */
const smallSize = 2 ** 16;

/** Most values averaged together. */
const packedSize = 2 ** 24;

/**
 * Averages of weights over the steps of training (Polyak and Juditsky 1992; timm's `ModelEma`). Small parameters are
 * averaged side by side by one kernel, each large one by a kernel of its own.
 */
export class Ema {
  /** What of the average stays in a step; 0.9999 by default. */
  readonly decay: number;
  readonly #parameters: ReadonlyMap<string, tf.Variable>;
  readonly #averages: Parameters;
  readonly #small: readonly string[];
  readonly #large: readonly string[];
  readonly #layout: PackLayout;
  readonly #packed: PackedVariables;

  /**
   * Starts with the weights as they are.
   * @param parameters by official name; frozen ones may be left out
   * @throws {RangeError} when the decay is not in [0, 1]
   */
  constructor(parameters: ReadonlyMap<string, tf.Variable>, decay = 0.9999) {
    if (!(decay >= 0 && decay <= 1)) throw new RangeError(`The decay must be in [0, 1], not ${decay}`);
    this.decay = decay;
    this.#parameters = parameters;
    this.#averages = new Map();
    let room = packedSize;
    const small: string[] = [];
    for (const [name, variable] of parameters) {
      this.#averages.set(name, copyOf(variable));
      if (variable.size >= smallSize || variable.size > room) continue;
      small.push(name);
      room -= variable.size;
    }
    this.#small = small;
    this.#large = [...parameters.keys()].filter((name) => !small.includes(name));
    this.#layout = packLayout(small.map((name) => this.#parameter(name).size));
    this.#packed = new PackedVariables(small.map((name) => this.#average(name)), this.#layout);
  }

  /** Takes the weights of this step in. */
  update(decay = this.decay): void {
    if (this.#small.length > 0) {
      const values = packValues(this.#small.map((name) => this.#parameter(name)), this.#layout);
      movingAverage(this.#packed.values, values, decay);
      values.dispose();
    }
    for (const name of this.#large) movingAverage(this.#average(name), this.#parameter(name), decay);
  }

  /** The averages by official name, as they are after the last update. */
  get averages(): Parameters {
    this.#packed.writeBack();
    return this.#averages;
  }

  /**
   * Exchanges weights and averages, without moving a value: evaluate the averages between two calls. Do not train or
   * update meanwhile.
   */
  exchange(): void {
    for (const [name, average] of this.averages) {
      const parameter = this.#parameter(name);
      const before = tf.clone(parameter);
      parameter.assign(average);
      average.assign(before);
      before.dispose();
    }
  }

  /** Reads the averages back, under the parameters' names. */
  state(): Promise<State> {
    return readParameters(this.averages);
  }

  /** Copies saved averages in. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    loadParameters(this.averages, state);
  }

  /** Frees the averages. */
  dispose(): void {
    this.#packed.dispose();
    tf.dispose([...this.#averages.values()]);
  }

  #parameter(name: string): tf.Variable {
    return this.#parameters.get(name) as tf.Variable;
  }

  #average(name: string): tf.Variable {
    return this.#averages.get(name) as tf.Variable;
  }
}

/** A variable of its own with the same values. */
function copyOf(variable: tf.Variable): tf.Variable {
  // tfjs's own operations are limited to one binding.
  const copy = kernelsAvailable() ? clearedTensor(variable.shape) : tf.add(variable, 0);
  if (kernelsAvailable()) copyValues([{ from: variable, to: copy }]);
  const own = tf.variable(copy, false);
  copy.dispose();
  return own;
}
