/** How models compute, which changes nothing about what they are. */
import { kernelTarget } from "../gpu/target.ts";
import { InputError } from "../util/errors.ts";

/** How a model computes. */
export interface ComputeOptions {
  /**
   * `f16` keeps what blocks make (and its gradients) in half precision, on devices with `shader-f16`; sums, the residual
   * stream, parameters and the optimizer stay in single precision. `f32` by default.
   */
  readonly precision?: "f32" | "f16";
  /** Keep only each block's input, and run the block again on the way back; false by default. */
  readonly remat?: boolean;
}

/** Throws `InputError` when the open device cannot compute in the precision asked for. */
export function checkPrecision({ precision }: ComputeOptions): void {
  if (precision !== "f16" || kernelTarget()?.half) return;
  throw new InputError(
    "Precision f16 needs a GPU with the feature shader-f16, which this device lacks (mae doctor shows it); use f32",
  );
}
