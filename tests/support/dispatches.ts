/** Counting what is recorded for the GPU. */

/** Runs `work` and returns how many kernels it has recorded, ours and tfjs's. */
export function countDispatches(work: () => void): number {
  return countCalls(GPUComputePassEncoder.prototype, "dispatchWorkgroups", work);
}

/** Runs `work` and returns how many workgroups its kernels have. */
export function countWorkgroups(work: () => void): number {
  const volume = (counts: readonly number[]) => counts.reduce((a, b) => a * b, 1);
  return countCalls(GPUComputePassEncoder.prototype, "dispatchWorkgroups", work, volume);
}

/** Runs `work` and returns how many copies into textures it has recorded. */
export function countTextureCopies(work: () => void): number {
  return countCalls(GPUCommandEncoder.prototype, "copyBufferToTexture", work);
}

function countCalls<Name extends string>(
  prototype: Record<Name, (...args: never[]) => unknown>,
  name: Name,
  work: () => void,
  weight: (counts: readonly number[]) => number = () => 1,
): number {
  const method = prototype[name];
  let count = 0;
  prototype[name] = function (...args) {
    count += weight(args);
    return method.apply(this, args);
  };
  try {
    work();
  } finally {
    prototype[name] = method;
  }
  return count;
}
