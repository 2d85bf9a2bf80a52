/** What a fuzzing session has done, on the disk, so that the next one goes on from there. */

import { writeFileAtomic } from "../../src/util/files.ts";
import type { Counts } from "./runner.ts";

/** The totals of one target. */
export interface Totals extends Counts {
  /** Time that they took. */
  seconds: number;
}

/** The state of a session. */
export interface FuzzState {
  /** Seed of every input. */
  readonly seed: number;
  /** Totals by target; the next input has the number of inputs. */
  readonly targets: Record<string, Totals>;
  /**
   * The inputs that are under way. Found at the start, it says that they ended the process or never ended: they are then run
   * one by one, and the guilty one is found the same way.
   */
  running: { target: string; from: number; count: number } | null;
}

/** The totals of a target, zero at first. */
export function totalsOf(state: FuzzState, target: string): Totals {
  return state.targets[target] ??= { inputs: 0, values: 0, refusals: 0, problems: 0, seconds: 0 };
}

/** Reads the state where it is of this seed, or of any where none is given; a new one where there is none. */
export async function readState(path: string, seed: number | undefined): Promise<FuzzState> {
  try {
    const state: FuzzState = JSON.parse(await Deno.readTextFile(path));
    if (seed === undefined || state.seed === seed) return state;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof SyntaxError)) throw error;
  }
  return { seed: seed ?? 1, targets: {}, running: null };
}

/** Writes the state. */
export async function writeState(path: string, state: FuzzState): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(state, null, 1)}\n`);
}
