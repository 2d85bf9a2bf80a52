/** Sections that can be left out as a whole: `none`, `default`, or a mapping of their keys. */

import { type Kind, oneOf } from "./kinds.ts";
import { nested } from "./layers.ts";
import { type Field, type FieldTable, type Settings, type ValuesOf, written } from "./settings.ts";

/** Words that stand for a whole section: left out, or there with its defaults. */
export type Toggle = "none" | "default";

/** A section that can be left out. */
export interface OptionalSection<F extends FieldTable> {
  /** The section's own key. */
  readonly toggle: Field<Toggle>;
  /** The keys under it; giving one of them switches the section on. */
  readonly fields: F;
}

const wantsNone = (value: unknown): string =>
  value === null || value === false ? "none leaves it out" : value === true ? "default switches it on" : "";

/** A section under `key` that is left out, or there, when nobody says anything. */
export function optionalSection<F extends FieldTable>(
  key: string,
  fields: F,
  fallback: Toggle,
  help: string,
): OptionalSection<F> {
  const names = Object.values(fields).map((field) => field.key.slice(key.length + 1));
  const kind: Kind<Toggle> = {
    ...oneOf("none", "default"),
    allowed: `none, default, or a mapping of ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`,
  };
  const toggle = {
    key,
    kind,
    fallback,
    fallbackText: fallback,
    help,
    advice: wantsNone,
  };
  return { toggle, fields };
}

/** The toggle and the keys under it. */
export function fieldsOf(section: OptionalSection<FieldTable>): Field<unknown>[] {
  return [section.toggle, ...Object.values(section.fields)];
}

/** The section's values, or null when it is left out. */
export function resolveOptional<F extends FieldTable>(
  settings: Settings,
  { toggle, fields }: OptionalSection<F>,
): ValuesOf<F> | null {
  // A later layer's toggle drops the keys of earlier ones: where there are keys, they came last.
  const isOn = settings.value(toggle) === "default" || givenField(settings, fields) !== undefined;
  return isOn ? settings.section(fields) : null;
}

/** The section as YAML has it: its keys, or `none`. */
export function writtenOptional<F extends FieldTable>(
  { toggle, fields }: OptionalSection<F>,
  values: ValuesOf<F> | null,
): unknown {
  return values === null ? nested(toggle.key, "none") : written(fields, values);
}

/** The error about a section that is there and does not go with others; names the key that switched it on. */
export function sectionConflict(
  settings: Settings,
  { toggle, fields }: OptionalSection<FieldTable>,
  reason: string,
): Error {
  const field = givenField(settings, fields) ?? toggle;
  return settings.conflict(field, settings.value(field), reason);
}

function givenField(settings: Settings, fields: FieldTable): Field<unknown> | undefined {
  return Object.values(fields).find((field) => settings.given(field) !== undefined);
}
