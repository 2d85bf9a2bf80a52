/** The classes and functions of Python's own library that a checkpoint may name, and the plain data that they become. */

import { PickleGlobal, type PickleMachine } from "./pickle_machine.ts";
import { TorchRecord, type TorchValue } from "./torch_value.ts";

/** What calling a class or function gives. */
export type Call = (args: TorchValue[], machine: PickleMachine) => TorchValue;

/** Memory of one element in a copy of a container, roughly. */
const ELEMENT_BYTES = 16;

/** A copy of a list or tuple that was given as an argument. */
export function elements(value: TorchValue | undefined, name: string, m: PickleMachine): TorchValue[] {
  const source = value instanceof Set ? [...value] : value;
  if (!Array.isArray(source)) throw m.malformed(`gives ${name} no list`);
  m.charge(ELEMENT_BYTES * source.length);
  return source.slice();
}

/** A dictionary from another one or from pairs of keys and values. */
function dictionary(
  value: TorchValue | undefined,
  name: string,
  m: PickleMachine,
): Map<TorchValue, TorchValue> {
  if (value instanceof Map) {
    m.charge(ELEMENT_BYTES * value.size);
    return new Map(value);
  }
  const result = new Map<TorchValue, TorchValue>();
  for (const pair of value === undefined ? [] : elements(value, name, m)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw m.malformed(`gives ${name} no pairs`);
    m.setItems(result, pair);
  }
  return result;
}

const set: Call = (args, m) => new Set(args.length > 0 ? elements(args[0], "set", m) : []);

/** `defaultdict`, whose first argument makes missing values. */
const defaultDictionary: Call = ([, content], m) => dictionary(content, "defaultdict", m);

/** Bytes that older protocols write as text of the characters 0 to 255. */
const encode: Call = ([text, encoding], m) => {
  if (typeof text !== "string" || (encoding !== "latin1" && encoding !== "latin-1")) {
    throw m.malformed("encodes a text otherwise than by latin1");
  }
  m.charge(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw m.malformed("has bytes beyond 255");
    bytes[i] = code;
  }
  return bytes;
};

const byteArray: Call = (args, m) => {
  if (args.length === 0) return new Uint8Array();
  const [source] = args;
  if (!(source instanceof Uint8Array)) return encode(args, m);
  m.charge(source.length);
  return source.slice();
};

/** A path, as text. */
const path = (separator: string): Call => (args, m) => {
  let text = "";
  for (const part of args) {
    if (typeof part !== "string") throw m.malformed("has a path that is not of text");
    m.charge(part.length + 1);
    text += text === "" || text.endsWith(separator) ? part : separator + part;
  }
  return text === "" ? "." : text;
};

/** Numbers that are kept under their names. */
const numbers = (name: string, fields: readonly string[]): Call => (args, m) => {
  if (args.length > fields.length || args.some((value) => value !== null && typeof value !== "number")) {
    throw m.malformed(`gives ${name} other arguments than ${fields.join(", ")}`);
  }
  return new TorchRecord(name, new Map(args.map((value, i) => [fields[i], value])));
};

/** An object without anything in it yet. */
const blank = (name: string): Call => (args, m) => {
  if (args.length > 0) throw m.malformed(`gives ${name} arguments`);
  return new TorchRecord(name);
};

/** How protocols 0 and 1 make objects: the class, its base `object`, and nothing. */
const reconstruct: Call = ([type, base, state], m) => {
  if (!(type instanceof PickleGlobal) || !(base instanceof PickleGlobal) || state !== null) {
    throw m.malformed("makes an object in an unknown way");
  }
  if (type.call === undefined || base.class !== "builtins.object") throw m.host.errors.unsafe(type.class);
  return type.call([], m);
};

const builtins: [name: string, call?: Call][] = [
  ["set", set],
  ["frozenset", set],
  ["bytearray", byteArray],
  ["bytes", byteArray],
  ["list", (args, m) => m.list(args.length > 0 ? elements(args[0], "list", m) : [])],
  ["tuple", (args, m) => (args.length > 0 ? elements(args[0], "tuple", m) : [])],
  ["dict", ([content], m) => dictionary(content, "dict", m)],
  ["complex", numbers("builtins.complex", ["real", "imag"])],
  ["range", numbers("builtins.range", ["start", "stop", "step"])],
  ["xrange", numbers("builtins.range", ["start", "stop", "step"])],
  ["slice", numbers("builtins.slice", ["start", "stop", "step"])],
  // named but never called: makers of missing values, and arguments that are types
  ...["object", "int", "float", "str", "bool"].map((name): [string] => [name]),
];

const others: [module: string, name: string, call: Call][] = [
  ["collections", "OrderedDict", ([content], m) => dictionary(content, "OrderedDict", m)],
  ["collections", "defaultdict", defaultDictionary],
  ["collections", "Counter", ([content], m) => dictionary(content, "Counter", m)],
  [
    "collections",
    "deque",
    ([content], m) => m.list(content === undefined ? [] : elements(content, "deque", m)),
  ],
  ["argparse", "Namespace", blank("argparse.Namespace")],
  ["types", "SimpleNamespace", blank("types.SimpleNamespace")],
  ["_codecs", "encode", encode],
  ["pathlib", "PosixPath", path("/")],
  ["pathlib", "PurePosixPath", path("/")],
  ["pathlib", "Path", path("/")],
  ["pathlib", "WindowsPath", path("\\")],
  ["pathlib", "PureWindowsPath", path("\\")],
  ["pathlib._local", "PosixPath", path("/")],
  ["pathlib._local", "WindowsPath", path("\\")],
  ["copy_reg", "_reconstructor", reconstruct],
  ["copyreg", "_reconstructor", reconstruct],
];

/** Python's own classes and functions, by module and name with a space between. */
export const PLAIN_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map([
  ...["builtins", "__builtin__"].flatMap((module) =>
    builtins.map(([name, call]): [string, PickleGlobal] => [
      `${module} ${name}`,
      new PickleGlobal(`builtins.${name}`, call),
    ])
  ),
  ...others.map(([module, name, call]): [string, PickleGlobal] => [
    `${module} ${name}`,
    new PickleGlobal(`${module}.${name}`, call),
  ]),
]);

/** Gives an object the attributes of a dictionary, or of a pair of dictionaries (the second for slots). */
export function setAttributes(record: TorchRecord, state: TorchValue, m: PickleMachine): void {
  for (const part of Array.isArray(state) ? state : [state]) {
    if (part === null) continue;
    if (!(part instanceof Map)) throw m.malformed(`gives ${record.class} attributes that are none`);
    m.charge(ELEMENT_BYTES * part.size);
    for (const [name, value] of part) {
      if (typeof name !== "string") throw m.malformed(`gives ${record.class} an attribute without a name`);
      if (record.fields.has(name)) throw m.malformed(`gives ${record.class} the same attribute twice`);
      record.fields.set(name, value);
    }
  }
}
