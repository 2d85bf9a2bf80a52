import { type BenchConfig, benchConfigs } from "../../src/bench/configurations.ts";
import { type KernelShape, kernelUses } from "../../src/bench/shapes.ts";
import { describe, stepOperations, workOf } from "../../src/bench/work.ts";
import { countParameters } from "../../src/models/mae.ts";
import { assert, assertEquals } from "../deps.ts";

async function config(name: string): Promise<BenchConfig> {
  return (await benchConfigs(name))[0];
}

/** Rows as a table would have them. */
function rows(uses: ReturnType<typeof kernelUses>): string[] {
  return uses.map(({ shape, count }) => {
    const { name, sizes } = describe(shape);
    return `${count} of ${name}: ${sizes}`;
  });
}

Deno.test("the kernels of ViT-B/16 at batch 8, as its sizes give them", async () => {
  // Rows: 8 · 49 kept patches, 8 · 50 encoder tokens, 8 · 197 decoder tokens, 8 · 147 removed ones.
  const expected = [
    "1 of take tokens forward: 8 x 49 x 768",
    "1 of product NT, bias: 392 x 768 x 768",
    "1 of product TN, column sums: 768 x 392 x 768",
    "1 of assemble tokens forward: 8 x 49 x 768",
    "25 of layer norm forward: 400 x 768",
    "25 of layer norm backward: 400 x 768",
    "12 of product NT, bias: 400 x 768 x 2304",
    "12 of product NN: 400 x 2304 x 768",
    "12 of product TN, column sums: 2304 x 400 x 768",
    "12 of attention forward: 8 x 12 x 50 x 64",
    "12 of attention backward: 8 x 12 x 50 x 64",
    "12 of product NT, bias, residual: 400 x 768 x 768",
    "12 of product NT, bias, gelu: 400 x 768 x 3072",
    "12 of product NN: 400 x 3072 x 768",
    "12 of product NT, bias, residual: 400 x 3072 x 768",
    "12 of product NN, gelu slope: 400 x 768 x 3072",
    "1 of product NT, bias: 400 x 768 x 512",
    "1 of product NN: 400 x 512 x 768",
    "1 of scatter tokens forward: 8 x 197 x 512",
    "15 of layer norm forward: 1576 x 512",
    "2 of layer norm forward: 1176 x 512",
    "8 of attention backward: 8 x 16 x 197 x 32",
    "7 of product TN, column sums: 512 x 1576 x 2048",
    "1 of product TN, column sums: 512 x 1176 x 2048",
    "1 of product NT, bias: 1176 x 512 x 768",
    "1 of pixel loss forward: 8 x 147 x 768",
  ];
  const found = rows(kernelUses(await config("vit_base")));
  assertEquals(expected.filter((row) => !found.includes(row)), []);
  assertEquals(found.length, new Set(found).size);
  assertEquals(found.at(-1), "1 of adamw with global norm: 111476736 in 83");
});

Deno.test("nearly every parameter is among the matrices that AdamW is timed on", async () => {
  for (const name of ["tiny", "mini", "vit_base", "vit_large"]) {
    const { model, ...rest } = await config(name);
    const last = kernelUses({ model, ...rest }).at(-1)?.shape;
    assert(last?.kind === "adamw");
    const values = last.matrices.reduce((sum, [m, n]) => sum + m * n, 0);
    const share = values / countParameters(model);
    assert(share > 0.97 && share < 1, `${name}: ${share}`);
  }
});

Deno.test("the operations of a step are those of the formula for transformers", async () => {
  for (const name of ["tiny", "mini", "vit_base", "vit_large"]) {
    const { model: { encoder, decoder }, ...rest } = await config(name);
    const given = { model: { ...(await config(name)).model }, ...rest };
    const [height] = given.model.imageSize;
    const length = (height / given.model.patchSize[0]) ** 2;
    const values = given.model.patchSize[0] ** 2 * 3;
    const kept = length / 4;
    const tokens = [1 + kept, 1 + length];
    // Per token and block 24 D² + 4 T D forward; products cost twice as much again on the way back, attention 2.5 times.
    const blocks = [encoder, decoder].map(({ width, depth }, i) =>
      depth * tokens[i] * (3 * 24 * width ** 2 + 3.5 * 4 * tokens[i] * width)
    );
    // The decoder's last MLP, norm and prediction see removed patches only.
    const unseen = (1 + kept) * 3 * 16 * decoder.width ** 2;
    const others = 2 * (2 * kept * values * encoder.width) + // no gradient of the patches
      3 * 2 * ((1 + kept) * encoder.width * decoder.width + (length - kept) * decoder.width * values);
    const expected = given.batch * (blocks[0] + blocks[1] - unseen + others);
    assert(Math.abs(stepOperations(given) / expected - 1) < 1e-12, name);
  }
});

