/**
 * Reading Python's pickles as plain data. Format: Python's `pickletools.py`, protocols 0 to 5; instructions that
 * `torch.save` never writes are refused. Nothing is run: see `torch_globals.ts` for the names that have a meaning.
 */

import { decodeText, PickleGlobal, type PickleHost, PickleMachine } from "./pickle_machine.ts";
import type { TorchValue } from "./torch_value.ts";

type Operation = (machine: PickleMachine) => void;

const OPERATIONS: (Operation | undefined)[] = [];

/** Declares an instruction, by its character or its code. */
function define(code: string | number, operation: Operation): void {
  OPERATIONS[typeof code === "number" ? code : code.charCodeAt(0)] = operation;
}

// frame and end

define(0x80, (m) => { // PROTO
  const version = m.unsigned(1);
  if (version > 5) throw m.malformed(`is of the unknown protocol ${version}`);
});
define(0x95, (m) => void m.unsigned(8)); // FRAME: how much to read at once, which does not matter here
define(".", (m) => { // STOP
  m.stopped = true;
});

// constants and numbers

define("N", (m) => m.push(null)); // NONE
define(0x88, (m) => m.push(true)); // NEWTRUE
define(0x89, (m) => m.push(false)); // NEWFALSE
define("J", (m) => m.push(m.signed())); // BININT
define("K", (m) => m.push(m.unsigned(1))); // BININT1
define("M", (m) => m.push(m.unsigned(2))); // BININT2
define("G", (m) => m.push(m.double())); // BINFLOAT
define(0x8a, (m) => m.push(m.integer(m.unsigned(1)))); // LONG1
define(0x8b, (m) => m.push(m.integer(m.unsigned(4)))); // LONG4
define("I", (m) => { // INT, which also writes truth values
  const line = m.line();
  m.push(line === "00" ? false : line === "01" ? true : decimal(line, m));
});
define("L", (m) => m.push(decimal(m.line().replace(/L$/, ""), m))); // LONG
define("F", (m) => { // FLOAT
  const line = m.line();
  const value = FLOATS.get(line) ??
    (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(line) ? Number(line) : null);
  if (value === null) throw m.malformed("has a number that is none");
  m.push(value);
});

const FLOATS = new Map([["nan", NaN], ["inf", Infinity], ["-inf", -Infinity]]);

function decimal(line: string, m: PickleMachine): number | bigint {
  if (!/^[-+]?\d+$/.test(line)) throw m.malformed("has an integer that is none");
  const value = Number(line);
  return Number.isSafeInteger(value) ? value : BigInt(line.replace(/^\+/, ""));
}

// text and bytes

/** Text that Python 2 wrote, or its bytes where it is none. */
const oldText = (bytes: Uint8Array, m: PickleMachine) => {
  const text = decodeText(bytes);
  if (text === null) m.charge(bytes.length);
  return text ?? bytes.slice();
};

define("X", (m) => m.push(m.text(m.unsigned(4)))); // BINUNICODE
define(0x8c, (m) => m.push(m.text(m.unsigned(1)))); // SHORT_BINUNICODE
define(0x8d, (m) => m.push(m.text(m.unsigned(8)))); // BINUNICODE8
define("U", (m) => m.push(oldText(m.take(m.unsigned(1)), m))); // SHORT_BINSTRING
define("T", (m) => { // BINSTRING, whose length is signed
  const length = m.signed();
  if (length < 0) throw m.malformed("has a string of negative length");
  m.push(oldText(m.take(length), m));
});
define("C", (m) => m.push(m.take(m.unsigned(1)).slice())); // SHORT_BINBYTES
define("B", (m) => m.push(m.take(m.unsigned(4)).slice())); // BINBYTES
define(0x8e, (m) => m.push(m.take(m.unsigned(8)).slice())); // BINBYTES8
define(0x96, (m) => m.push(m.take(m.unsigned(8)).slice())); // BYTEARRAY8

// containers

define("]", (m) => m.pushNew(m.list([]))); // EMPTY_LIST
define(")", (m) => m.pushNew([])); // EMPTY_TUPLE
define("}", (m) => m.pushNew(new Map())); // EMPTY_DICT
define(0x8f, (m) => m.pushNew(new Set())); // EMPTY_SET
define("l", (m) => m.pushNew(m.list(m.popMarked()))); // LIST
define("t", (m) => m.pushNew(m.popMarked())); // TUPLE
define(0x91, (m) => m.pushNew(new Set(m.popMarked()))); // FROZENSET
define(0x85, (m) => m.pushNew([m.pop()])); // TUPLE1
define(0x86, (m) => { // TUPLE2
  const second = m.pop();
  m.pushNew([m.pop(), second]);
});
define(0x87, (m) => { // TUPLE3
  const third = m.pop();
  const second = m.pop();
  m.pushNew([m.pop(), second, third]);
});
define("d", (m) => { // DICT
  const dictionary = new Map();
  m.setItems(dictionary, m.popMarked());
  m.pushNew(dictionary);
});
define("a", (m) => append(m, [m.pop()])); // APPEND
define("e", (m) => append(m, m.popMarked())); // APPENDS
define("s", (m) => { // SETITEM
  const value = m.pop();
  setItems(m, [m.pop(), value]);
});
define("u", (m) => setItems(m, m.popMarked())); // SETITEMS
define(0x90, (m) => { // ADDITEMS
  const items = m.popMarked();
  const set = m.top();
  if (!(set instanceof Set)) throw m.malformed("adds to what is no set");
  for (const item of items) set.add(item);
});

