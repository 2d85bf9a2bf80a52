/** Layers checked against a table of keys: unknown keys and wrong values are refused, and every value knows its origin. */

import { didYouMean, InputError } from "../util/errors.ts";
import type { Kind } from "./kinds.ts";
import { type ConfigLayer, isMapping, nested, show } from "./layers.ts";

/** One key of the configuration. */
export interface Field<T> {
  /** Full dotted name, `optim.batch_size`. */
  readonly key: string;
  /** What values it takes. */
  readonly kind: Kind<T>;
  /** The value when nobody gives one; undefined when it follows from other keys or must be given. */
  readonly fallback: T | undefined;
  /** The default in words, for help. */
  readonly fallbackText: string;
  /** What the key is for, for help. */
  readonly help: string;
  /** What to add to the error about a wrong value. */
  readonly advice?: (value: unknown) => string;
}

/** A key as help lists it. */
export interface ConfigKey {
  /** Full dotted name. */
  readonly key: string;
  /** What values it takes. */
  readonly type: string;
  /** The words that it takes; empty where it takes none. */
  readonly words: readonly string[];
  /** Its default, in words or in YAML. */
  readonly default: string;
  /** What it is for. */
  readonly description: string;
}

/** A key with a default value. */
export function field<T>(key: string, kind: Kind<T>, fallback: T, help: string): Field<T> {
  return { key, kind, fallback, fallbackText: valueText(kind.write(fallback)), help };
}

/** A key whose default follows from other keys, as `fallbackText` says, or which must be given. */
export function derived<T>(
  key: string,
  kind: Kind<T>,
  fallbackText: string,
  help: string,
  advice?: (value: unknown) => string,
): Field<T> {
  return { key, kind, fallback: undefined, fallbackText, help, advice };
}

/** The same key with another default. */
export function withDefault<T>(field: Field<T>, fallback: T): Field<T> {
  return { ...field, fallback, fallbackText: valueText(field.kind.write(fallback)) };
}

/** The same key with a default that follows from other keys, as `fallbackText` says. */
export function withDerivedDefault<T>(field: Field<T>, fallbackText: string): Field<T> {
  return { ...field, fallback: undefined, fallbackText };
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value).replaceAll(",", ", ");
}

/** How help lists a key. */
export function describeField(field: Field<unknown>): ConfigKey {
  const { key, kind, fallbackText, help } = field;
  return { key, type: kind.allowed, words: kind.words, default: fallbackText, description: help };
}

interface Given {
  readonly value: unknown;
  readonly origin: string;
}

/** Fields under the names that their values have in the resolved configuration. */
export type FieldTable = Readonly<Record<string, Field<unknown>>>;

/** The values of a table of fields. */
export type ValuesOf<F extends FieldTable> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never;
};

/** The values that the layers give for a table of keys. */
export class Settings {
  readonly #given = new Map<string, Given>();
  readonly #fields = new Map<string, Field<unknown>>();
  readonly #sections = new Map<string, string[]>();

  /**
   * Lays the layers over each other, later ones on top. A value for `model.encoder` (a preset) drops what earlier layers
   * said about `model.encoder.*`; the other way round, the preset stays and the part is changed.
   *
   * @throws {InputError} on the first unknown key or value of the wrong kind.
   */
  constructor(fields: readonly Field<unknown>[], layers: readonly ConfigLayer[]) {
    for (const field of fields) {
      this.#fields.set(field.key, field);
      const parts = field.key.split(".");
      for (let i = 0; i < parts.length; i++) {
        const section = parts.slice(0, i).join(".");
        const names = this.#sections.get(section) ?? [];
        if (!names.includes(parts[i])) names.push(parts[i]);
        this.#sections.set(section, names);
      }
    }
    for (const { origin, values } of layers) this.#add("", values, origin);
  }

  /** The value that a layer gives, or undefined. */
  given<T>(field: Field<T>): T | undefined {
    const given = this.#given.get(field.key);
    return given && field.kind.parse(given.value);
  }

  /**
   * The value that a layer gives, else `otherwise`, else the field's own default.
   *
   * @throws {InputError} when there is none of them.
   */
  value<T>(field: Field<T>, otherwise?: T): T {
    const given = this.given(field);
    if (given !== undefined) return given;
    const fallback = otherwise !== undefined ? otherwise : field.fallback;
    if (fallback === undefined) {
      throw new InputError(`${field.key} is missing: ${field.advice?.(undefined) ?? ""}`);
    }
    return fallback;
  }

