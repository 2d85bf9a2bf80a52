/** ONNX files: run by ONNX Runtime's own WebAssembly build, and taken apart by a reader that knows nothing of the writer. */
// ONNX Runtime is what the files are for. It is a dependency of the tests alone; MIT, no install script of its own.
import { env, InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0/wasm";
import { assert } from "../deps.ts";
import { fieldsOf, part, text } from "./tensorboard.ts";

env.wasm.numThreads = 1; // more would be workers, which need more permissions

/** An output: its shape and values. */
export interface OnnxResult {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** An input: its shape, and its values as floats or bytes. */
export interface OnnxInput {
  readonly shape: readonly number[];
  readonly values: Float32Array | Uint8Array;
}

/** A model that ONNX Runtime has loaded. */
export class OnnxSession implements AsyncDisposable {
  private constructor(private readonly session: InferenceSession) {}

  /** Loads the files that `writeOnnx` or `writeOnnxFile` say they wrote. */
  static async open([model, ...others]: readonly string[]): Promise<OnnxSession> {
    const externalData = await Promise.all(
      others.map(async (path) => ({ path: path.split("/").at(-1) ?? "", data: await Deno.readFile(path) })),
    );
    const bytes = await Deno.readFile(model);
    return new OnnxSession(await InferenceSession.create(bytes, { externalData, logSeverityLevel: 3 }));
  }

  /** Runs it on its one input. */
  async run({ shape, values }: OnnxInput): Promise<Map<string, OnnxResult>> {
    const dims = [...shape];
    const tensor = values instanceof Uint8Array
      ? new Tensor("uint8", values, dims)
      : new Tensor("float32", values, dims);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: tensor });
    return new Map(
      Object.entries(outputs).map(([name, { data, dims }]) => {
        assert(data instanceof Float32Array);
        return [name, { shape: dims, values: data }];
      }),
    );
  }

  /** Frees it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.session.release();
  }
}

/** Runs a model once and gives the output of that name. */
export async function runOnnx(files: readonly string[], input: OnnxInput, name: string): Promise<OnnxResult> {
  await using session = await OnnxSession.open(files);
  const output = (await session.run(input)).get(name);
  assert(output, `there is no output ${name}`);
  return output;
}

/** An input or output of a graph as [name, number of its element type, dimensions]. */
export type ReadValue = [name: string, dtype: unknown, shape: unknown[]];

/** A constant of a graph. */
export interface ReadConstant {
  readonly shape: readonly unknown[];
  readonly dtype: unknown;
  /** Its bytes where they are in the file. */
  readonly bytes?: Uint8Array;
  /** Where they are elsewhere: `location`, `offset`, `length`. */
  readonly place: ReadonlyMap<string, string>;
}

/** A node of a graph. */
export interface ReadNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: string[];
  readonly outputs: string[];
  readonly attributes: ReadonlyMap<string, unknown>;
}

/** An ONNX file, taken apart. */
export interface ReadModel {
  readonly irVersion: unknown;
  readonly producer: readonly string[];
  readonly operatorSets: readonly [domain: string, version: unknown][];
  readonly metadata: ReadonlyMap<string, string>;
  readonly nodes: readonly ReadNode[];
  readonly inputs: readonly ReadValue[];
  readonly outputs: readonly ReadValue[];
  readonly constants: ReadonlyMap<string, ReadConstant>;
}

type Field = number | Uint8Array;

function pairs(fields: readonly Field[] = []): Map<string, string> {
  return new Map(fields.map((field) => [text(part(field).get(1)?.[0]), text(part(field).get(2)?.[0])]));
}

function readValue(field: Field): ReadValue {
  const tensor = part(part(part(field).get(2)?.[0]).get(1)?.[0]);
  const dimensions = part(tensor.get(2)?.[0]).get(1) ?? [];
  const shape = dimensions.map((one) => {
    const fields = part(one);
    return fields.has(1) ? fields.get(1)?.[0] : text(fields.get(2)?.[0]);
  });
  return [text(part(field).get(1)?.[0]), tensor.get(1)?.[0], shape];
}

function readNode(field: Field): ReadNode {
  const fields = part(field);
  const attributes = (fields.get(5) ?? []).map((attribute): [string, unknown] => {
    const own = part(attribute);
    const type = own.get(20)?.[0];
    return [text(own.get(1)?.[0]), type === 1 ? own.get(2)?.[0] : type === 2 ? own.get(3)?.[0] : own.get(8)];
  });
  return {
    op: text(fields.get(4)?.[0]),
    name: text(fields.get(3)?.[0]),
    inputs: (fields.get(1) ?? []).map(text),
    outputs: (fields.get(2) ?? []).map(text),
    attributes: new Map(attributes),
  };
}

function readConstant(field: Field): [string, ReadConstant] {
  const fields = part(field);
  const [bytes] = fields.get(9) ?? [];
  return [text(fields.get(8)?.[0]), {
    shape: fields.get(1) ?? [],
    dtype: fields.get(2)?.[0],
    ...(bytes instanceof Uint8Array && { bytes }),
    place: pairs(fields.get(13)),
  }];
}

/** Takes an ONNX file apart. */
export async function readOnnx(path: string): Promise<ReadModel> {
  const model = fieldsOf(await Deno.readFile(path));
  const graph = part(model.get(7)?.[0]);
  return {
    irVersion: model.get(1)?.[0],
    producer: [text(model.get(2)?.[0]), text(model.get(3)?.[0])],
    operatorSets: (model.get(8) ?? []).map((set) => {
      const [domain] = part(set).get(1) ?? [];
      return [domain === undefined ? "" : text(domain), part(set).get(2)?.[0]];
    }),
    metadata: pairs(model.get(14)),
    nodes: (graph.get(1) ?? []).map(readNode),
    inputs: (graph.get(11) ?? []).map(readValue),
    outputs: (graph.get(12) ?? []).map(readValue),
    constants: new Map((graph.get(5) ?? []).map(readConstant)),
  };
}
