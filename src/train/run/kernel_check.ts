/** Trying the kernels of a run on its device before the first step. */
import { checkKernelsOnce, kernelWarning } from "../../ops/check/kernel_check.ts";
import type { RunParts } from "./training_job.ts";

/** Switches off what the device computes wrongly, and says so in one warning; an earlier run's findings are taken over. */
export async function checkRunKernels(
  { config, onEvent }: Pick<RunParts, "config" | "onEvent">,
): Promise<void> {
  const checks = await checkKernelsOnce(config.run.precision === "f16", {
    onStart: () => onEvent({ kind: "notice", message: "Testing this device's kernels, once" }),
  });
  const message = kernelWarning(checks);
  if (message !== null) onEvent({ kind: "warning", message });
}
