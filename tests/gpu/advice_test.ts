import { detectSystem, driverAdvice, isOpenGlSoftware, linuxFamily } from "../../src/gpu/advice.ts";
import { assert, assertEquals, assertStringIncludes } from "../deps.ts";

Deno.test("linuxFamily() reads os-release, quoted or not, by ID and then by ID_LIKE", () => {
  assertEquals(linuxFamily('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n'), "debian");
  assertEquals(linuxFamily('ID=linuxmint\nID_LIKE="ubuntu debian"\n'), "debian");
  assertEquals(linuxFamily('ID="rocky"\nID_LIKE="rhel centos fedora"\n'), "fedora");
  assertEquals(linuxFamily("NAME=x\nID=manjaro\nID_LIKE=arch\n"), "arch");
  assertEquals(linuxFamily("ID=alpine\n"), "alpine");
  assertEquals(linuxFamily("ID=nixos\n"), "linux");
  assertEquals(linuxFamily(""), "linux");
});

Deno.test("driverAdvice() gives the command of each system", () => {
  assertStringIncludes(driverAdvice("debian"), "apt-get install");
  assertStringIncludes(driverAdvice("fedora"), "dnf install");
  assertStringIncludes(driverAdvice("arch"), "pacman");
  assertStringIncludes(driverAdvice("alpine"), "apk add");
  assertStringIncludes(driverAdvice("macos"), "Metal");
  assertStringIncludes(driverAdvice("windows"), "DirectX 12");
  assert(driverAdvice(detectSystem()).length > 0);
});

Deno.test("isOpenGlSoftware() knows a software renderer by its range of subgroup sizes", () => {
  assertEquals(isOpenGlSoftware(true, [4, 128]), true);
  assertEquals(isOpenGlSoftware(true, [8, 8]), false);
  assertEquals(isOpenGlSoftware(false, [32, 64]), false);
});
