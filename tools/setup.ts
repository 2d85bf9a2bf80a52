/**
 * Run before a task that needs a GPU driver: says nothing when there is one, installs Mesa's Vulkan drivers on Debian
 * and Ubuntu as root, and elsewhere prints the command that would. It never stops the task: without a driver the
 * program falls back to the CPU.
 *
 * The task `setup` in deno.json gives it the permissions to look for drivers and at the system's name, to see whether
 * this is root, to run `apt-get`, and to set a variable against a warning of Mesa's.
 */

import { findAdapter } from "../src/gpu/adapter.ts";
import {
  debianInstall,
  detectSystem,
  driverAdvice,
  type DriverSystem,
  isOpenGlSoftware,
} from "../src/gpu/advice.ts";
import { messageOf } from "../src/util/errors.ts";

const APT_GET = "/usr/bin/apt-get";

/** What is known of the machine. */
export interface Machine {
  /** What WebGPU offers: a driver that serves, only a software renderer by OpenGL, or nothing. */
  readonly adapter: "good" | "opengl" | "none";
  /** File names of the Vulkan drivers' manifests. */
  readonly drivers: readonly string[];
  /** The system. */
  readonly system: DriverSystem;
  /** Whether packages can be installed: the user is root and `apt-get` is there. */
  readonly mayInstall: boolean;
}

/** What to do about it. `advise` is for a user who must install by hand. */
export function decide(machine: Machine): "nothing" | "install" | "advise" {
  const { adapter, drivers, system, mayInstall } = machine;
  // OpenGL in spite of Vulkan drivers is somebody's choice.
  if (adapter === "good" || (adapter === "opengl" && drivers.length > 0)) return "nothing";
  // With Mesa's software driver there already, installing it again at every run would change nothing.
  const installed = drivers.some((name) => name.startsWith("lvp_icd"));
  return system === "debian" && mayInstall && !installed ? "install" : "advise";
}

/** What the user is told when nothing is installed for them. */
export function adviceText({ adapter, system }: Machine): string {
  const state = adapter === "none"
    ? "No WebGPU adapter: this runs on the CPU fallback, about a hundred times slower than with a driver."
    : "Only OpenGL, no Vulkan driver: this runs, but more slowly and without half precision.";
  return `${state}\nTo install a driver:\n  ${driverAdvice(system)}`;
}

async function examine(): Promise<Machine> {
  const adapter = await findAdapter();
  const info = adapter?.info;
  const openGl = info &&
    isOpenGlSoftware(info.isFallbackAdapter, [info.subgroupMinSize, info.subgroupMaxSize]);
  return {
    adapter: adapter === null ? "none" : openGl ? "opengl" : "good",
    drivers: ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].flatMap(manifestsIn),
    system: detectSystem(),
    mayInstall: Deno.build.os === "linux" && Deno.uid() === 0 && exists(APT_GET),
  };
}

function manifestsIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Whether there is a file of that name. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs `apt-get update` and the installation; whether both succeeded. */
async function install(): Promise<boolean> {
  try {
    return await aptGet(["update"]) && await aptGet(debianInstall.slice(1));
  } catch (error) {
    say(messageOf(error));
    return false;
  }
}

/** Runs `apt-get`, aloud; whether it succeeded. */
export async function aptGet(args: string[], folder?: string): Promise<boolean> {
  say(`  apt-get ${args.join(" ")}`);
  return await run(APT_GET, args, folder);
}

/** Runs one command; what it printed is shown only when it fails. */
export async function run(command: string, args: string[], folder?: string): Promise<boolean> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: folder,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) say(decoder.decode(stdout) + decoder.decode(stderr));
  return success;
}

/** Tells the user something. */
export function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}

async function main(): Promise<void> {
  const machine = await examine();
  switch (decide(machine)) {
    case "nothing":
      return;
    case "advise":
      return say(adviceText(machine));
    case "install":
      say(
        "No Vulkan driver for WebGPU: installing Mesa's, which runs on any graphics card and on the CPU (once)",
      );
      if (await install()) say("Installed.");
      else say(`The installation failed.\n${adviceText(machine)}`);
  }
}

if (import.meta.main) await main();
