/**
 * Throws damaged files at every reader of files that strangers made, and keeps those that end in anything but a value or
 * one sentence, take longer than a second or hundreds of megabytes. The task `fuzz` in deno.json gives it its permissions.
 *
 * It goes on where it stopped: `.cache/fuzz.json` has the state, `.cache/fuzz/` the findings.
 */

import { didYouMean, InputError } from "../src/util/errors.ts";
import { type Finding, judge, TargetRun } from "./fuzz/runner.ts";
import { type FuzzState, readState, totalsOf, writeState } from "./fuzz/state.ts";
import type { Target } from "./fuzz/target.ts";
import { TARGETS } from "./fuzz/targets.ts";
import { say } from "./setup.ts";

const HELP = `deno task fuzz [--target NAME]… [--inputs N] [--seconds S] [--seed N] [--replay FILE]

  --target   reader to test, again for more; all by default
  --inputs   inputs for each target in this session; 10000 by default
  --seconds  end after so many seconds, wherever it is
  --seed     where the inputs come from; another seed starts anew, otherwise it goes on where it stopped
  --replay   read one file by the target, and say what comes of it

Targets: ${TARGETS.map(({ name }) => name).join(", ")}`;

const STATE = ".cache/fuzz.json";
const FINDINGS = ".cache/fuzz";
/** Inputs between two looks at the clock and two writes of the state. */
const BLOCK = 500;

/** What the command line asks for. */
export interface FuzzOptions {
  /** Targets to run. */
  readonly targets: readonly Target[];
  /** Inputs for each. */
  readonly inputs: number;
  /** When to end, in milliseconds of `performance.now()`. */
  readonly deadline: number;
  /** The seed, where one is given. */
  readonly seed?: number;
  /** A file to read instead of all this. */
  readonly replay?: string;
}

const FLAGS = ["target", "inputs", "seconds", "seed", "replay"];

/** The values of each flag, given as `--flag value` or `--flag=value`. */
function valuesOf(args: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>(FLAGS.map((flag) => [flag, []]));
  for (let i = 0; i < args.length; i++) {
    const [, flag = "", given] = /^--(\w+)(?:=(.*))?$/.exec(args[i]) ?? [];
    if (!values.has(flag)) {
      throw new InputError(`"${args[i]}" is none of ${FLAGS.map((name) => `--${name}`).join(", ")}`);
    }
    const value = given ?? args[++i];
    if (value === undefined) throw new InputError(`--${flag} takes a value`);
    values.get(flag)?.push(value);
  }
  return values;
}

function whole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InputError(`--${flag} takes a whole number, not "${text}"`);
}

/** The target of this name. */
function targetOf(name: string): Target {
  const found = TARGETS.find((target) => target.name === name);
  if (found) return found;
  throw new InputError(
    `there is no target "${name}"${didYouMean(name, TARGETS.map((target) => target.name))}`,
  );
}

/**
 * What the arguments ask for.
 * @throws {InputError} with one sentence where they are none of those of the help
 */
export function parseOptions(args: readonly string[]): FuzzOptions {
  const values = valuesOf(args);
  const number = (flag: string) => whole(flag, values.get(flag)?.at(-1));
  const names = values.get("target") ?? [];
  const replay = values.get("replay")?.at(-1);
  if (replay !== undefined && names.length !== 1) {
    throw new InputError("--replay takes one --target beside it");
  }
  return {
    targets: names.length > 0 ? names.map(targetOf) : TARGETS,
    inputs: number("inputs") ?? 10_000,
    deadline: performance.now() + 1000 * (number("seconds") ?? Infinity),
    seed: number("seed"),
    replay,
  };
}

/** Where a session keeps its things. */
export interface FuzzPlaces {
  /** File of the state. */
  readonly state: string;
  /** Folder of the findings. */
  readonly findings: string;
  /** Folder for the files of targets that read files. */
  readonly scratch: string;
  /** Says a line. */
  readonly say: (line: string) => void;
}

/** A session over the targets. Returns how many inputs were not answered as they should be. */
export async function fuzz(options: FuzzOptions, places: FuzzPlaces): Promise<number> {
  const state = await readState(places.state, options.seed);
  let problems = 0;
  for (const target of options.targets) {
    const before = totalsOf(state, target.name).problems;
    await fuzzTarget(target, state, options, places);
    problems += totalsOf(state, target.name).problems - before;
  }
  return problems;
}

async function fuzzTarget(
  target: Target,
  state: FuzzState,
  options: FuzzOptions,
  places: FuzzPlaces,
): Promise<void> {
  const { name } = target;
  const run = await TargetRun.start(target, state.seed, places.scratch);
  const totals = totalsOf(state, name);
  const end = totals.inputs + options.inputs;
  const found = (finding: Finding) => keep(target, finding, state, places);
  const start = performance.now();
  const first = totals.inputs;
  // Inputs that were under way when the process ended are taken one by one.
  let careful = state.running?.target === name ? state.running : null;
  if (careful?.count === 1) {
    found({
      index: careful.from,
      problem: "ended the process or never ended",
      input: run.input(careful.from),
    });
    totals.inputs++;
    totals.problems++;
    careful = null;
  }
  while (totals.inputs < end && performance.now() < options.deadline) {
    const isCareful = careful !== null && totals.inputs < careful.from + careful.count;
    const count = isCareful ? 1 : Math.min(BLOCK, end - totals.inputs);
    state.running = { target: name, from: totals.inputs, count };
    await writeState(places.state, state);
    const blockStart = performance.now();
    const counts = await run.run(totals.inputs, count, found);
    totals.seconds += (performance.now() - blockStart) / 1000;
    for (const key of ["inputs", "values", "refusals", "problems"] as const) totals[key] += counts[key];
  }
  state.running = null;
  await writeState(places.state, state);
  const done = totals.inputs - first;
  const rate = Math.round(done / Math.max(1e-3, (performance.now() - start) / 1000));
  places.say(
    `${name}: ${done} inputs at ${rate} per second; ${totals.inputs} in all: ${totals.values} values, ` +
      `${totals.refusals} refusals, ${totals.problems} findings`,
  );
}

function keep(
  target: Target,
  { index, problem, input }: Finding,
  state: FuzzState,
  places: FuzzPlaces,
): void {
  Deno.mkdirSync(places.findings, { recursive: true });
  const path = `${places.findings}/finding-${target.name}-${state.seed}-${index}.bin`;
  Deno.writeFileSync(path, input);
  places.say(`FOUND ${target.name} ${problem}\n  deno task fuzz --target ${target.name} --replay ${path}`);
}

/** Reads one file by a target; returns whether the answer is a problem. */
async function replay(target: Target, path: string, places: FuzzPlaces): Promise<boolean> {
  const input = await Deno.readFile(path);
  try {
    await target.read(input.slice(), places.scratch);
  } catch (error) {
    places.say(error instanceof Error ? error.stack ?? error.message : String(error));
  }
  const answer = await judge(target, input, places.scratch);
  places.say(typeof answer === "object" ? `problem: it ${answer.problem}` : `no problem: a ${answer}`);
  return typeof answer === "object";
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help")) {
    say(HELP);
    return 0;
  }
  const scratch = await Deno.makeTempDir();
  const places = { state: STATE, findings: FINDINGS, scratch, say };
  try {
    await Deno.mkdir(".cache", { recursive: true });
    const options = parseOptions(Deno.args);
    if (options.replay === undefined) return await fuzz(options, places) > 0 ? 1 : 0;
    return await replay(options.targets[0], options.replay, places) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    say(error.message);
    return 2;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