Deno.test("the work of each kind of kernel", () => {
  const tokens = { kind: "tokens", images: 2, patches: 8, kept: 2, width: 4 } as const;
  const cases: [KernelShape, "arithmetic" | "memory", number][] = [
    [{ kind: "product", form: "TN", m: 2, k: 3, n: 5, epilogue: "none", halves: "" }, "arithmetic", 60],
    [
      { kind: "attention", direction: "forward", images: 2, tokens: 3, heads: 2, headWidth: 4, half: false },
      "arithmetic",
      2 * 2 * (2 * 2 * 9 * 4),
    ],
    [
      { kind: "attention", direction: "backward", images: 2, tokens: 3, heads: 2, headWidth: 4, half: false },
      "arithmetic",
      5 * 2 * (2 * 2 * 9 * 4),
    ],
    [{ kind: "layer norm", direction: "forward", rows: 3, width: 4, half: false }, "memory", 96],
    [{ kind: "layer norm", direction: "forward", rows: 3, width: 4, half: true }, "memory", 72],
    [{ kind: "layer norm", direction: "backward", rows: 3, width: 4, half: false }, "memory", 144],
    [{ kind: "pixel loss", direction: "forward", images: 2, patches: 3, values: 4 }, "memory", 192],
    [{ kind: "pixel loss", direction: "backward", images: 2, patches: 3, values: 4 }, "memory", 288],
    [{ kind: "adamw", matrices: [[2, 3], [1, 4]] }, "memory", 320],
    [{ ...tokens, step: "take", direction: "forward" }, "memory", 4 * 4 * 2 * 4],
    [{ ...tokens, step: "assemble", direction: "forward" }, "memory", 4 * 4 * 2 * (3 * 2 + 2)],
    [{ ...tokens, step: "assemble", direction: "backward" }, "memory", 4 * 4 * 2 * (2 * 2 + 1)],
    [{ ...tokens, step: "scatter", direction: "forward" }, "memory", 4 * 4 * (2 * (3 + 9) + 9)],
    [{ ...tokens, step: "scatter", direction: "backward" }, "memory", 4 * 4 * 2 * (3 + 9)],
  ];
  for (const [shape, bound, amount] of cases) {
    assertEquals(workOf(shape), { bound, amount }, JSON.stringify(shape));
  }
});

Deno.test("remat runs the forward kernels of blocks twice, which is no more work done", async () => {
  const tiny = await config("tiny");
  const count = (uses: ReturnType<typeof kernelUses>, name: string) =>
    uses.filter(({ shape }) => describe(shape).name.startsWith(name)).reduce(
      (sum, { count }) => sum + count,
      0,
    );
  const [usual, again] = [kernelUses(tiny), kernelUses({ ...tiny, remat: true })];
  for (
    const [name, before, after] of [
      ["product NT", 4 * 8 + 3, 8 * 8 + 3],
      ["product NN", 4 * 8 + 2, 4 * 8 + 2],
      ["product TN", 4 * 8 + 3, 4 * 8 + 3],
      ["attention forward", 8, 16],
      ["attention backward", 8, 8],
      ["layer norm forward", 2 * 8 + 2, 4 * 8 + 2],
    ] as const
  ) {
    assertEquals([count(usual, name), count(again, name)], [before, after], name);
  }
  assertEquals(stepOperations({ ...tiny, remat: true }), stepOperations(tiny));
});

Deno.test("half precision is what blocks keep, and nothing else", async () => {
  const names = new Set(
    kernelUses({ ...await config("tiny"), precision: "f16" }).map(({ shape }) => describe(shape).name),
  );
  for (
    const name of [
      "layer norm forward, half",
      "layer norm forward", // the last of each stack
      "layer norm backward",
      "product NT, bias, halves AC",
      "product NT, bias, gelu, halves AC",
      "product NT, bias, residual, halves A",
      "product NT, bias", // into the decoder
      "product NN, halves A",
      "product NN, halves C",
      "product NN, gelu slope, halves C",
      "product TN, column sums, halves AB",
      "product TN, column sums, halves B",
      "attention forward, half",
      "attention backward, half",
    ]
  ) assert(names.has(name), name);
  assertEquals([...names].filter((name) => name.includes("bias, residual") && !name.includes("halves")), []);
});

Deno.test("mask tokens in the encoder make it see every patch, and leave nothing to take or scatter", async () => {
  const tiny = await config("tiny");
  const uses = kernelUses({ ...tiny, model: { ...tiny.model, maskTokens: "encoder" } });
  const found = rows(uses);
  assert(found.includes("6 of attention forward: 64 x 3 x 65 x 64"));
  assertEquals(found.filter((row) => /take|scatter/.test(row)), []);
});
