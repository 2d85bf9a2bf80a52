/**
 * The classes and functions of PyTorch that a checkpoint may name. This list and those of `plain_globals.ts` and
 * `numpy_globals.ts` are all that has a meaning; any other name is refused, so that nothing in a file is ever run.
 */

import { type Dtype, itemSize } from "./dtypes.ts";
import { PickleGlobal, type PickleMachine } from "./pickle_machine.ts";
import { type Call, elements } from "./plain_globals.ts";
import { lastElement } from "./strided.ts";
import { quoted } from "./torch_errors.ts";
import { TorchStorage, TorchTensor, type TorchValue } from "./torch_value.ts";

/** Most dimensions of a tensor; PyTorch's own limit. */
const MAX_DIMENSIONS = 64;

/** PyTorch's element types that can be read, under its names of types and of storages. */
const TYPES: [dtype: Dtype, names: readonly string[], storage?: string][] = [
  ["F64", ["float64", "double"], "Double"],
  ["F32", ["float32", "float"], "Float"],
  ["F16", ["float16", "half"], "Half"],
  ["BF16", ["bfloat16"], "BFloat16"],
  ["I64", ["int64", "long"], "Long"],
  ["I32", ["int32", "int"], "Int"],
  ["I16", ["int16", "short"], "Short"],
  ["I8", ["int8"], "Char"],
  ["U8", ["uint8"], "Byte"],
  ["BOOL", ["bool"], "Bool"],
  ["U16", ["uint16"]],
  ["U32", ["uint32"]],
  ["U64", ["uint64"]],
];

const DTYPES = new Map(TYPES.flatMap(([dtype, names]) => names.map((name) => [`torch.${name}`, dtype])));

/** Element types that may be named and that no tensor here can have. */
const OTHER_TYPES = /^(complex\d+|c?(float|double|half)|q?u?int\d+(x\d+)?|float8_\w+|float4_\w+|bits\d+\w*)$/;

/** The class of a storage. */
export class StorageClass extends PickleGlobal {
  /** With its element type; null where it is just bytes. */
  constructor(name: string, readonly dtype: Dtype | null) {
    super(`torch.${name}`);
  }
}

const STORAGES = new Map(
  ["torch", "torch.cuda", "torch.storage"].flatMap((module) =>
    [
      ...TYPES.flatMap(([dtype, , storage]): [string, Dtype | null][] => storage ? [[storage, dtype]] : []),
      ...["Untyped", "_Untyped"].map((name): [string, null] => [name, null]),
    ].map(([name, dtype]) => [`${module} ${name}Storage`, new StorageClass(`${name}Storage`, dtype)])
  ),
);

/** A list of numbers that count something. */
function counts(value: TorchValue | undefined, what: string, m: PickleMachine): number[] {
  if (!Array.isArray(value) || value.length > MAX_DIMENSIONS) {
    throw m.malformed(`has a tensor without ${what}`);
  }
  return value.map((number) => count(number, what, m));
}

function count(value: TorchValue | undefined, what: string, m: PickleMachine): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw m.malformed(`has a tensor with an impossible number in ${what}`);
}

function tensorOf(
  [storage, offset, shape, strides]: readonly TorchValue[],
  dtype: Dtype | null,
  m: PickleMachine,
): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw m.malformed("has a tensor without a storage");
  const type = dtype ?? storage.dtype ?? "U8";
  if (storage.dtype !== null && storage.dtype !== type) {
    throw m.malformed(`has a tensor of ${type} in a storage of ${storage.dtype}`);
  }
  const sizes = counts(shape, "its shape", m);
  const steps = counts(strides, "its strides", m);
  const first = count(offset, "its offset", m);
  if (sizes.length !== steps.length) {
    throw m.malformed(`has a tensor of ${sizes.length} dimensions and ${steps.length} strides`);
  }
  const elementCount = sizes.reduce((product, size) => product * size, 1);
  const end = elementCount === 0 ? first : first + lastElement(sizes, steps) + 1;
  const held = Math.floor(storage.byteLength / itemSize(type));
  if (!Number.isSafeInteger(elementCount * itemSize(type)) || !(end <= held)) {
    const shown = sizes.length > 8 ? `${sizes.slice(0, 8)},...` : sizes;
    throw m.malformed(
      `has a tensor of shape [${shown}] that lies outside of its storage of ${held} elements`,
    );
  }
  return new TorchTensor(type, sizes, steps, first, storage);
}

const rebuildTensor: Call = (args, m) => tensorOf(args, null, m);

