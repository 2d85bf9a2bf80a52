/** Putting an ONNX graph together, operator by operator, under the names of the modules that they belong to. */
import type { OnnxAttribute, OnnxNode } from "../formats/onnx_messages.ts";
import type { LoadedEntry } from "../formats/tensor_entry.ts";

/** The element type that the operator `Cast` makes floats of 32 bits by. */
export const singlePrecision = 1;

/** A parameter of the model that the graph reads as a constant. */
export interface GraphParameter {
  /** Official name, under which it is a constant of the graph too. */
  readonly name: string;
  /** Its shape in PyTorch's layout. */
  readonly shape: readonly number[];
  /** Whether it is a matrix [out, in] that the graph has as [in, out]. */
  readonly transposed: boolean;
  /** Whether the graph has it in half precision and widens it. */
  readonly half: boolean;
  /** What it is filled with where the model has none of the name; undefined where the model must have it. */
  readonly fill?: number;
}

/** How a parameter is taken into the graph. */
export type ParameterOptions = Partial<Pick<GraphParameter, "transposed" | "fill">>;

/** A graph that grows. Values go by the name of the node that makes them. */
export class GraphBuilder {
  /** Operators so far. */
  readonly nodes: OnnxNode[] = [];
  /** Parameters so far, by name. */
  readonly parameters = new Map<string, GraphParameter>();
  /** Small constants of its own so far, by name. */
  readonly constants = new Map<string, LoadedEntry>();
  readonly #names = new Set<string>();

  /**
   * Begins an empty graph.
   * @param half whether parameters of more than one dimension are kept in half precision
   */
  constructor(private readonly half: boolean) {}

  /** A name for the next node of that operator in a module: `blocks.0.attn.qkv/MatMul`, and then `…/MatMul_1`. */
  #nameOf(module: string, op: string): string {
    const first = `${module}/${op}`;
    let name = first;
    for (let i = 1; this.#names.has(name); i++) name = `${first}_${i}`;
    this.#names.add(name);
    return name;
  }

  /**
   * Adds an operator with one result.
   * @param module name of the module that it belongs to
   * @param output name of its result, where that is one of the graph's
   * @returns name of its result
   */
  node(
    module: string,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    output?: string,
  ): string {
    const name = this.#nameOf(module, op);
    const result = output ?? name;
    this.nodes.push({ op, name, inputs, outputs: [result], attributes });
    return result;
  }

  /** Adds the operator that cuts a value into equal parts. */
  split(module: string, input: string, axis: number, parts: readonly string[]): string[] {
    const name = this.#nameOf(module, "Split");
    const outputs = parts.map((part) => `${name}/${part}`);
    this.nodes.push({ op: "Split", name, inputs: [input], outputs, attributes: { axis: { int: axis } } });
    return outputs;
  }

  /** A constant of whole numbers, such as the shape that `Reshape` takes. */
  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#constant({ name, dtype: "I64", shape, data: BigInt64Array.from(values, BigInt) });
  }

  /** A constant of floats. */
  floats(name: string, values: readonly number[], shape: readonly number[] = []): string {
    return this.#constant({ name, dtype: "F32", shape, data: Float32Array.from(values) });
  }

  #constant(entry: LoadedEntry): string {
    this.constants.set(entry.name, entry);
    return entry.name;
  }

  /** A parameter of the model, asked for once; wide when it is used. */
  parameter(
    name: string,
    shape: readonly number[],
    { transposed = false, fill }: ParameterOptions = {},
  ): string {
    const half = this.half && shape.length > 1;
    this.parameters.set(name, { name, shape, transposed, half, fill });
    return half ? this.node(name, "Cast", [name], { to: { int: singlePrecision } }) : name;
  }
}
