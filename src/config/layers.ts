/** Where configuration comes from: YAML files, `--set` and flags, each a layer over the one before. */

import { parseYaml } from "../deps/std.ts";
import { InputError, messageOf } from "../util/errors.ts";

/** What one source says. */
export interface ConfigLayer {
  /** The name errors give to the source: a file's name, `--set`, or a flag. */
  readonly origin: string;
  /** A nested mapping in the keys of the YAML. */
  readonly values: unknown;
}

/** Whether a value read from YAML is a mapping. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as an error sentence shows it: on one line, and not for ever. */
export function show(value: unknown): string {
  const shown = typeof value === "number" ? String(value) : jsonOf(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "a value that contains itself";
  }
}

/** `{a: {b: value}}` for the key `a.b`; every part becomes an own property, whatever its name. */
export function nested(key: string, value: unknown): unknown {
  return key.split(".").reduceRight<unknown>((inner, part) => Object.fromEntries([[part, inner]]), value);
}

/**
 * The layer of a YAML text.
 *
 * @throws {InputError} naming the file, line and column of a mistake in the YAML, or when the top is not a mapping.
 */
export function parseYamlLayer(yaml: string, origin: string): ConfigLayer {
  const values = readYaml(yaml, origin) ?? {};
  if (!isMapping(values)) {
    throw new InputError(`${origin} must hold sections such as "model:" and "data:", not ${show(values)}`);
  }
  return { origin, values };
}

/**
 * The layer of one `--set KEY=VALUE`; the value is read as YAML.
 *
 * @throws {InputError} when there is no key, no `=`, or the value is not YAML.
 */
export function parseSet(assignment: string): ConfigLayer {
  const cut = assignment.indexOf("=");
  const key = assignment.slice(0, Math.max(cut, 0)).trim();
  if (key === "") {
    throw new InputError(`--set takes KEY=VALUE such as optim.epochs=100, not ${show(assignment)}`);
  }
  return { origin: "--set", values: nested(key, readYaml(assignment.slice(cut + 1), `--set ${assignment}`)) };
}

function readYaml(yaml: string, origin: string): unknown {
  try {
    // "core" has no dates: 2024-01-01 stays text.
    return parseYaml(yaml.replace(/^\uFEFF/, ""), { schema: "core" });
  } catch (error) {
    // The library's message is "reason at line 2, column 1:" and then the line itself.
    const [, reason, place] = /^(.*?)(?: at (line \d+, column \d+):)?(?:\n|$)/.exec(messageOf(error)) ?? [];
    const where = place !== undefined && !origin.startsWith("--") ? `, ${place},` : "";
    throw new InputError(
      `${origin}${where} is not valid YAML: ${reason?.replace(/^Cannot/, "cannot") ?? "no reason given"}`,
    );
  }
}
