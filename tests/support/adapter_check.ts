/**
 * Tries every kernel on the adapter that the environment leaves and prints
 * what came out as one line of JSON: `AdapterOutcome`, or null where there is no adapter. A process of its own, because
 * drivers read the environment once. Its argument is an `AdapterPlan` as JSON.
 */
import { openRuntime } from "../../src/gpu/runtime.ts";
import { withTarget } from "../../src/gpu/target.ts";
import { checkKernels, kernelName } from "../../src/ops/check/kernel_check.ts";
import { kernelCases } from "../../src/ops/check/kernel_cases.ts";
import { kernelTargets } from "./targets.ts";
import { wideCases } from "./wide_cases.ts";

/** What to try. */
export interface AdapterPlan {
  /** Names of the kernel targets. */
  readonly targets: readonly string[];
  /** Whether to try the wide cases as well. */
  readonly wide?: boolean;
  /** Kernels to leave out, for the time that they take; in half precision with " in f16". */
  readonly without?: readonly string[];
}

/** What a process found. */
export interface AdapterOutcome {
  /** The driver's name for the device. */
  readonly description: string;
  /** Optional features that it has. */
  readonly features: readonly string[];
  /** Lanes of a subgroup, smallest and largest. */
  readonly subgroupSizes: readonly [number, number];
  /** Its limits. */
  readonly limits: Readonly<Record<string, number>>;
  /** Names of the kernels tried on every target, in half precision with " in f16". */
  readonly tried: readonly string[];
  /** What is wrong, a sentence each. */
  readonly faults: readonly string[];
}

async function check({ targets, wide = false, without = [] }: AdapterPlan): Promise<AdapterOutcome | null> {
  const cases = [...kernelCases(), ...wide ? wideCases() : []].filter((one) =>
    !without.includes(kernelName(one))
  );
  const { adapter, check } = await openRuntime();
  if (!adapter) return null;
  const tried = new Set<string>();
  const faults: string[] = [];
  for (const { name, changes } of kernelTargets.filter(({ name }) => targets.includes(name))) {
    const onTarget = cases.map((one) => ({ ...one, run: () => withTarget(changes, one.run) }));
    for (const one of await checkKernels(onTarget)) {
      tried.add(kernelName(one));
      if (!one.ok) faults.push(`${name}: ${kernelName(one)}: ${one.detail}`);
    }
  }
  check();
  const { description, features, subgroupSizes, limits } = adapter;
  return { description, features, subgroupSizes, limits, tried: [...tried], faults };
}

// deno-lint-ignore no-console -- this is how it answers
if (import.meta.main) console.log(JSON.stringify(await check(JSON.parse(Deno.args[0]))));
