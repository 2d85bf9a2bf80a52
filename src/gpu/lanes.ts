/** How kernels may share values between the lanes of a subgroup on the open device. */
import type { tf } from "../deps/tfjs.ts";
import { kernelsAvailable, texelsPerRow, type TextureInput } from "./kernel.ts";
import { currentWebGpu } from "./runtime.ts";

/** Sizes of subgroup that kernels are generated for. */
const supportedLanes = [4, 8, 16];

/**
 * Lanes of a subgroup, where the device is a CPU whose kernels should work by subgroups without barriers; else null.
 *
 * On a software adapter (llvmpipe, SwiftShader) a barrier or a load from workgroup memory is dear, and a broadcast to
 * the lanes of a subgroup is one instruction. On a GPU the opposite holds.
 */
export function cpuLanes(): number | null {
  if (!kernelsAvailable()) return null;
  const adapter = currentWebGpu()?.adapter;
  if (!adapter?.software || !adapter.features.includes("subgroups")) return null;
  const [smallest, largest] = adapter.subgroupSizes;
  return smallest === largest && supportedLanes.includes(smallest) ? smallest : null;
}

/** The tensor as a texture where that is faster and fits, else as the buffer it is. */
export function asTexture(tensor: tf.Tensor): tf.Tensor | TextureInput {
  const side = currentWebGpu()?.adapter.limits.maxTextureDimension2D ?? 0;
  const fits = tensor.size % 4 === 0 && tensor.size / 4 <= texelsPerRow * side;
  return fits && cpuLanes() !== null ? { texture: tensor } : tensor;
}

/** Whether an input is bound as a texture. */
export function isTexture(input: tf.Tensor | TextureInput): input is TextureInput {
  return "texture" in input;
}
