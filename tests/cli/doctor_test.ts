import { Arguments } from "../../src/cli/command.ts";
import { doctorCommand } from "../../src/cli/doctor.ts";
import { type AdapterReport, raisedLimits } from "../../src/gpu/adapter.ts";
import { openRuntime, type Runtime } from "../../src/gpu/runtime.ts";
import { RunError } from "../../src/util/errors.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const adapter: AdapterReport = {
  description: "broken",
  vendor: "4318",
  architecture: "",
  software: false,
  features: [],
  subgroupSizes: [32, 32],
  limits: Object.fromEntries(raisedLimits.map((name) => [name, 1])) as AdapterReport["limits"],
};

async function doctor(open: () => Promise<Runtime>): Promise<{ code: number; text: string }> {
  const terminal = new RecordingTerminal();
  const code = await doctorCommand(open).run(new Arguments(new Map()), terminal);
  return { code, text: terminal.text };
}

Deno.test("mae doctor reports on the adapter and finds that it computes correctly", async () => {
  const { code, text } = await doctor(() => openRuntime({ backend: "webgpu" }));
  assertEquals(code, 0, text);
  for (const row of ["program", "memory", "name", "shader-f16", "subgroup size", "maxBufferSize"]) {
    assertMatch(text, new RegExp(`^  ${row} +\\S`, "m"));
  }
  assertMatch(text, /^ {2}ok {2}a model's gradients, as on the CPU {3}largest difference/m);
  assertStringIncludes(text, "Everything works");
  assertEquals(text.includes("FAILED"), false);
  // Half precision is tried where the device has it.
  assertEquals(/^ {2}shader-f16 +yes$/m.test(text), /^ {2}ok {2}half precision \(f16\) +exact$/m.test(text));
});

Deno.test("mae doctor says what to install where there is no adapter, with exit code 1", async () => {
  const { code, text } = await doctor(() => openRuntime({ backend: "cpu" }));
  assertEquals(code, 1);
  assertStringIncludes(text, "No WebGPU adapter found");
  assertMatch(text, /^ {2}ok {2}a model's gradients are finite {2}loss 1\./m);
  assertStringIncludes(text, "to install a driver:\n  ");
});

Deno.test("mae doctor reports a device that fails, with exit code 1", async () => {
  const { code, text } = await doctor(async () => ({
    ...await openRuntime({ backend: "cpu" }),
    backend: "webgpu",
    adapter,
    check: () => {
      throw new RunError("The device was lost");
    },
  }));
  assertEquals(code, 1);
  assertMatch(text, /^ {2}FAILED {2}a model's gradients, twice the same {2}The device was lost$/m);
  assertStringIncludes(text, "computes wrongly");
});
