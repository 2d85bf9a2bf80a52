import { prepare } from "../../src/bench/cases.ts";
import { kernelUses } from "../../src/bench/shapes.ts";
import { describe } from "../../src/bench/work.ts";
import { assertEquals } from "../deps.ts";
import { testOnWebGpu } from "../support/backends.ts";
import { smallConfig } from "./support.ts";

for (const precision of ["f32", "f16"] as const) {
  testOnWebGpu(
    `every kernel of a step can be prepared, run again and again, and freed (${precision})`,
    async (runtime) => {
      const config = await smallConfig();
      for (const { shape } of kernelUses({ ...config, precision })) {
        const { name, sizes } = describe(shape);
        const before = runtime.memory().tensors;
        const { run, besides, dispose } = prepare(shape);
        const prepared = runtime.memory().tensors;
        for (let i = 0; i < 2; i++) {
          run();
          besides?.();
          if (shape.kind !== "adamw") {
            assertEquals(runtime.memory().tensors, prepared, `${name} ${sizes} leaks`);
          }
        }
        dispose();
        assertEquals(runtime.memory().tensors, before, `${name} ${sizes} leaves tensors behind`);
        await runtime.settle(); // throws what the device refuses
      }
    },
  );
}
