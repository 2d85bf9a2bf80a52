/**
 * Writing ONNX files, constants one by one. Format: https://github.com/onnx/onnx/blob/main/docs/IR.md and, for constants
 * in a file of their own, docs/ExternalData.md beside it.
 */

import { baseName } from "../util/files.ts";
import {
  nodeMessage,
  type OnnxNode,
  type OnnxValue,
  operatorSetMessage,
  pairMessage,
  tensorMessage,
  valueMessage,
} from "./onnx_messages.ts";
import { replaceFile } from "./output_file.ts";
import { ProtoMessage } from "./protobuf.ts";
import { byteLengthOf, fetchBytes, type TensorEntry } from "./tensor_entry.ts";

/** A graph of operators and what is said about it. */
export interface OnnxModel {
  /** Name of the graph. */
  readonly name: string;
  /** What it computes, for whoever opens the file in a viewer. */
  readonly description: string;
  /** Program that made it. */
  readonly producer: { readonly name: string; readonly version: string };
  /** Version of ONNX's operators that the nodes are of. */
  readonly operatorSet: number;
  /** Operators, each after those whose values it reads. */
  readonly nodes: readonly OnnxNode[];
  /** What is given to it. */
  readonly inputs: readonly OnnxValue[];
  /** What comes of it. */
  readonly outputs: readonly OnnxValue[];
  /** Constants by the names that nodes read them under; fetched when their turn comes, one at a time. */
  readonly constants: readonly TensorEntry[];
  /** Free text by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** How a model is written. */
export interface OnnxFileOptions {
  /**
   * Bytes from which constants go into a file of their own: 2^31 - 1 by default, where Protocol Buffers end. Constants
   * below 1 KB, which runtimes look at when they load a graph, stay.
   */
  readonly largestFile?: number;
}

/** The version of the format that belongs to operator set 17; later runtimes read it too. */
const irVersion = 8;

const MODEL = {
  irVersion: 1,
  producer: 2,
  producerVersion: 3,
  graph: 7,
  operatorSet: 8,
  metadata: 14,
} as const;
const GRAPH = { node: 1, name: 2, constant: 5, description: 10, input: 11, output: 12 } as const;

/** Bytes of a constant that is worth a place in another file. */
const smallestOutside = 1024;

/** Constants in another file begin at a multiple of a page, so that they can be mapped into memory. */
const page = 4096;

/** Bytes, and where a constant's elements come next, that constant. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly data?: TensorEntry;
}

/** What goes into the model's file, and what into the one beside it. */
interface Layout {
  readonly size: number;
  readonly pieces: readonly Piece[];
  readonly outside: readonly Piece[];
}

/** Where a model's constants lie when its file alone would be too large: beside it. */
export function onnxDataPath(path: string): string {
  return `${path}.data`;
}

/**
 * Writes a model and replaces the old one. A model that would be too large for one file has its constants in
 * `onnxDataPath(path)`, without which it cannot be used; runtimes find it by its name in the same folder.
 *
 * Each file is whole or not there. When anything fails, neither is left.
 *
 * @returns the files written, the model first
 * @throws {Error} where constants have one name, or data does not match its type and shape
 * @throws {RunError} where a file cannot be written; and whatever fetching a constant throws
 */
export async function writeOnnxFile(
  path: string,
  model: OnnxModel,
  { largestFile = 2 ** 31 - 1 }: OnnxFileOptions = {},
): Promise<string[]> {
  const names = new Set<string>();
  for (const { name } of model.constants) {
    if (names.has(name)) throw new Error(`Constant name "${name}" is there twice`);
    names.add(name);
  }
  const whole = layOut(model, null);
  if (whole.size <= largestFile) {
    await replaceFile(path, (put) => putPieces(put, whole.pieces));
    return [path];
  }
  const data = onnxDataPath(path);
  const { pieces, outside } = layOut(model, baseName(data));
  let replaced = false;
  try {
    // The model is renamed last: it never lies there without its constants.
    await replaceFile(path, async (put) => {
      await putPieces(put, pieces);
      await replaceFile(data, (put) => putPieces(put, outside));
      replaced = true;
    });
  } catch (error) {
    if (replaced) await Deno.remove(data).catch(() => {});
    throw error;
  }
  return [path, data];
}

async function putPieces(put: (bytes: Uint8Array) => Promise<void>, pieces: readonly Piece[]): Promise<void> {
  for (const { bytes, data } of pieces) {
    await put(bytes);
    if (data !== undefined) await put(await fetchBytes(data));
  }
}

/** The model's pieces with every length in place, before any constant is fetched. */
function layOut(model: OnnxModel, location: string | null): Layout {
  const constants: Piece[] = [];
  const outside: Piece[] = [];
  let inside = 0;
  let end = 0;
  for (const data of model.constants) {
    const length = byteLengthOf(data);
    if (location === null || length < smallestOutside) {
      const head = tensorMessage(data, length).encode();
      const bytes = new ProtoMessage().opening(GRAPH.constant, head.length + length).encode();
      constants.push({ bytes: joined(bytes, head), data });
      inside += bytes.length + head.length + length;
    } else {
      const offset = Math.ceil(end / page) * page;
      const head = tensorMessage(data, length, { location, offset, length });
      const bytes = new ProtoMessage().bytes(GRAPH.constant, head).encode();
      constants.push({ bytes });
      inside += bytes.length;
      outside.push({ bytes: new Uint8Array(offset - end), data });
      end = offset + length;
    }
  }
  const graph = graphMessage(model).encode();
  const head = modelMessage(model).opening(MODEL.graph, graph.length + inside).encode();
  return {
    size: head.length + graph.length + inside,
    pieces: [{ bytes: joined(head, graph) }, ...constants],
    outside,
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** Everything but the graph, which comes last. */
function modelMessage({ producer, operatorSet, metadata }: OnnxModel): ProtoMessage {
  const message = new ProtoMessage().integer(MODEL.irVersion, irVersion)
    .bytes(MODEL.operatorSet, operatorSetMessage(operatorSet))
    .bytes(MODEL.producer, producer.name)
    .bytes(MODEL.producerVersion, producer.version);
  for (const [key, value] of Object.entries(metadata)) message.bytes(MODEL.metadata, pairMessage(key, value));
  return message;
}

/** The graph but for its constants. */
function graphMessage({ name, description, nodes, inputs, outputs }: OnnxModel): ProtoMessage {
  const message = new ProtoMessage().bytes(GRAPH.name, name).bytes(GRAPH.description, description);
  for (const node of nodes) message.bytes(GRAPH.node, nodeMessage(node));
  for (const input of inputs) message.bytes(GRAPH.input, valueMessage(input));
  for (const output of outputs) message.bytes(GRAPH.output, valueMessage(output));
  return message;
}
