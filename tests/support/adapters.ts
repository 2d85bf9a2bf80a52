/** The software adapters that kernels are tried on, and how a process gets one of them and no other. */
import { exists } from "../../tools/setup.ts";
import { openGlManifest, swiftShaderFiles, swiftShaderFolder } from "../../tools/adapters.ts";
import type { AdapterOutcome, AdapterPlan } from "./adapter_check.ts";
import { denoOutput, projectFolder } from "./deno.ts";

/** A software adapter. */
export interface SoftwareAdapter {
  /** For the names of tests. */
  readonly name: string;
  /** Whether it is installed. */
  readonly present: boolean;
  /** Variables that leave a process this adapter. */
  readonly env: Record<string, string>;
  /** What to try on it. */
  readonly plan: AdapterPlan;
  /** What it must be. */
  readonly is: AdapterTraits;
}

/** What tells adapters apart. */
export interface AdapterTraits {
  /** Part of the driver's name for it. */
  readonly description: string;
  /** Lanes of its subgroups; 1 where it has none. */
  readonly lanes: number;
  /** Whether it has half precision. */
  readonly half: boolean;
  /** Most threads of a workgroup. */
  readonly threads: number;
}

/** The one Vulkan driver of that manifest; both names of the variable, because the newer one goes first. */
function onlyVulkan(manifest: string | undefined): Record<string, string> {
  const path = manifest ?? "/nonexistent";
  return { VK_DRIVER_FILES: path, VK_ICD_FILENAMES: path, DENO_WEBGPU_BACKEND: "vulkan" };
}

function llvmpipeManifest(): string | undefined {
  for (const folder of ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"]) {
    try {
      const file = [...Deno.readDirSync(folder)].find(({ name }) => /^lvp_icd.*\.json$/.test(name));
      if (file) return `${folder}/${file.name}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

const llvmpipe = llvmpipeManifest();
const swiftShader = `${projectFolder()}/${swiftShaderFolder}/${swiftShaderFiles.manifest}`;

/**
 * Compiling is what takes the time, up to a minute for one kernel: half precision by llvmpipe with 16 lanes, and by OpenGL
 * attention, because there workgroup memory is zeroed by an assignment per value.
 */
export const softwareAdapters: readonly SoftwareAdapter[] = [
  {
    name: "llvmpipe",
    present: llvmpipe !== undefined,
    env: { ...onlyVulkan(llvmpipe), LP_NATIVE_VECTOR_WIDTH: "256" },
    plan: { targets: ["own target"] },
    is: { description: "llvmpipe", lanes: 8, half: true, threads: 1024 },
  },
  {
    name: "llvmpipe with 16 lanes",
    present: llvmpipe !== undefined,
    env: { ...onlyVulkan(llvmpipe), LP_NATIVE_VECTOR_WIDTH: "512" },
    plan: { targets: ["tiles"], wide: true, without: ["attentionResidual in f16", "mlpResidual in f16"] },
    is: { description: "llvmpipe", lanes: 16, half: true, threads: 1024 },
  },
  {
    name: "SwiftShader",
    present: exists(swiftShader),
    env: onlyVulkan(swiftShader),
    plan: { targets: ["own target", "tiles"], wide: true },
    is: { description: "SwiftShader", lanes: 4, half: false, threads: 256 },
  },
  {
    name: "llvmpipe by OpenGL",
    present: exists(openGlManifest),
    env: { ...onlyVulkan(undefined), DENO_WEBGPU_BACKEND: "gl", LIBGL_ALWAYS_SOFTWARE: "1" },
    plan: { targets: ["own target"], without: ["attention", "attentionResidual"] },
    is: { description: "llvmpipe", lanes: 1, half: false, threads: 1024 },
  },
];

/** Tries kernels on an adapter, in a process of its own. Throws where there is no such adapter. */
export async function tryAdapter({ name, env, plan }: SoftwareAdapter): Promise<AdapterOutcome> {
  const output = await denoOutput([
    "run",
    "--allow-read",
    "--allow-env=XDG_RUNTIME_DIR",
    "tests/support/adapter_check.ts",
    JSON.stringify(plan),
  ], { cwd: projectFolder(), env });
  const outcome: AdapterOutcome | null = JSON.parse(output);
  if (outcome === null) throw new Error(`${name} does not open`);
  return outcome;
}

/** What the process saw of its adapter. */
export function traitsOf(
  { features, subgroupSizes: [smallest, largest], limits }: AdapterOutcome,
): Omit<AdapterTraits, "description"> {
  return {
    lanes: features.includes("subgroups") && smallest === largest ? largest : 1,
    half: features.includes("shader-f16"),
    threads: limits.maxComputeInvocationsPerWorkgroup,
  };
}