function append(m: PickleMachine, items: readonly TorchValue[]): void {
  const list = m.top();
  if (!Array.isArray(list) || !m.lists.has(list)) throw m.malformed("appends to what is no list");
  for (const item of items) list.push(item);
}

function setItems(m: PickleMachine, items: readonly TorchValue[]): void {
  const dictionary = m.top();
  if (!(dictionary instanceof Map)) throw m.malformed("sets an item of what is no dictionary");
  m.setItems(dictionary, items);
}

// stack and memo

define("(", (m) => m.mark()); // MARK
define("0", (m) => m.drop()); // POP
define("1", (m) => void m.popMarked()); // POP_MARK
define("2", (m) => m.push(m.top())); // DUP
define("p", (m) => m.remember(index(m))); // PUT
define("q", (m) => m.remember(m.unsigned(1))); // BINPUT
define("r", (m) => m.remember(m.unsigned(4))); // LONG_BINPUT
define(0x94, (m) => m.rememberNext()); // MEMOIZE
define("g", (m) => m.recall(index(m))); // GET
define("h", (m) => m.recall(m.unsigned(1))); // BINGET
define("j", (m) => m.recall(m.unsigned(4))); // LONG_BINGET

function index(m: PickleMachine): number {
  const value = decimal(m.line(), m);
  if (typeof value !== "number" || value < 0) throw m.malformed("has an impossible memo number");
  return value;
}

// names and objects

define("c", (m) => { // GLOBAL
  const module = m.line();
  m.push(m.host.global(module, m.line()));
});
define(0x93, (m) => { // STACK_GLOBAL
  const name = m.pop();
  const module = m.pop();
  if (typeof name !== "string" || typeof module !== "string") throw m.malformed("names a class without text");
  m.push(m.host.global(module, name));
});
define("i", (m) => { // INST
  const module = m.line();
  throw m.host.errors.unsafe(`${module}.${m.line()}`);
});
define("o", (m) => { // OBJ
  const [callee] = m.popMarked();
  if (!(callee instanceof PickleGlobal)) throw m.malformed("makes an object of what is no class");
  throw m.host.errors.unsafe(callee.class);
});
define("R", (m) => call(m, m.pop())); // REDUCE
define(0x81, (m) => call(m, m.pop())); // NEWOBJ
define(0x92, (m) => { // NEWOBJ_EX
  const keywords = m.pop();
  if (!(keywords instanceof Map) || keywords.size > 0) {
    throw m.malformed("makes an object with named arguments");
  }
  call(m, m.pop());
});
define("b", (m) => { // BUILD
  const state = m.pop();
  m.host.build(m.top(), state, m);
});
define("Q", (m) => m.pushNew(m.host.persistent(m.pop()))); // BINPERSID

function call(m: PickleMachine, args: TorchValue): void {
  const callee = m.pop();
  if (!(callee instanceof PickleGlobal)) throw m.malformed("calls what is no class or function");
  if (!Array.isArray(args)) throw m.malformed(`gives ${callee.class} no list of arguments`);
  if (callee.call === undefined) throw m.host.errors.unsafe(callee.class);
  m.pushNew(callee.call(args, m));
}

/**
 * Reads one pickle.
 *
 * @param bytes what holds it
 * @param start its first byte
 * @param host gives its names their meaning
 * @returns its value, and where the bytes go on after it
 * @throws {InputError} where it is damaged, or asks for what the host refuses
 * @throws {PickleCutShort} where the bytes end inside it
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
): { value: TorchValue; end: number } {
  const machine = new PickleMachine(bytes, start, host);
  while (!machine.stopped) {
    const code = machine.instruction();
    const operation = OPERATIONS[code];
    if (operation === undefined) {
      throw machine.malformed(
        `has the instruction 0x${code.toString(16).padStart(2, "0")}, which torch.save never writes,`,
      );
    }
    operation(machine);
  }
  return { value: machine.result(), end: machine.position };
}
