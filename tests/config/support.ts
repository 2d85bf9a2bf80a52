/** What the tests of the jobs' configurations share. */
import { type ConfigLayer, parseSet } from "../../src/config/layers.ts";
import type { ConfigKey } from "../../src/config/settings.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "../deps.ts";

/** The images that every configuration must name. */
export const photos: ConfigLayer = parseSet("data.train=photos");

/** A job's configuration by assignments over `photos`, and the sentence that refuses them. */
export function resolverOf<Config>(resolveLayers: (layers: readonly ConfigLayer[]) => Config): {
  resolve: (...sets: string[]) => Config;
  refusal: (...sets: string[]) => string;
} {
  const resolve = (...sets: string[]) => resolveLayers([photos, ...sets.map(parseSet)]);
  return { resolve, refusal: (...sets) => assertThrows(() => resolve(...sets), InputError).message };
}

/** The defaults of `run:` that all jobs have. */
export const commonRun = {
  seed: 0,
  precision: "f32",
  remat: false,
  backend: "auto",
  logEvery: 20,
  checkpointEvery: { every: 1, unit: "epoch" },
  keep: 3,
} as const;

/** Checks that every key is there once, with its values, default and purpose in words; gives the words of one. */
export function wordsOfDescribed(keys: readonly ConfigKey[], key: string): readonly string[] {
  for (const { key, type, default: fallback, description } of keys) {
    for (const part of [type, fallback, description]) assertMatch(part, /\S/, key);
  }
  const names = keys.map(({ key }) => key);
  assertEquals(new Set(names).size, names.length);
  const found = keys.find((known) => known.key === key);
  assert(found, key);
  return found.words;
}

/** Dotted names of all values of a nested mapping. */
export function leaves(value: unknown, path: string[] = []): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path.join(".")];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]));
}
