/** Small variables that an optimizer works on side by side, and their packed copy. */
import { tf } from "../deps/tfjs.ts";
import { type PackLayout, packValues, unpackValues } from "../ops/update/pack.ts";

/**
 * Variables and one packed variable that holds the same values. Both may be written: what was assigned to the variables is
 * taken in when `values` is asked for, and what was written to `values` goes back with `writeBack`.
 */
export class PackedVariables {
  readonly #variables: readonly tf.Variable[];
  readonly #layout: PackLayout;
  #values: tf.Variable | null = null;
  /** What the variables held when they were last equal to the packed values. */
  #seen: readonly object[] = [];

  /** Makes nothing yet. */
  constructor(variables: readonly tf.Variable[], layout: PackLayout) {
    this.#variables = variables;
    this.#layout = layout;
  }

  /** The packed values, [layout.size]; the caller changes them in place or assigns to them. */
  get values(): tf.Variable {
    const values = this.#values;
    if (values && this.#variables.every(({ dataId }, i) => dataId === this.#seen[i])) return values;
    const packed = tf.tidy(() =>
      packValues(this.#variables.map((one, i) => this.#newest(one, i)), this.#layout)
    );
    if (values) values.assign(packed);
    else this.#values = tf.variable(packed, false);
    packed.dispose();
    this.#remember();
    return this.#values as tf.Variable;
  }

  /** Copies the packed values into the variables. */
  writeBack(): void {
    if (!this.#values) return;
    unpackValues(this.values, this.#layout, this.#variables);
    this.#remember();
  }

  /** Frees the packed copy. */
  dispose(): void {
    this.#values?.dispose();
    this.#values = null;
  }

  /** The variable where it was assigned to, else its packed values, which may be newer. */
  #newest(variable: tf.Variable, i: number): tf.Tensor {
    if (!this.#values || variable.dataId !== this.#seen[i]) return variable;
    return tf.slice(this.#values, this.#layout.firsts[i], variable.size);
  }

  #remember(): void {
    this.#seen = this.#variables.map(({ dataId }) => dataId);
  }
}
