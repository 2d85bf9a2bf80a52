/** What of a checkpoint does not fit what it is wanted for, and saying so. */

/** Shapes by name. */
export type ShapeList = ReadonlyMap<string, readonly number[]>;

/** Names that do not fit. */
export interface Misfits {
  /** What is wanted and not there. */
  readonly missing: readonly string[];
  /** What is there and not wanted. */
  readonly unexpected: readonly string[];
  /** What is there in another shape: "a [3] instead of [2]". */
  readonly misshapen: readonly string[];
}

/** Compares what is there with what is wanted. */
export function findMisfits(wanted: ShapeList, given: ShapeList): Misfits {
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const [name, shape] of wanted) {
    const own = given.get(name);
    if (own === undefined) missing.push(name);
    else if (own.join() !== shape.join()) {
      misshapen.push(`${name} [${own.join(", ")}] instead of [${shape.join(", ")}]`);
    }
  }
  return { missing, misshapen, unexpected: [...given.keys()].filter((name) => !wanted.has(name)) };
}

/** Whether there are any. */
export function hasMisfits({ missing, unexpected, misshapen }: Misfits): boolean {
  return missing.length + unexpected.length + misshapen.length > 0;
}

/** Most names of a kind that are listed. */
const MOST_NAMES = 10;

/** "12 missing: a, b, …, and 2 more; 1 unexpected: c; 1 of another shape: d [3] instead of [2]" */
export function listMisfits({ missing, unexpected, misshapen }: Misfits): string {
  const kinds: readonly (readonly [what: string, names: readonly string[]])[] = [
    ["missing", missing],
    ["unexpected", unexpected],
    ["of another shape", misshapen],
  ];
  return kinds.filter(([, names]) => names.length > 0)
    .map(([what, names]) => `${names.length} ${what}: ${listNames(names)}`)
    .join("; ");
}

/** The first ten names, and how many more there are. */
export function listNames(names: readonly string[]): string {
  const rest = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : "";
  return names.slice(0, MOST_NAMES).map(printable).join(", ") + rest;
}

/** Names come from files: no control characters, and no end without. */
function printable(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 117)}...` : name;
  return short.replace(/[^\P{C} ]/gu, "?");
}
