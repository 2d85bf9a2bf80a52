/** `mae doctor` */

import project from "../../deno.json" with { type: "json" };
import { type AdapterReport, type LimitName, optionalFeatures } from "../gpu/adapter.ts";
import { detectSystem, driverAdvice, isOpenGlSoftware } from "../gpu/advice.ts";
import { formatBytes } from "../gpu/guards.ts";
import type { Runtime } from "../gpu/runtime.ts";
import type { Command } from "./command.ts";
import type { SelfTestResult } from "./self_test.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** Opens the backend to examine. */
export type OpenBackend = () => Promise<Runtime>;

/** `mae doctor` */
export const doctor: Command = doctorCommand(async () => {
  const { openRuntime } = await import("../gpu/runtime.ts");
  return await openRuntime();
});

/** The command around a way to open the backend. */
export function doctorCommand(open: OpenBackend): Command {
  return {
    name: "doctor",
    summary: "report on this machine's GPU and test it",
    flags: [],
    details: () => "The exit code is 0 when WebGPU is there and computes correctly, and else 1.",
    run: (_args, terminal) => examine(open, terminal),
  };
}

async function examine(open: OpenBackend, terminal: Terminal): Promise<number> {
  const { selfTest } = await import("./self_test.ts");
  terminal.print(columnsOf(programRows()));
  const runtime = await open();
  const { adapter } = runtime;
  terminal.print(
    adapter === null ? "\nNo WebGPU adapter found" : `\nWebGPU adapter\n${columnsOf(adapterRows(adapter))}`,
  );
  terminal.print("\nSelf-test, some seconds; up to a minute where kernels are compiled for a CPU");
  const results = await selfTest(runtime);
  const outcome = ({ ok, slower }: SelfTestResult) => ok ? "ok" : slower ? "slower" : "FAILED";
  terminal.print(
    columnsOf(results.map((result) => [outcome(result), result.name, printable(result.detail)])),
  );
  const failed = results.some((result) => outcome(result) === "FAILED");
  terminal.print(`\n${verdict(adapter, failed)}`);
  return adapter === null || failed ? 1 : 0;
}

function programRows(): string[][] {
  const { os, arch } = Deno.build;
  const memory = mayAskFor("systemMemoryInfo")
    ? formatBytes(Deno.systemMemoryInfo().total)
    : "not permitted to ask";
  return [
    ["program", `mae ${project.version}, Deno ${Deno.version.deno}`],
    ["system", `${os} ${arch}, ${navigator.hardwareConcurrency} logical cores`],
    ["memory", memory],
    ...driverRows(),
  ];
}

function mayAskFor(kind: "systemMemoryInfo"): boolean {
  return Deno.permissions.querySync({ name: "sys", kind }).state === "granted";
}

/** The Vulkan drivers that Linux lists; other systems have one built in. */
function driverRows(): string[][] {
  if (Deno.build.os !== "linux") return [];
  const files = vulkanDrivers();
  if (files === null) return [["Vulkan drivers", "not permitted to look"]];
  return [["Vulkan drivers", files.length === 0 ? "none" : files.map(printable).join(", ")]];
}

/** Names of the Vulkan drivers' manifests, or null where they may not be listed. */
function vulkanDrivers(): string[] | null {
  const names: string[] = [];
  for (const folder of ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"]) {
    try {
      for (const { name } of Deno.readDirSync(folder)) names.push(name.replace(/\.json$/, ""));
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return null;
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return names.sort();
}

function adapterRows(adapter: AdapterReport): string[][] {
  const { subgroupSizes: [smallest, largest], limits } = adapter;
  return [
    [
      "name",
      printable(adapter.description) + (adapter.software ? " (software: it computes on the CPU)" : ""),
    ],
    ["vendor", printable(vendors[adapter.vendor] ?? adapter.vendor)],
    ...optionalFeatures.map((name) => [name, adapter.features.includes(name) ? "yes" : "no"]),
    ["subgroup size", smallest === largest ? String(smallest) : `${smallest} to ${largest}`],
    ...Object.entries(limits).map(([name, value]) => [name, limitText(name as LimitName, value)]),
  ];
}

function limitText(name: LimitName, value: number): string {
  if (name === "maxBufferSize" || name === "maxStorageBufferBindingSize") return formatBytes(value);
  return value.toLocaleString("en") + (name === "maxComputeWorkgroupStorageSize" ? " bytes" : "");
}

/** Vendors by their PCI identifier or, for Mesa, its Vulkan identifier; wgpu reports the number in decimal. */
const vendors: Readonly<Record<string, string>> = {
  [0x1002]: "AMD",
  [0x106b]: "Apple",
  [0x10de]: "NVIDIA",
  [0x13b5]: "Arm",
  [0x1414]: "Microsoft",
  [0x5143]: "Qualcomm",
  [0x8086]: "Intel",
  [0x10005]: "Mesa",
};

function verdict(adapter: AdapterReport | null, failed: boolean): string {
  const install = driverAdvice(detectSystem());
  if (adapter === null) {
    return `Training would run on the slow CPU fallback; to install a driver:\n  ${install}`;
  }
  if (failed) {
    return `This device computes wrongly: update its driver, or train with --backend cpu; to install a driver:\n  ${install}`;
  }
  if (isOpenGlSoftware(adapter.software, adapter.subgroupSizes)) {
    return `Everything works, by OpenGL and without half precision; a Vulkan driver is better:\n  ${install}`;
  }
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const largest = formatBytes(Math.min(maxBufferSize, maxStorageBufferBindingSize));
  const slow = adapter.software ? "; a graphics card trains many times faster" : "";
  return `Everything works; the largest tensor is ${largest}${slow}`;
}
