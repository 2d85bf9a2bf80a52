import { splitReport } from "../../src/bench/measure.ts";
import { assertEquals } from "../deps.ts";

const times = [
  { name: "matmul_x_NN_a", milliseconds: 4 },
  { name: "step_control", milliseconds: 2 },
  { name: "matmul_x_NN_a", milliseconds: 8 },
  { name: "step_control", milliseconds: 2 },
];

Deno.test("splitReport() gives groups and the rest per step, as shares of steps that are not profiled", () => {
  assertEquals(splitReport({ steps: 2, plain: [18, 22], profiled: 30, times }), {
    millisecondsPerStep: 10,
    profiledMillisecondsPerStep: 15,
    kernels: [
      { name: "product NN", dispatches: 1, milliseconds: 6, share: 0.6 },
      { name: "step control", dispatches: 1, milliseconds: 2, share: 0.2 },
    ],
    outside: { milliseconds: (1 - 16 / 20) * 10, share: 1 - 16 / 20 },
    spread: 0.2,
  });
});

Deno.test("splitReport() does not hide that kernels overlap: then less than nothing is outside them", () => {
  const { outside } = splitReport({ steps: 1, plain: [12.8, 12.8], profiled: 30, times });
  assertEquals(outside.share, 1 - 16 / 12.8);
});
