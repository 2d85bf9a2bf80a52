/** What a target of the fuzzing is, and what its inputs start from. */

import type { Recipe } from "./mutate.ts";

/** One reader. */
export interface Target {
  /** What it is called on the command line. */
  readonly name: string;
  /** How its inputs are made; called once. */
  readonly recipe: () => Promise<Recipe>;
  /** Reads one input; `folder` is a place for files. Its value does not matter. */
  readonly read: (bytes: Uint8Array<ArrayBuffer>, folder: string) => unknown;
  /** What it may throw besides `InputError`, as its documentation says. */
  readonly mayThrow?: (error: unknown) => boolean;
}

const FIXTURES = new URL("../../tests/fixtures/", import.meta.url);

/** Words as bytes. */
export const texts = (...words: readonly string[]): Uint8Array[] =>
  words.map((word) => new TextEncoder().encode(word));

/** Files of tests/fixtures. */
export const fixtures = (...names: readonly string[]): Promise<Uint8Array[]> =>
  Promise.all(names.map((name) => Deno.readFile(new URL(name, FIXTURES))));

/** Pieces of JSON. */
export const JSON_WORDS: readonly Uint8Array[] = texts(
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\u0041",
  "\\ud800",
  "null",
  '"__proto__":',
  '"constructor":',
  "[".repeat(500),
  '{"a":'.repeat(500),
);
