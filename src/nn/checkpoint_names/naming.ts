/** Names of tensors as other programs have them, as a table that is read both ways. */

/**
 * How a part of the official model is called elsewhere. `#` stands for the number of a block, and `.weight` and `.bias` are
 * left out of both. Where there are several stored names, they hold equal shares of the official tensor's rows, in order.
 */
export interface NameRule {
  /** Official name. */
  readonly official: string;
  /** Names in the file. */
  readonly stored: readonly string[];
}

/** Where a tensor of a file belongs. */
export interface Place {
  /** Official name of the tensor that it is, or is a part of. */
  readonly official: string;
  /** Which part of that tensor's rows it holds, from 0. */
  readonly part: number;
  /** Parts that tensor is stored in; 1 where it is stored whole. */
  readonly parts: number;
}

/** A table of rules, ready to be looked up. */
export class Naming {
  readonly #byOfficial = new Map<string, NameRule>();
  readonly #byStored = new Map<string, { readonly rule: NameRule; readonly part: number }>();

  /** Throws `Error` where a name stands in two rules: it could not be read both ways. */
  constructor(rules: readonly NameRule[]) {
    for (const rule of rules) {
      put(this.#byOfficial, rule.official, rule);
      rule.stored.forEach((name, part) => put(this.#byStored, name, { rule, part }));
    }
  }

  /** What the file calls an official tensor: one name, or one for each share of its rows; null where it has no place. */
  storedNames(official: string): readonly string[] | null {
    const { stem, block, suffix } = taken(official);
    const rule = this.#byOfficial.get(stem);
    return rule ? rule.stored.map((name) => filled(name, block) + suffix) : null;
  }

  /** Where a tensor of the file belongs; null where it is none of the model's. */
  placeOf(stored: string): Place | null {
    const { stem, block, suffix } = taken(stored);
    const found = this.#byStored.get(stem);
    if (!found || stored.includes("#")) return null;
    const { rule, part } = found;
    return { official: filled(rule.official, block) + suffix, part, parts: rule.stored.length };
  }
}

function put<Value>(map: Map<string, Value>, name: string, value: Value): void {
  if (map.has(name)) throw new Error(`Two rules for ${name}`);
  map.set(name, value);
}

/** `blocks.11.norm1.weight` as the stem `blocks.#.norm1`, the block 11 and the suffix `.weight`. */
function taken(name: string): { stem: string; block: string; suffix: string } {
  const [, whole, suffix = ""] = /^(.*?)(\.weight|\.bias)?$/s.exec(name) ?? [];
  const [, block = ""] = /\.(0|[1-9]\d{0,5})\./.exec(whole) ?? [];
  return { stem: block === "" ? whole : whole.replace(`.${block}.`, ".#."), block, suffix };
}

function filled(stem: string, block: string): string {
  return stem.replace("#", () => block);
}
