import project from "../../deno.json" with { type: "json" };
import { adviceText, decide, type Machine } from "../../tools/setup.ts";
import { assertEquals, assertStringIncludes } from "../deps.ts";
import { projectFolder, runDeno } from "../support/deno.ts";

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
  const words = project.tasks.setup.command.split(" ").slice(1); // without "deno"
  // Without the right to run apt-get: a test must not install anything.
  const harmless = words.filter((word) => !word.startsWith("--allow-run"));
  const { code, stderr } = await runDeno(harmless, {
    cwd: projectFolder(),
    env: { VK_ICD_FILENAMES: "/nonexistent", DENO_WEBGPU_BACKEND: "vulkan" }, // no adapter whatever the machine
  });
  assertEquals([words.length - harmless.length, code], [1, 0], stderr);
  assertStringIncludes(stderr, "CPU fallback");
});
