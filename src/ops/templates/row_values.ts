/** Matrices that kernels read and write by row and quad, whether or not their rows consist of whole quads. */
import type { tf } from "../../deps/tfjs.ts";
import { isHalf } from "../../gpu/half.ts";
import type { Operand } from "../../gpu/kernel.ts";
import { currentWebGpu } from "../../gpu/runtime.ts";
import { operandOf, type Storage, storageOf } from "../../gpu/operand.ts";
import { asStored, bindings, declareQuads, declareResult, float, loadQuads } from "./wgsl.ts";

/** A matrix that a kernel reads. */
export interface RowInput {
  /** How it is bound. */
  readonly operand: Operand;
  /** How it is stored: single values where a row does not consist of whole quads, or where they are integers. */
  readonly storage: Storage | "scalars" | "integers";
  /** Values of a row. */
  readonly width: number;
  /** What a quad holds beyond the end of its row. */
  readonly beyond: number;
}

/** Matrices by the name that the kernel gives them. */
export type RowInputs = Readonly<Record<string, RowInput>>;

/**
 * How a matrix with rows of `width` values is read.
 * @throws {TypeError} when its rows do not consist of whole quads and it is in half precision
 */
export function rowInput(tensor: tf.Tensor, width: number, beyond = 0): RowInput {
  const integers = holdsIntegers(tensor);
  if (width % 4 === 0 && !integers) {
    const operand = operandOf(tensor);
    return { operand, storage: storageOf(operand), width, beyond };
  }
  if (isHalf(tensor)) throw new TypeError(`Rows of ${width} values in half precision are not supported`);
  const storage = integers ? "integers" : "scalars";
  return { operand: { tensor, texture: false }, storage, width, beyond };
}

/** Whether the buffer holds integers whatever the tensor's type says: tfjs casts from integers to floats by name only. */
export function holdsIntegers({ dataId }: tf.Tensor): boolean {
  const type = currentWebGpu()?.backend.tensorMap.get(dataId).dtype;
  return type === "int32" || type === "bool";
}

/** The same bound as a buffer: some adapters bind four textures at most. */
export function asBuffer(input: RowInput): RowInput {
  if (!input.operand.texture) return input;
  const operand = { ...input.operand, texture: false };
  return { ...input, operand, storage: storageOf(operand) };
}

/** The operands, in the order of the bindings. */
export function operandsOf(inputs: RowInputs): Operand[] {
  return Object.values(inputs).map(({ operand }) => operand);
}

/** A matrix that a kernel writes. */
export interface RowResult {
  /** Values of a row. */
  readonly width: number;
  /** Whether it is in half precision; then rows must consist of whole quads. */
  readonly half?: boolean;
}

/** Results by the name that the kernel gives them. */
export type RowResults = Readonly<Record<string, RowResult>>;

/** What a kernel that reads and writes rows binds. */
export interface RowBindings {
  /** What it reads, before everything else. */
  readonly inputs: RowInputs;
  /** What it writes. */
  readonly results: RowResults;
}

/** A name that tells everything the bindings depend on. */
export function rowName(kind: string, { inputs, results }: RowBindings, ...rest: readonly unknown[]): string {
  const read = Object.entries(inputs).flatMap(([name, { storage, width }]) => [name, storage, width]);
  const written = Object.entries(results).flatMap((
    [name, { width, half }],
  ) => [name, half ? "half" : "", width]);
  return [kind, ...read, ...written, ...rest].join("_");
}

/**
 * Declares inputs, results and the uniform `sizes`, with the functions `NAME(row, quad)` that load a quad of an
 * input and `store_NAME(row, quad, value)` that store one of a result.
 */
export function rowBindings({ inputs, results }: RowBindings): string {
  const read = Object.entries(inputs);
  const written = Object.entries(results);
  const declared = bindings(
    ...read.map(([name, { storage }]) =>
      storage === "scalars" || storage === "integers"
        ? `var<storage, read> ${name}_values: array<${storage === "scalars" ? "f32" : "i32"}>;`
        : declareQuads(`${name}_at`, storage)
    ),
    ...written.map(([name, { width, half }]) =>
      width % 4 === 0
        ? declareResult(`${name}_values`, half)
        : `var<storage, read_write> ${name}_values: array<f32>;`
    ),
    "var<uniform> sizes: vec4u;",
  );
  return `
${declared}
${read.map(([name, input]) => loadFunction(name, input)).join("\n")}
${written.map(([name, result]) => storeFunction(name, result)).join("\n")}`;
}

function loadFunction(name: string, { storage, width, beyond }: RowInput): string {
  if (storage !== "scalars" && storage !== "integers") {
    return `${loadQuads(`${name}_at`, storage)}
fn ${name}(row: u32, quad: u32) -> vec4f { return ${name}_at(row * ${width / 4}u + quad); }`;
  }
  const value = (i: number) => {
    const column = `4u * quad + ${i}u`;
    return `    select(${
      float(beyond)
    }, f32(${name}_values[row * ${width}u + ${column}]), ${column} < ${width}u)`;
  };
  return `fn ${name}(row: u32, quad: u32) -> vec4f {
  return vec4f(
${[0, 1, 2, 3].map(value).join(",\n")});
}`;
}

function storeFunction(name: string, { width, half }: RowResult): string {
  const lines = width % 4 === 0
    ? `  ${name}_values[row * ${width / 4}u + quad] = ${asStored("value", half)};`
    : `  let begin = 4u * quad;
  for (var i = begin; i < min(begin + 4u, ${width}u); i++) {
    ${name}_values[row * ${width}u + i] = value[i - begin];
  }`;
  return `fn store_${name}(row: u32, quad: u32, value: vec4f) {\n${lines}\n}`;
}
