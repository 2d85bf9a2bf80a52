/** What to install where WebGPU finds no driver. */

/** A system as far as installing drivers goes; `linux` is any other Linux. */
export type DriverSystem = "debian" | "fedora" | "arch" | "alpine" | "linux" | "macos" | "windows";

/** The command that installs Mesa's Vulkan drivers on Debian and its relatives, without its `sudo`. */
export const debianInstall: readonly string[] = [
  "apt-get",
  "install",
  "-y",
  "--no-install-recommends",
  "mesa-vulkan-drivers",
];

const advice: Readonly<Record<DriverSystem, string>> = {
  debian: `sudo apt-get update && sudo ${debianInstall.join(" ")}`,
  fedora: "sudo dnf install -y mesa-vulkan-drivers vulkan-loader",
  arch: "sudo pacman -S --needed vulkan-icd-loader vulkan-swrast, and for a graphics card vulkan-radeon, " +
    "vulkan-intel or nvidia-utils",
  alpine:
    "doas apk add vulkan-loader mesa-vulkan-swrast, and for a graphics card mesa-vulkan-ati or mesa-vulkan-intel",
  linux: "the packages of your distribution with the Vulkan loader and Mesa's Vulkan drivers",
  macos:
    "nothing to install: Metal is part of macOS 11 and later, so update macOS, and run outside of a virtual machine",
  windows: "the newest driver of your graphics card from its maker: WebGPU needs DirectX 12",
};

/**
 * The command, or the words where there is none, that gives this system a driver WebGPU can use. Mesa's drivers serve
 * AMD and Intel cards, and the CPU where there is no card; an NVIDIA card needs NVIDIA's own driver.
 */
export function driverAdvice(system: DriverSystem): string {
  return advice[system];
}

/**
 * The system that an `os-release` file describes, by its `ID` and then by `ID_LIKE`.
 * Format: https://www.freedesktop.org/software/systemd/man/latest/os-release.html.
 */
export function linuxFamily(osRelease: string): DriverSystem {
  const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  for (const id of `${field("ID")} ${field("ID_LIKE")}`.toLowerCase().split(/\s+/)) {
    if (id === "debian" || id === "ubuntu") return "debian";
    if (id === "fedora" || id === "rhel" || id === "centos") return "fedora";
    if (id === "arch" || id === "alpine") return id;
  }
  return "linux";
}

/** This system; a Linux whose `/etc/os-release` may not be read is `linux`. */
export function detectSystem(): DriverSystem {
  if (Deno.build.os === "darwin") return "macos";
  if (Deno.build.os === "windows") return "windows";
  try {
    return linuxFamily(Deno.readTextFileSync("/etc/os-release"));
  } catch {
    return "linux"; // missing, or not ours to read
  }
}

/**
 * Whether an adapter is a software renderer reached through OpenGL, which works but lacks half precision and subgroups.
 * wgpu reports no backend; but only over OpenGL, which does not tell, does a software renderer claim a range of subgroup
 * sizes.
 */
export function isOpenGlSoftware(software: boolean, [smallest, largest]: readonly [number, number]): boolean {
  return software && smallest !== largest;
}
