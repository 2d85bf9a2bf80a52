/** Choosing an adapter and asking for the one device that everything runs on. */

/** What an adapter says of itself, in plain values that can be printed and stored. */
export interface AdapterReport {
  /** The driver's name for the device, e.g. "llvmpipe (LLVM 15.0.6, 256 bits)". */
  readonly description: string;
  /** The vendor's number, in decimal. */
  readonly vendor: string;
  /** Family of devices; often empty. */
  readonly architecture: string;
  /** True for a software adapter, which runs on the CPU. */
  readonly software: boolean;
  /** Optional features that were granted. */
  readonly features: readonly OptionalFeature[];
  /** Lanes of a subgroup, smallest and largest. */
  readonly subgroupSizes: readonly [number, number];
  /** The limits that bound what fits, in the units of the WebGPU specification. */
  readonly limits: Readonly<Record<LimitName, number>>;
}

/** Features that make things faster or smaller; none is required. */
export const optionalFeatures = ["subgroups", "shader-f16", "timestamp-query"] as const;
/** Name of an optional feature. */
export type OptionalFeature = typeof optionalFeatures[number];

/** Limits raised to the adapter's maximum, because the defaults are far below what training needs. */
export const raisedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxStorageTexturesPerShaderStage",
  "maxTextureDimension2D",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;
/** Name of a limit in an `AdapterReport`. */
export type LimitName = typeof raisedLimits[number];

/**
 * What Mesa's drivers should find in the environment, unless the user has said otherwise. They complain on standard error
 * without a folder for their run time. And llvmpipe deals out every kernel in equal shares to as many threads as there are
 * cores, so that a core that does something else for a while keeps all others waiting; with two threads to a core, the
 * system evens it out (measured: 5 to 20 % faster steps on a machine of 2 cores).
 */
function prepareMesa(): void {
  if (Deno.build.os !== "linux") return;
  setIfAllowed("XDG_RUNTIME_DIR", "/tmp");
  setIfAllowed("LP_NUM_THREADS", String(2 * navigator.hardwareConcurrency));
}

function setIfAllowed(variable: string, value: string): void {
  if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") return;
  if (Deno.env.get(variable) === undefined) Deno.env.set(variable, value);
}

/** The system's high-performance adapter, or null when no driver offers one. */
export async function findAdapter(gpu?: GPU): Promise<GPUAdapter | null> {
  prepareMesa();
  const source = gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu;
  return await source?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/** A device with the adapter's largest limits and every optional feature that the driver really grants. */
export async function openDevice(
  adapter: GPUAdapter,
  gpu?: GPU,
): Promise<{ device: GPUDevice; report: AdapterReport }> {
  // An adapter gives one device, and `features.has` says no to features that the request grants: so each is tried.
  const granted: OptionalFeature[] = [];
  for (const feature of optionalFeatures) {
    const trial = await findAdapter(gpu);
    if (trial === null) continue;
    try {
      const device = await trial.requestDevice({ requiredFeatures: [feature as GPUFeatureName] });
      device.destroy();
      granted.push(feature);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
  }
  const limits = readLimits(adapter.limits);
  const device = await adapter.requestDevice({
    requiredFeatures: granted as GPUFeatureName[],
    requiredLimits: limits,
  });
  const info = adapter.info;
  const report: AdapterReport = {
    description: info.description || info.device || "unnamed adapter",
    vendor: info.vendor,
    architecture: info.architecture,
    software: info.isFallbackAdapter || /llvmpipe|swiftshader|software/i.test(info.description),
    features: granted,
    subgroupSizes: [info.subgroupMinSize, info.subgroupMaxSize],
    limits,
  };
  return { device, report };
}

function readLimits(limits: GPUSupportedLimits): Record<LimitName, number> {
  return Object.fromEntries(raisedLimits.map((name) => [name, Number(limits[name])])) as Record<
    LimitName,
    number
  >;
}
