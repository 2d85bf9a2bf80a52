import { adviceText, decide, type Machine } from "../../tools/setup.ts";
import { assertEquals, assertStringIncludes } from "../deps.ts";

const bare: Machine = { adapter: "none", drivers: [], system: "debian", mayInstall: true };

Deno.test("decide() does nothing where a driver serves", () => {
  assertEquals(decide({ ...bare, adapter: "good" }), "nothing");
});

Deno.test("decide() installs on Debian as root, and only there", () => {
  assertEquals(decide(bare), "install");
  assertEquals(decide({ ...bare, adapter: "opengl" }), "install");
  assertEquals(decide({ ...bare, mayInstall: false }), "advise");
  assertEquals(decide({ ...bare, system: "fedora" }), "advise");
});

Deno.test("decide() installs where the drivers are for cards that are not there", () => {
  assertEquals(decide({ ...bare, drivers: ["nvidia_icd.json"] }), "install");
});

Deno.test("decide() does not install again what is there", () => {
  assertEquals(decide({ ...bare, drivers: ["lvp_icd.x86_64.json"] }), "advise");
  assertEquals(decide({ ...bare, adapter: "opengl", drivers: ["lvp_icd.x86_64.json"] }), "nothing");
});

Deno.test("adviceText() says what is slow and the exact command", () => {
  assertStringIncludes(adviceText(bare), "hundred times slower");
  assertStringIncludes(
    adviceText(bare),
    "sudo apt-get install -y --no-install-recommends mesa-vulkan-drivers",
  );
  assertStringIncludes(adviceText({ ...bare, adapter: "opengl", system: "arch" }), "pacman");
});

Deno.test("tools/setup.ts ends with 0 and the advice where nothing can be installed", async () => {
  const tool = new URL("../../tools/setup.ts", import.meta.url);
  const header = (await Deno.readTextFile(tool)).split("*/")[0];
  const flags = header.match(/--allow-[^\s,]+(?:,[^\s,]+)*/g) ?? [];
  // Without the right to run apt-get: a test must not install anything.
  const harmless = flags.filter((flag) => !flag.startsWith("--allow-run"));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...harmless, tool.href],
    env: { VK_ICD_FILENAMES: "/nonexistent", DENO_WEBGPU_BACKEND: "vulkan" }, // no adapter whatever the machine
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals([flags.length, harmless.length, code], [4, 3, 0], said);
  assertStringIncludes(said, "CPU fallback");
});
