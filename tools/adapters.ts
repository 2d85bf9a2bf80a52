/**
 * Fetches what the tests of kernels on several software adapters need beside Mesa's Vulkan driver: SwiftShader, which
 * Debian ships inside of Chromium, and as root Mesa's OpenGL. It says nothing when all is there.
 *
 * The task `setup:adapters` in deno.json gives it the permissions to read and write `.cache` and to run `apt-get` and
 * `dpkg-deb`.
 */
import { detectSystem } from "../src/gpu/advice.ts";
import { messageOf } from "../src/util/errors.ts";
import { aptGet, exists, run, say } from "./setup.ts";

/** Where SwiftShader lies, from the project's folder. */
export const swiftShaderFolder = ".cache/swiftshader";
/** Its library and the manifest that the Vulkan loader reads, by their names in Chromium. */
export const swiftShaderFiles = {
  manifest: "vk_swiftshader_icd.json",
  library: "libvk_swiftshader.so",
} as const;

/** What Mesa's OpenGL leaves where it is installed. */
export const openGlManifest = "/usr/share/glvnd/egl_vendor.d/50_mesa.json";
const openGlPackages = ["libegl1", "libgl1-mesa-dri"];

/** Debian's package with SwiftShader; not Ubuntu's, whose Chromium is a snap. */
const chromium = "chromium-common";

/** What is known of the machine. */
export interface AdapterMachine {
  /** Whether SwiftShader is in its folder. */
  readonly swiftShader: boolean;
  /** Whether Mesa's OpenGL is installed. */
  readonly openGl: boolean;
  /** Whether this is Debian or a relative, with `apt-get` and `dpkg-deb`. */
  readonly debian: boolean;
  /** Whether packages can be installed. */
  readonly root: boolean;
}

/** One thing to do. `advise` is for a user who must do it by hand. */
export type Step = "update lists" | "install OpenGL" | "fetch SwiftShader" | "advise";

/** What to do, in order. Without root the package lists must do as they are. */
export function plan({ swiftShader, openGl, debian, root }: AdapterMachine): Step[] {
  if (swiftShader && openGl) return [];
  if (!debian) return ["advise"];
  const steps: Step[] = [];
  if (root) steps.push("update lists");
  if (root && !openGl) steps.push("install OpenGL");
  if (!swiftShader) steps.push("fetch SwiftShader");
  if (!root && !openGl) steps.push("advise");
  return steps;
}

/** What the user is told to do by hand. */
export function adapterAdvice(
  { swiftShader, openGl }: Pick<AdapterMachine, "swiftShader" | "openGl">,
): string {
  const { manifest, library } = swiftShaderFiles;
  return [
    ...swiftShader
      ? []
      : [`SwiftShader: put ${library} and ${manifest} of any Chromium into ${swiftShaderFolder}`],
    ...openGl
      ? []
      : [`OpenGL: install Mesa's, on Debian sudo apt-get install -y ${openGlPackages.join(" ")}`],
  ].join("\n");
}

/** Looks at the machine. */
export function examineAdapters(): AdapterMachine {
  return {
    swiftShader: Object.values(swiftShaderFiles).every((name) => exists(`${swiftShaderFolder}/${name}`)),
    openGl: exists(openGlManifest),
    debian: detectSystem() === "debian" && exists("/usr/bin/apt-get") && exists("/usr/bin/dpkg-deb"),
    root: Deno.build.os === "linux" && Deno.uid() === 0,
  };
}

/** Downloads Chromium's package (some 30 MB), which apt verifies, and keeps two files of it. */
async function fetchSwiftShader(): Promise<void> {
  const folder = `${swiftShaderFolder}.tmp`;
  await remove(folder);
  await Deno.mkdir(folder, { recursive: true });
  try {
    if (!await aptGet(["download", chromium], folder)) return;
    const file = [...Deno.readDirSync(folder)].find(({ name }) => name.endsWith(".deb"));
    if (!file || !await run("/usr/bin/dpkg-deb", ["--extract", file.name, "."], folder)) return;
    await Deno.mkdir(swiftShaderFolder, { recursive: true });
    for (const name of Object.values(swiftShaderFiles)) {
      await Deno.rename(`${folder}/usr/lib/chromium/${name}`, `${swiftShaderFolder}/${name}`);
    }
  } finally {
    await remove(folder);
  }
}

async function remove(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Does one step. What fails has said so, and the next may still succeed. */
async function take(step: Step): Promise<void> {
  if (step === "update lists") await aptGet(["update"]);
  if (step === "install OpenGL") {
    await aptGet(["install", "-y", "--no-install-recommends", ...openGlPackages]);
  }
  if (step === "fetch SwiftShader") await fetchSwiftShader();
}

async function main(): Promise<void> {
  const steps = plan(examineAdapters());
  if (steps.length === 0) return;
  say("Getting the software adapters that kernels are tested on (once)");
  try {
    for (const step of steps) await take(step);
  } catch (error) {
    say(messageOf(error));
  }
  const left = adapterAdvice(examineAdapters());
  if (left === "") return;
  say(`Not everything is there.\n${left}`);
  Deno.exitCode = 1;
}

if (import.meta.main) await main();