/** Untyped storages: the element type is the seventh argument. */
const rebuildTensor3: Call = (args, m) => {
  const name = args[6];
  if (typeof name !== "string") throw m.malformed("has a tensor without an element type");
  const dtype = DTYPES.get(name);
  if (dtype === undefined) throw m.host.errors.unsupported(`it holds a tensor of ${quoted(name)}`);
  return tensorOf(args, dtype, m);
};

/** A parameter is its tensor; what hangs on it (hooks, attributes) is dropped. */
const rebuildParameter: Call = ([data], m) => {
  if (data instanceof TorchTensor) return data;
  throw m.malformed("has a parameter without a tensor");
};

/** A tensor that was given attributes: how to rebuild it, its class, the arguments, the attributes. */
const rebuildFromType: Call = ([rebuild, type, args], m) => {
  if (!(rebuild instanceof PickleGlobal) || !(type instanceof PickleGlobal) || !Array.isArray(args)) {
    throw m.malformed("has a tensor that is rebuilt in an unknown way");
  }
  if (!REBUILDERS.has(rebuild.class) || rebuild.call === undefined) throw m.host.errors.unsafe(rebuild.class);
  return rebuild.call(args, m);
};

const REBUILDERS = new Set([
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_tensor_v3",
  "torch._utils._rebuild_parameter",
  "torch._utils._rebuild_parameter_with_state",
]);

const device: Call = ([type, index], m) => {
  if (typeof type !== "string" || (index !== undefined && typeof index !== "number")) {
    throw m.malformed("has a device that is none");
  }
  m.charge(type.length);
  return index === undefined ? type : `${type}:${index}`;
};

const layout: Call = ([name], m) => {
  if (typeof name !== "string") throw m.malformed("has a layout that is none");
  return name;
};

const CALLS: [module: string, name: string, call?: Call][] = [
  ["torch._utils", "_rebuild_tensor", rebuildTensor],
  ["torch._utils", "_rebuild_tensor_v2", rebuildTensor],
  ["torch._utils", "_rebuild_tensor_v3", rebuildTensor3],
  ["torch._utils", "_rebuild_parameter", rebuildParameter],
  ["torch._utils", "_rebuild_parameter_with_state", rebuildParameter],
  ["torch._tensor", "_rebuild_from_type_v2", rebuildFromType],
  ["torch.nn.parameter", "Parameter", rebuildParameter],
  ["torch.nn.parameter", "Buffer", rebuildParameter],
  ["torch", "Size", ([shape], m) => (shape === undefined ? [] : elements(shape, "torch.Size", m))],
  ["torch", "device", device],
  ["torch.serialization", "_get_layout", layout],
  ["torch", "Tensor"],
  ["torch._tensor", "Tensor"],
];

const FUNCTIONS = new Map(
  CALLS.map(([module, name, call]) => [`${module} ${name}`, new PickleGlobal(`${module}.${name}`, call)]),
);

/** What is valid, and not read here. */
const UNSUPPORTED: [pattern: RegExp, what: string][] = [
  [/^torch\._utils _rebuild_sparse_/, "a sparse tensor"],
  [/^torch\._utils _rebuild_qtensor$/, "a quantized tensor"],
  [/^torch\._utils _rebuild_nested_tensor$/, "a nested tensor"],
  [/^torch\._utils _rebuild_meta_tensor_no_storage$/, "a tensor of the meta device, which has no elements"],
  [/^torch\._utils _rebuild_(device|xla)_tensor/, "a tensor of a device that keeps its elements elsewhere"],
  [/^torch\._utils _rebuild_wrapper_subclass$/, "a tensor of a class of its own"],
  [/^torch\.storage _load_from_bytes$/, "a tensor that was pickled without torch.save"],
  [/^torch(\.cuda|\.storage)? Complex\w*Storage$/, "a tensor of complex numbers"],
  [/^torch(\.cuda|\.storage)? Q\w*Storage$/, "a quantized tensor"],
];

/** What a name of PyTorch means; undefined where it means nothing here. */
export function torchGlobal(module: string, name: string, m: { unsupported(what: string): Error }):
  | TorchValue
  | undefined {
  const key = `${module} ${name}`;
  const unsupported = UNSUPPORTED.find(([pattern]) => pattern.test(key));
  if (unsupported !== undefined) {
    throw m.unsupported(`it holds ${unsupported[1]} (${quoted(`${module}.${name}`)})`);
  }
  if (module === "torch" && (DTYPES.has(`torch.${name}`) || OTHER_TYPES.test(name))) return `torch.${name}`;
  return FUNCTIONS.get(key) ?? STORAGES.get(key);
}
