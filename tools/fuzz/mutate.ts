/** Damaging valid files, at random and where it hurts. Equal random streams give equal damage. */

import type { Random } from "../../src/util/random.ts";

/** How the inputs of a target are made. */
export interface Recipe {
  /** Valid files. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces of the format that are put in here and there. */
  readonly words: readonly Uint8Array[];
  /** Whether the format is text, whose numbers are replaced by extreme ones. */
  readonly isText: boolean;
  /** Makes checksums and lengths right again, so that damage behind them is reached; tried on every other input. */
  readonly repair?: (bytes: Uint8Array) => void;
}

/** Longest input in bytes: what grows more slowly is seen at this size already. */
const MAX_BYTES = 256 * 2 ** 10;
const MAX_CHANGES = 6;

/** Numbers at which arithmetic goes wrong, in bytes of 1, 2, 4 or 8. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const EXTREME_TEXTS = [
  "0",
  "-0",
  "-1",
  "1e308",
  "1e999",
  "-1e999",
  "1e-320",
  "9007199254740993",
  "4294967296",
  "2147483648",
  "1.5",
  "null",
  "NaN",
  '"x"',
  "[]",
  "{}",
  "true",
];

type Change = (bytes: Uint8Array, random: Random, recipe: Recipe) => Uint8Array;

/** A range of at most `longest` bytes. */
function range(bytes: Uint8Array, random: Random, longest: number): [start: number, end: number] {
  const start = random.integer(bytes.length + 1);
  return [start, Math.min(bytes.length, start + random.integer(longest + 1))];
}

/** The bytes with those from `start` to `end` replaced. */
function splice(bytes: Uint8Array, start: number, end: number, middle: Uint8Array): Uint8Array {
  const result = new Uint8Array(start + middle.length + bytes.length - end);
  result.set(bytes.subarray(0, start));
  result.set(middle, start);
  result.set(bytes.subarray(end), start + middle.length);
  return result;
}

const pick = <T>(values: readonly T[], random: Random): T => values[random.integer(values.length)];

const flipBit: Change = (bytes, random) => {
  const at = random.integer(bytes.length);
  bytes[at] ^= 1 << random.integer(8);
  return bytes;
};

const setByte: Change = (bytes, random) => {
  bytes[random.integer(bytes.length)] = random.integer(256);
  return bytes;
};

/** Overwrites a number, as it may be a length or an offset. */
const setNumber: Change = (bytes, random) => {
  const width = 2 ** random.integer(4);
  const value = random.integer(4) === 0
    ? BigInt(bytes.length) + BigInt(random.integer(5)) - 2n
    : pick(EXTREMES, random);
  const at = random.integer(bytes.length);
  const bigEndian = random.integer(3) === 0;
  for (let i = 0; i < width && at + i < bytes.length; i++) {
    const shift = 8 * (bigEndian ? width - 1 - i : i);
    bytes[at + i] = Number((value >> BigInt(shift)) & 0xffn);
  }
  return bytes;
};

/** Adds a little to a byte, so that lengths are off by one. */
const nudge: Change = (bytes, random) => {
  bytes[random.integer(bytes.length)] += random.integer(5) - 2;
  return bytes;
};

const remove: Change = (bytes, random) => {
  const [start, end] = range(bytes, random, pick([1, 4, 16, 256], random));
  return splice(bytes, start, end, new Uint8Array());
};

const repeat: Change = (bytes, random) => {
  const [start, end] = range(bytes, random, pick([1, 4, 16, 64, 512], random));
  const piece = bytes.slice(start, end);
  const times = Math.min(pick([1, 2, 3, 100, 5000], random), Math.floor(65536 / Math.max(1, piece.length)));
  const middle = new Uint8Array(piece.length * times);
  for (let i = 0; i < times; i++) middle.set(piece, i * piece.length);
  return splice(bytes, end, end, middle);
};

const move: Change = (bytes, random) => {
  const [start, end] = range(bytes, random, 64);
  const piece = bytes.slice(start, end);
  const rest = splice(bytes, start, end, new Uint8Array());
  const at = random.integer(rest.length + 1);
  return splice(rest, at, at, piece);
};

/** Puts in or overwrites by a piece of the format. */
const putWord: Change = (bytes, random, { words }) => {
  if (words.length === 0) return flipBit(bytes, random, { words, seeds: [], isText: false });
  const word = pick(words, random);
  const at = random.integer(bytes.length + 1);
  return splice(bytes, at, random.integer(2) === 0 ? at : Math.min(bytes.length, at + word.length), word);
};

/** Puts in a part of another valid file. */
const graft: Change = (bytes, random, { seeds }) => {
  const [from, to] = range(bytes, random, 128);
  const other = pick(seeds, random);
  const [start, end] = range(other, random, 512);
  return splice(bytes, from, to, other.subarray(start, end));
};

/** Puts in many pieces of the format in a row. */
const soup: Change = (bytes, random, { words }) => {
  const chosen = Array.from(
    { length: words.length === 0 ? 0 : 1 + random.integer(40) },
    () => pick(words, random),
  );
  const middle = new Uint8Array(chosen.reduce((size, word) => size + word.length, 0));
  let offset = 0;
  for (const word of chosen) {
    middle.set(word, offset);
    offset += word.length;
  }
  const at = random.integer(bytes.length + 1);
  return splice(bytes, at, at, middle);
};

const cut: Change = (bytes, random) => bytes.slice(0, random.integer(bytes.length + 1));

/** Replaces a number in a text, or where there is none any byte. */
const extremeText: Change = (bytes, random, recipe) => {
  const text = new TextDecoder("latin1").decode(bytes);
  const numbers = [...text.matchAll(/-?\d+(\.\d+)?(e[-+]?\d+)?/g)];
  if (numbers.length === 0) return setByte(bytes, random, recipe);
  const found = pick(numbers, random);
  const word = new TextEncoder().encode(pick(EXTREME_TEXTS, random));
  return splice(bytes, found.index, found.index + found[0].length, word);
};

const SHARED: readonly Change[] = [
  flipBit,
  setByte,
  remove,
  repeat,
  move,
  putWord,
  putWord,
  soup,
  graft,
  cut,
];
const CHANGES: readonly Change[] = [...SHARED, setNumber, setNumber, nudge];
const TEXT_CHANGES: readonly Change[] = [...SHARED, extremeText, extremeText];

/** An input: a valid file with one change, or with up to six. */
export function mutate(recipe: Recipe, random: Random): Uint8Array<ArrayBuffer> {
  const changes = recipe.isText ? TEXT_CHANGES : CHANGES;
  let bytes: Uint8Array = pick(recipe.seeds, random).slice();
  for (let left = random.integer(2) === 0 ? 1 : 1 + random.integer(MAX_CHANGES); left > 0; left--) {
    if (bytes.length === 0) break;
    bytes = pick(changes, random)(bytes, random, recipe);
  }
  const result = bytes.slice(0, MAX_BYTES);
  if (recipe.repair !== undefined && random.integer(2) === 0) recipe.repair(result);
  return result;
}
