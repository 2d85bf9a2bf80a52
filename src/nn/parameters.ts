/** Parameters under their official names, and moving them in and out of a model. */
import { tf } from "../deps/tfjs.ts";
import { type StoredTensor, toFloat32 } from "../formats/dtypes.ts";
import { readTensors, writeVariable } from "../gpu/tensors.ts";
import { InputError } from "../util/errors.ts";
import { findMisfits, hasMisfits, listMisfits, type Misfits } from "./misfits.ts";

/** Values of every parameter by official name. */
export type State = Map<string, StoredTensor>;

/** Parameters of a model by official name, in the official order; fixed ones are not trainable. */
export type Parameters = Map<string, tf.Variable>;

/** One parameter before it has values. */
export interface ParameterSpec {
  /** Official name. */
  readonly name: string;
  /** Shape in PyTorch's layout. */
  readonly shape: readonly number[];
  /** Whether training changes it. */
  readonly trainable: boolean;
  /** Fills the first values of a model. */
  readonly fill: (values: Float32Array) => void;
}

/** Makes variables of the specifications, in order. */
export function createParameters(specs: readonly ParameterSpec[]): Parameters {
  const parameters: Parameters = new Map();
  for (const { name, shape, trainable, fill } of specs) {
    const values = new Float32Array(tf.util.sizeFromShape([...shape]));
    fill(values);
    parameters.set(name, tf.tidy(() => tf.variable(tf.tensor(values, [...shape], "float32"), trainable)));
  }
  return parameters;
}

/** The parameter of that name; a missing one is a mistake in the program. */
export function parameter(parameters: Parameters, name: string): tf.Variable {
  const found = parameters.get(name);
  if (!found) throw new Error(`This model has no parameter ${name}`);
  return found;
}

/**
 * Copies values into parameters. Nothing changes unless everything fits, or a part will do.
 * @param partial copies what fits and leaves the rest as it is
 * @returns what did not fit
 * @throws {InputError} naming what is missing, unexpected or of another shape
 */
export function loadParameters(
  parameters: Parameters,
  state: ReadonlyMap<string, StoredTensor>,
  { partial = false }: { readonly partial?: boolean } = {},
): Misfits {
  const shapesOf = (tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>) =>
    new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  const misfits = findMisfits(shapesOf(parameters), shapesOf(state));
  if (!partial && hasMisfits(misfits)) {
    throw new InputError(`The checkpoint does not fit this model: ${listMisfits(misfits)}`);
  }
  for (const [name, variable] of parameters) {
    const tensor = state.get(name);
    if (tensor?.shape.join() === variable.shape.join()) writeVariable(variable, toFloat32(tensor));
  }
  return misfits;
}

/** Reads every parameter back, a few at a time so that the host never holds more than one chunk of staging copies. */
export async function readParameters(parameters: Parameters): Promise<State> {
  const state: State = new Map();
  const entries = [...parameters];
  const chunk = 32;
  for (let start = 0; start < entries.length; start += chunk) {
    const part = entries.slice(start, start + chunk);
    const values = await readTensors(part.map(([, variable]) => variable));
    part.forEach(([name, variable], i) =>
      state.set(name, { shape: variable.shape, dtype: "F32", data: values[i] })
    );
  }
  return state;
}

/** Number of values in all parameters. */
export function parameterCount(parameters: Parameters): number {
  let count = 0;
  for (const variable of parameters.values()) count += variable.size;
  return count;
}
