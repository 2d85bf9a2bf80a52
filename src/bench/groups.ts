/** The many kernels of a step under names that a table can show. */
import type { DispatchTime } from "./profile.ts";

/** Dispatches that belong together. */
export interface KernelGroup {
  /** What they do: "product NT", "attention backward", "tfjs Transpose". */
  readonly name: string;
  /** How many there are. */
  readonly dispatches: number;
  /** All of them together. */
  readonly milliseconds: number;
}

/** The group of a kernel, from its name; see `KernelSource.name`. */
export function groupOf(name: string): string {
  if (name.startsWith("tfjs ")) return name;
  const product = /^matmul_.*?_?(NN|NT|TN)(_|$)/.exec(name);
  if (product) return `product ${product[1]}`;
  const [, words] = /^([a-z]+(?:_[a-z]+)*)/.exec(name) ?? ["", name];
  for (const [start, group] of twoWay) {
    if (words.startsWith(start)) return `${group} ${isBackward.test(words) ? "backward" : "forward"}`;
  }
  return words.replace(storage, "").replaceAll("_", " ");
}

/** Operations whose kernels are told apart by direction only. */
const twoWay = [["attention", "attention"], ["layer_norm", "layer norm"], [
  "pixel_loss",
  "pixel loss",
]] as const;

const isBackward = /_(backward|gradient|along|query|key|dx|columns|pieces|sums)/;

/** How operands are stored is no part of what a kernel does. */
const storage = /(_(half|buffer|texture|single|lanes|tiles|quads|true|false))+.*$/;

/** Dispatches by group, the longest first. */
export function groupTimes(times: readonly DispatchTime[]): KernelGroup[] {
  const groups = new Map<string, KernelGroup>();
  for (const { name, milliseconds } of times) {
    const group = groupOf(name);
    const before = groups.get(group) ?? { name: group, dispatches: 0, milliseconds: 0 };
    groups.set(group, {
      name: group,
      dispatches: before.dispatches + 1,
      milliseconds: before.milliseconds + milliseconds,
    });
  }
  return [...groups.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
