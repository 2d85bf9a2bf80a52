import { splitReport } from "../../src/bench/measure.ts";
import { assertEquals } from "../deps.ts";

Deno.test("splitReport() gives groups and the rest per step, as shares of the whole time", () => {
  const times = [
    { name: "matmul_x_NN_a", milliseconds: 4 },
    { name: "step_control", milliseconds: 2 },
    { name: "matmul_x_NN_a", milliseconds: 8 },
    { name: "step_control", milliseconds: 2 },
  ];
  assertEquals(splitReport(times, 20, 2), {
    millisecondsPerStep: 10,
    kernels: [
      { name: "product NN", dispatches: 1, milliseconds: 6, share: 0.6 },
      { name: "step control", dispatches: 1, milliseconds: 2, share: 0.1 * 2 },
    ],
    outside: { milliseconds: 2, share: 1 - 16 / 20 },
  });
});
