/**
 * The parts of an ONNX model and their Protocol Buffers messages.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */

import type { Dtype } from "./dtypes.ts";
import { ProtoMessage } from "./protobuf.ts";
import type { TensorEntry } from "./tensor_entry.ts";

/** What an attribute of a node is set to; whole numbers from 0. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number };

/** One operator of a graph, of ONNX's own operator set. */
export interface OnnxNode {
  /** Name of the operator, such as `MatMul`. */
  readonly op: string;
  /** Name of the node, unique in its graph. */
  readonly name: string;
  /** Names of the values it reads, in the operator's order. */
  readonly inputs: readonly string[];
  /** Names of the values it makes. */
  readonly outputs: readonly string[];
  /** Attributes by name. */
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output of a graph. */
export interface OnnxValue {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: Dtype;
  /** Length of each dimension, outermost first; a name where it is known only when the graph runs. */
  readonly shape: readonly (number | string)[];
  /** What it is, for whoever opens the file in a viewer. */
  readonly description?: string;
}

/** A piece of a file that holds a tensor's elements. */
export interface DataPlace {
  /** Path relative to the model's folder. */
  readonly location: string;
  /** First byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** Number of each element type. */
const dataTypes: Readonly<Record<Dtype, number>> = {
  F32: 1,
  U8: 2,
  I8: 3,
  U16: 4,
  I16: 5,
  I32: 6,
  I64: 7,
  BOOL: 9,
  F16: 10,
  F64: 11,
  U32: 12,
  U64: 13,
  BF16: 16,
};

const PAIR = { key: 1, value: 2 } as const;
const OPSET = { version: 2 } as const;
const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, float: 2, int: 3, ints: 8, type: 20 } as const;
const ATTRIBUTE_TYPE = { float: 1, int: 2, ints: 7 } as const;
const VALUE = { name: 1, type: 2, description: 3 } as const;
const TYPE = { tensor: 1 } as const;
const TENSOR_TYPE = { dtype: 1, shape: 2 } as const;
const SHAPE = { dimension: 1 } as const;
const DIMENSION = { length: 1, name: 2 } as const;
const TENSOR = { dimension: 1, dtype: 2, name: 8, bytes: 9, place: 13, isElsewhere: 14 } as const;

/** A piece of free text under a name. */
export function pairMessage(key: string, value: string): ProtoMessage {
  return new ProtoMessage().bytes(PAIR.key, key).bytes(PAIR.value, value);
}

/** Which version of ONNX's own operators the nodes are of. */
export function operatorSetMessage(version: number): ProtoMessage {
  return new ProtoMessage().integer(OPSET.version, version);
}

/** One operator. */
export function nodeMessage({ op, name, inputs, outputs, attributes = {} }: OnnxNode): ProtoMessage {
  const message = new ProtoMessage();
  for (const input of inputs) message.bytes(NODE.input, input);
  for (const output of outputs) message.bytes(NODE.output, output);
  message.bytes(NODE.name, name).bytes(NODE.operator, op);
  for (const [key, value] of Object.entries(attributes)) {
    message.bytes(NODE.attribute, attributeMessage(key, value));
  }
  return message;
}

function attributeMessage(name: string, value: OnnxAttribute): ProtoMessage {
  const message = new ProtoMessage().bytes(ATTRIBUTE.name, name);
  if ("float" in value) {
    return message.float(ATTRIBUTE.float, value.float).integer(ATTRIBUTE.type, ATTRIBUTE_TYPE.float);
  }
  if ("int" in value) {
    return message.integer(ATTRIBUTE.int, value.int).integer(ATTRIBUTE.type, ATTRIBUTE_TYPE.int);
  }
  for (const int of value.ints) message.integer(ATTRIBUTE.ints, int);
  return message.integer(ATTRIBUTE.type, ATTRIBUTE_TYPE.ints);
}

/** An input or output of the graph. */
export function valueMessage({ name, dtype, shape, description }: OnnxValue): ProtoMessage {
  const dimensions = new ProtoMessage();
  for (const size of shape) {
    const dimension = new ProtoMessage();
    if (typeof size === "number") dimension.integer(DIMENSION.length, size);
    else dimension.bytes(DIMENSION.name, size);
    dimensions.bytes(SHAPE.dimension, dimension);
  }
  const tensor = new ProtoMessage().integer(TENSOR_TYPE.dtype, dataTypes[dtype]).bytes(
    TENSOR_TYPE.shape,
    dimensions,
  );
  const message = new ProtoMessage().bytes(VALUE.name, name)
    .bytes(VALUE.type, new ProtoMessage().bytes(TYPE.tensor, tensor));
  return description === undefined ? message : message.bytes(VALUE.description, description);
}

/**
 * A constant up to its elements: where they lie in another file, or, without `place`, the opening of the field whose
 * `byteLength` bytes must follow.
 */
export function tensorMessage(
  { name, dtype, shape }: TensorEntry,
  byteLength: number,
  place?: DataPlace,
): ProtoMessage {
  const message = new ProtoMessage();
  for (const size of shape) message.integer(TENSOR.dimension, size);
  message.integer(TENSOR.dtype, dataTypes[dtype]).bytes(TENSOR.name, name);
  if (place === undefined) return message.opening(TENSOR.bytes, byteLength);
  for (const [key, value] of Object.entries(place)) {
    message.bytes(TENSOR.place, pairMessage(key, String(value)));
  }
  return message.integer(TENSOR.isElsewhere, 1);
}
