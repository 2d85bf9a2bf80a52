import project from "../../deno.json" with { type: "json" };
import { adapterAdvice, type AdapterMachine, plan } from "../../tools/adapters.ts";
import { assertEquals, assertStringIncludes } from "../deps.ts";
import { projectFolder, runDeno } from "../support/deno.ts";
import { inFolder } from "../support/folder.ts";

const bare: AdapterMachine = { swiftShader: false, openGl: false, debian: true, root: true };

Deno.test("plan() does nothing where all is there", () => {
  assertEquals(plan({ ...bare, swiftShader: true, openGl: true }), []);
});

Deno.test("plan() gets what is missing, and only as root what must be installed", () => {
  assertEquals(plan(bare), ["update lists", "install OpenGL", "fetch SwiftShader"]);
  assertEquals(plan({ ...bare, openGl: true }), ["update lists", "fetch SwiftShader"]);
  assertEquals(plan({ ...bare, swiftShader: true }), ["update lists", "install OpenGL"]);
  assertEquals(plan({ ...bare, root: false }), ["fetch SwiftShader", "advise"]);
  assertEquals(plan({ ...bare, debian: false }), ["advise"]);
});

Deno.test("adapterAdvice() names what is missing", () => {
  assertEquals(adapterAdvice({ swiftShader: true, openGl: true }), "");
  assertStringIncludes(adapterAdvice(bare), "libvk_swiftshader.so");
  assertStringIncludes(adapterAdvice({ swiftShader: true, openGl: false }), "apt-get install -y libegl1");
});

Deno.test("tools/adapters.ts fails with the advice where it may run nothing", async () => {
  const words = project.tasks["setup:adapters"].command.split(" ").slice(1); // without "deno"
  // Without the right to run apt-get: a test must not install anything.
  const harmless = words.filter((word) => !word.startsWith("--allow-run"))
    .map((word) => word === "tools/adapters.ts" ? `${projectFolder()}/${word}` : word);
  await inFolder(async (folder) => {
    const { code, stderr } = await runDeno(harmless, { cwd: folder });
    assertEquals([words.length - harmless.length, code], [1, 1], stderr);
    assertStringIncludes(stderr, "SwiftShader: put libvk_swiftshader.so");
  });
});
