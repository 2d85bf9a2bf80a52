/** Parameters under their official names, and moving them in and out of a model. */
import { tf } from "../deps/tfjs.ts";
import { type StoredTensor, toFloat32 } from "../formats/dtypes.ts";
import { readTensors, writeVariable } from "../gpu/tensors.ts";
import { InputError } from "../util/errors.ts";

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
 * Copies values into parameters. Nothing changes unless everything fits.
 * @throws {InputError} naming what is missing, unexpected or of another shape
 */
export function loadParameters(parameters: Parameters, state: ReadonlyMap<string, StoredTensor>): void {
  const problems: string[] = [];
  for (const [name, variable] of parameters) {
    const given = state.get(name);
    if (!given) problems.push(`${name} is missing`);
    else if (given.shape.join() !== variable.shape.join()) {
      problems.push(`${name} is [${given.shape.join(", ")}] instead of [${variable.shape.join(", ")}]`);
    } else if (given.data.length !== variable.size) problems.push(`${name} has ${given.data.length} values`);
  }
  for (const name of state.keys()) if (!parameters.has(name)) problems.push(`${name} is unexpected`);
  if (problems.length > 0) {
    const rest = problems.length > 10 ? `, and ${problems.length - 10} more` : "";
    throw new InputError(
      `The checkpoint does not fit this model: ${problems.slice(0, 10).join("; ")}${rest}`,
    );
  }
  for (const [name, variable] of parameters) {
    writeVariable(variable, toFloat32(state.get(name) as StoredTensor));
  }
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
