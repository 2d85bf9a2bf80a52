/** What kernels are generated for: the family that suits the open device, and what the device can do. */
import { kernelsAvailable } from "./kernel.ts";
import { currentWebGpu } from "./runtime.ts";

/**
 * Two ways of writing a kernel.
 *
 * `lanes` is for software adapters (llvmpipe, SwiftShader), where a barrier or a load from workgroup memory is dear and a
 * broadcast to the lanes of a subgroup is one instruction: no barriers, operands in textures, sharing by subgroup.
 * `tiles` is for everything else: workgroup memory and register blocking; subgroup operations only where they help, so
 * that a device without them is served as well.
 */
export type Family = "lanes" | "tiles";

/** What the open device offers to kernels. */
export interface Target {
  /** How kernels are written for it. */
  readonly family: Family;
  /** Lanes of a subgroup; 1 where kernels must do without subgroups. */
  readonly lanes: number;
  /** Whether `shader-f16` was granted. */
  readonly half: boolean;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
  /** Most threads of a workgroup. */
  readonly threads: number;
  /** Most bytes of a binding. */
  readonly bindingBytes: number;
}

/** Sizes of subgroup that kernels are generated for. */
const supportedLanes = [4, 8, 16, 32, 64];
const supportedCpuLanes = [4, 8, 16];

let override: Partial<Target> = {};

/** What kernels are generated for on the open device; null where there is no WebGPU device. */
export function kernelTarget(): Target | null {
  if (!kernelsAvailable()) return null;
  const adapter = currentWebGpu()?.adapter;
  if (!adapter) return null;
  const [smallest, largest] = adapter.subgroupSizes;
  const fixed = adapter.features.includes("subgroups") && smallest === largest;
  const lanes = fixed && supportedLanes.includes(smallest) ? smallest : 1;
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxStorageBufferBindingSize } =
    adapter.limits;
  return {
    family: adapter.software && supportedCpuLanes.includes(lanes) ? "lanes" : "tiles",
    lanes,
    half: adapter.features.includes("shader-f16"),
    workgroupBytes: maxComputeWorkgroupStorageSize,
    threads: maxComputeInvocationsPerWorkgroup,
    bindingBytes: maxStorageBufferBindingSize,
    ...override,
  };
}

/** The same where kernels are about to run. Throws an `Error` where there is no WebGPU device. */
export function requiredTarget(): Target {
  const target = kernelTarget();
  if (target === null) throw new Error("Kernels need the WebGPU backend");
  return target;
}

/** Lanes of a subgroup where kernels are written for lanes, else null. */
export function cpuLanes(): number | null {
  const target = kernelTarget();
  return target?.family === "lanes" ? target.lanes : null;
}

/** Runs `work` with kernels for another target than the device's own: how tests reach every family on any device. */
export function withTarget<Result>(changes: Partial<Target>, work: () => Result): Result {
  const before = override;
  override = { ...override, ...changes };
  try {
    return work();
  } finally {
    override = before;
  }
}