  /**
   * The values of a table of fields; `otherwise` holds the defaults that follow from other keys.
   *
   * @throws {InputError} when a field has neither a value nor a default.
   */
  section<F extends FieldTable>(fields: F, otherwise: Partial<ValuesOf<F>> = {}): ValuesOf<F> {
    const fallbacks: Readonly<Record<string, unknown>> = otherwise;
    const values = Object.entries(fields).map(([name, field]) => [name, this.value(field, fallbacks[name])]);
    return Object.fromEntries(values) as ValuesOf<F>; // each value was read by its own field's kind
  }

  /** Where a key's value came from: "from my.yaml", or "the default". */
  source(field: Field<unknown>): string {
    const given = this.#given.get(field.key) ?? this.#given.get(field.key.replace(/\.[^.]*$/, ""));
    return given ? `from ${given.origin}` : "the default";
  }

  /** The error about a value that does not go with others: "key value (from my.yaml) reason". */
  conflict<T>(field: Field<T>, value: T, reason: string): Error {
    return new InputError(`${field.key} ${show(field.kind.write(value))} (${this.source(field)}) ${reason}`);
  }

  #add(path: string, value: unknown, origin: string): void {
    const field = this.#fields.get(path);
    if (this.#sections.has(path) && isMapping(value)) {
      for (const [name, inner] of Object.entries(value)) {
        this.#add(path === "" ? name : `${path}.${name}`, inner, origin);
      }
    } else if (field) {
      this.#set(field, value, origin);
    } else if (this.#sections.has(path)) {
      // A section with nothing under it, or with all of it commented out, is null.
      if (value !== null) throw this.#notASection(path, value, origin);
    } else {
      throw this.#unknown(path, value, origin);
    }
  }

  #set(field: Field<unknown>, value: unknown, origin: string): void {
    if (field.kind.parse(value) === undefined) throw this.#wrong(field, value, origin);
    for (const key of this.#given.keys()) if (key.startsWith(`${field.key}.`)) this.#given.delete(key);
    this.#given.set(field.key, { value, origin });
  }

  #wrong(field: Field<unknown>, value: unknown, origin: string): InputError {
    const near = typeof value === "string" ? didYouMean(value, field.kind.words) : "";
    const advice = field.advice?.(value) ?? "";
    return new InputError(
      `${field.key} must be ${field.kind.allowed}, not ${show(value)} (from ${origin})${
        advice && `: ${advice}`
      }${near}`,
    );
  }

  #notASection(path: string, value: unknown, origin: string): InputError {
    const keys = this.#sections.get(path) ?? [];
    return new InputError(
      `${path} must be a section with the keys ${keys.join(", ")}, not ${show(value)} (from ${origin})`,
    );
  }

  #unknown(path: string, value: unknown, origin: string): InputError {
    let key = path;
    for (let inner = value; isMapping(inner) && Object.keys(inner).length === 1;) {
      const name = Object.keys(inner)[0];
      key = `${key}.${name}`;
      inner = inner[name];
    }
    const section = path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : "";
    const names = (this.#sections.get(section) ?? []).join(", ");
    const takes = section !== ""
      ? `${section} takes ${names}`
      : `the ${this.#fields.has("from") ? "keys and " : ""}sections are ${names}`;
    return new InputError(`Unknown key ${show(key)} (from ${origin}): ${takes}${this.#nearestKey(key)}`);
  }

  /** The one key with the same last part, whatever its section, or else the nearest spelling. */
  #nearestKey(key: string): string {
    const keys = [...this.#fields.keys()];
    const tail = key.slice(key.lastIndexOf(".") + 1);
    const same = keys.filter((known) => known.endsWith(`.${tail}`));
    if (same.length === 1) return `; did you mean "${same[0]}"?`;
    return didYouMean(key, [...keys, ...this.#sections.keys()].filter((known) => known !== ""));
  }
}

/** The nested mapping, in the keys and forms of the YAML, of a table of fields and their values. */
export function written<F extends FieldTable>(fields: F, values: ValuesOf<F>): unknown {
  const given: Readonly<Record<string, unknown>> = values;
  return Object.entries(fields).map(([name, field]) => nested(field.key, field.kind.write(given[name])))
    .reduce(merge);
}

/** Both mappings in one, section by section; `over` wins where both give a value. */
export function merge(under: unknown, over: unknown): unknown {
  if (!isMapping(under) || !isMapping(over)) return over;
  const merged: Record<string, unknown> = { ...under };
  for (const [name, value] of Object.entries(over)) merged[name] = merge(merged[name], value);
  return merged;
}
