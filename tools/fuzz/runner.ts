/** Runs one target on many inputs, and keeps what is no proper answer. */

import { hashKeys, Random } from "../../src/util/random.ts";
import { InputError } from "../../src/util/errors.ts";
import { mutate, type Recipe } from "./mutate.ts";
import type { Target } from "./target.ts";

/** Longest that one input may take, in milliseconds. */
export const SLOW_MS = 1000;
/** Most that the memory may grow over one input, in bytes; garbage that is not yet collected counts. */
export const MAX_GROWTH = 256 * 2 ** 20;
/** Findings that are alike beyond this number are only counted. */
const ALIKE = 3;

/** What an input was answered with. */
export type Answer = "value" | "refusal" | { readonly problem: string };

/** An input that was not answered as it should be. */
export interface Finding {
  /** Number of the input; it is made from it, the seed and the target. */
  readonly index: number;
  /** What happened. */
  readonly problem: string;
  /** The input. */
  readonly input: Uint8Array<ArrayBuffer>;
}

/** How many inputs were answered in which way. */
export interface Counts {
  /** All of them. */
  inputs: number;
  /** Those that were read. */
  values: number;
  /** Those that were refused with one sentence. */
  refusals: number;
  /** All others. */
  problems: number;
}

/** The input with this number. */
export function inputOf(
  target: Target,
  recipe: Recipe,
  seed: number,
  index: number,
): Uint8Array<ArrayBuffer> {
  const name = hashKeys([...new TextEncoder().encode(target.name)]);
  return mutate(recipe, new Random(seed, name, index));
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const place = /(\w+\.ts:\d+)/.exec(error.stack ?? "")?.[1] ?? "unknown place";
  return `threw ${error.constructor.name} at ${place}: ${error.message.slice(0, 200)}`;
}

/** The memory that the process holds, in bytes. */
function held(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Reads one input and judges the answer. What takes long is read again: it is slow only if it is so twice. */
export async function judge(target: Target, input: Uint8Array<ArrayBuffer>, folder: string): Promise<Answer> {
  const first = await readOnce(target, input, folder);
  const { answer, ms, growth } = first.ms > SLOW_MS ? await readOnce(target, input, folder) : first;
  if (typeof answer === "object") return answer;
  if (ms > SLOW_MS) return { problem: `took ${Math.round(ms)} ms` };
  if (growth > MAX_GROWTH) return { problem: `made memory grow by ${Math.round(growth / 2 ** 20)} MiB` };
  return answer;
}

async function readOnce(
  target: Target,
  input: Uint8Array<ArrayBuffer>,
  folder: string,
): Promise<{ answer: Answer; ms: number; growth: number }> {
  const before = held();
  const start = performance.now();
  let answer: Answer = "value";
  try {
    await target.read(input, folder);
  } catch (error) {
    const isRefusal = error instanceof InputError || target.mayThrow?.(error) === true;
    answer = isRefusal ? "refusal" : { problem: describe(error) };
  }
  return { answer, ms: performance.now() - start, growth: held() - before };
}

/** What makes two findings alike: the same words, whatever the numbers. */
function kindOf(problem: string): string {
  return problem.replace(/".*"/, "").replace(
    /\.ts:\d+/,
    (place) => place.replaceAll(/\d/g, (d) => String.fromCharCode(97 + Number(d))),
  )
    .replace(/\d+/g, "0").slice(0, 120);
}

/** Runs the inputs of a target one after the other. */
export class TargetRun {
  readonly #kinds = new Map<string, number>();

  private constructor(
    /** The target. */
    readonly target: Target,
    private readonly recipe: Recipe,
    private readonly seed: number,
    private readonly folder: string,
  ) {}

  /** Prepares a target; `folder` is for its files. */
  static async start(target: Target, seed: number, folder: string): Promise<TargetRun> {
    return new TargetRun(target, await target.recipe(), seed, folder);
  }

  /** The input with this number. */
  input(index: number): Uint8Array<ArrayBuffer> {
    return inputOf(this.target, this.recipe, this.seed, index);
  }

  /** Runs the inputs from number `from` on until `count` are done. */
  async run(from: number, count: number, found: (finding: Finding) => void): Promise<Counts> {
    const counts: Counts = { inputs: 0, values: 0, refusals: 0, problems: 0 };
    for (let index = from; index < from + count; index++) {
      const input = this.input(index);
      let answer = await judge(this.target, input.slice(), this.folder);
      if (typeof answer === "object" && !answer.problem.startsWith("threw")) {
        answer = await judge(this.target, input.slice(), this.folder); // once may be another program's fault
      }
      counts.inputs++;
      if (answer === "value") counts.values++;
      else if (answer === "refusal") counts.refusals++;
      else {
        counts.problems++;
        this.#keep({ index, problem: answer.problem, input }, found);
      }
    }
    return counts;
  }

  #keep(finding: Finding, found: (finding: Finding) => void): void {
    const kind = kindOf(finding.problem);
    const alike = this.#kinds.get(kind) ?? 0;
    this.#kinds.set(kind, alike + 1);
    if (alike < ALIKE) found(finding);
  }
}
