/** Products whose matrices exceed a binding: made in blocks, they equal what they are in one piece. */
import { assert, assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { DeviceError } from "../../../src/gpu/guards.ts";
import { withTarget } from "../../../src/gpu/target.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { product, type ProductExtras, type ProductResult } from "../../../src/ops/product/matmul.ts";
import { productBlocks } from "../../../src/ops/product/product_blocks.ts";
import type { ProductForm } from "../../../src/ops/product/product_form.ts";
import { testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, randomTensor } from "../../support/compare.ts";
import { halfAvailable, testOnTargets, toHalf } from "../../support/targets.ts";

const single = { bytesPerValue: [4, 4, 4] } as const;

/** Numbers of blocks along m, n and k. */
function countsOf(form: ProductForm, [m, k, n]: number[], bindingBytes: number): number[] {
  const blocks = productBlocks(form, { m, n, k }, { bindingBytes, ...single });
  const starts = (of: "m" | "n") => new Set(blocks.map((block) => block[of].first)).size;
  return [starts("m"), starts("n"), blocks[0].k.length];
}

Deno.test("productBlocks(): cuts each form along what its matrices' rows are", () => {
  assertEquals(countsOf("NT", [100, 68, 68], 1e6), [1, 1, 1]);
  assertEquals(countsOf("NT", [100, 68, 68], 9000), [4, 3, 1]);
  assertEquals(countsOf("NN", [100, 68, 68], 9000), [4, 1, 3]);
  assertEquals(countsOf("TN", [68, 100, 68], 9000), [3, 1, 4]);
});

Deno.test("productBlocks(): covers everything once, begins where a binding may, and fits", () => {
  const [m, k, n] = [1000, 300, 500];
  const bindingBytes = 200_000;
  for (const half of [false, true]) {
    for (const form of ["NN", "NT", "TN"] as const) {
      const bytes = half ? 2 : 4;
      const blocks = productBlocks(form, { m, n, k }, { bindingBytes, bytesPerValue: [bytes, bytes, 4] });
      let work = 0;
      for (const block of blocks) {
        for (const terms of block.k) {
          work += block.m.count * block.n.count * terms.count;
          const [aRows, aWidth] = form === "TN" ? [terms, m] : [block.m, k];
          const [bRows, bWidth] = form === "NT" ? [block.n, k] : [terms, n];
          assert(aRows.count * aWidth * bytes <= bindingBytes);
          assert(bRows.count * bWidth * bytes <= bindingBytes);
          assert(block.m.count * n * 4 <= bindingBytes);
          for (const [rows, width] of [[aRows, aWidth], [bRows, bWidth]] as const) {
            assertEquals(rows.first * width * bytes % 256, 0);
          }
        }
      }
      assertEquals(work, m * n * k);
      assert(blocks.length > 1);
    }
  }
});

Deno.test("productBlocks(): what cannot be cut is an error that says what fits", () => {
  assertThrows(
    () => productBlocks("NT", { m: 64, n: 4, k: 10_000 }, { bindingBytes: 2 ** 20, ...single }),
    DeviceError,
    "A product of 64 x 10000 and 10000 x 4 values cannot be cut to fit this device, which binds 1 MiB at once",
  );
});

interface Case {
  readonly form: ProductForm;
  readonly shape: readonly [m: number, k: number, n: number];
  /** Whether the terms are cut as well: the sums then have another order. */
  readonly reordered: boolean;
  readonly extras?: ProductExtras;
}

const [m, n] = [100, 68];
const around = (rows: number): ProductExtras => ({
  bias: randomTensor([n], 3),
  residual: randomTensor([rows, n], 4),
  slope: randomTensor([rows, n], 5),
  gelu: "also" as const,
  scale: 0.5,
});

async function valuesOf({ value, activated, columnSums }: ProductResult): Promise<Float32Array[]> {
  return await Promise.all([value, activated, columnSums].flatMap((x) => x ? [readTensor(x)] : []));
}

testOnTargets("product(): in blocks equals in one piece", async (record) => {
  const cases: Case[] = [
    { form: "NT", shape: [m, 12, n], reordered: false, extras: around(m) },
    { form: "NT", shape: [7, n, n], reordered: false, extras: around(7) },
    { form: "NN", shape: [m, 12, n], reordered: false },
    { form: "NN", shape: [m, 100, n], reordered: true, extras: around(m) },
    { form: "NN", shape: [m, 100, n], reordered: true, extras: { ...around(m), gelu: "instead" } },
    { form: "TN", shape: [m, 7, n], reordered: false, extras: { columnSums: true } },
    { form: "TN", shape: [m, 100, n], reordered: true, extras: { columnSums: true } },
  ];
  for (const { form, shape: [m, k, n], reordered, extras } of cases) {
    assert(countsOf(form, [m, k, n], 13_000).some((count) => count > 1), "nothing is cut");
    const a = randomTensor(form === "TN" ? [k, m] : [m, k], 1);
    const b = randomTensor(form === "NT" ? [n, k] : [k, n], 2);
    const whole = await valuesOf(record(() => product(form, a, b, extras)));
    const run = () => withTarget({ bindingBytes: 13_000 }, () => product(form, a, b, extras));
    const blocks = await valuesOf(record(run));
    if (!reordered) assertEquals(blocks, whole, `${form} ${m}x${k}x${n}`);
    else {blocks.forEach((values, i) =>
        assertRelative(values, whole[i], 1e-6, `${form} ${m}x${k}x${n}, result ${i}`)
      );}
  }
});

testOnTargets("product(): in blocks adds into tensors in place", async (record) => {
  const [a, b] = [randomTensor([100, m], 1), randomTensor([100, n], 2)];
  const run = async (bindingBytes: number) => {
    const into = { value: randomTensor([m, n], 3), columnSums: randomTensor([m], 4) };
    return await valuesOf(record(() => withTarget({ bindingBytes }, () => product("TN", a, b, { into }))));
  };
  const [whole, blocks] = [await run(2 ** 20), await run(13_000)];
  blocks.forEach((values, i) => assertRelative(values, whole[i], 1e-6, `result ${i}`));
});

testOnTargets(
  "product(): in blocks of terms gives a result in half precision, rounded once",
  async (record) => {
    if (!halfAvailable()) return;
    const [a, b] = [toHalf(randomTensor([m, 200], 1)), toHalf(randomTensor([200, n], 2))];
    const extras = {
      residual: toHalf(randomTensor([m, n], 4)),
      bias: randomTensor([n], 3),
      gelu: "also" as const,
    };
    const run = (bindingBytes: number, half: boolean) =>
      record(() => withTarget({ bindingBytes }, () => product("NN", a, b, { ...extras, half })));
    const exact = await valuesOf(run(2 ** 20, false));
    const blocks = await valuesOf(run(13_000, true));
    blocks.forEach((values, i) => assertRelative(values, exact[i], 3e-4, `result ${i}`));
  },
);

testOnWebGpu("product(): a weight larger than the device's largest binding", async (runtime) => {
  const limit = runtime.adapter?.limits.maxStorageBufferBindingSize ?? 0;
  if (limit > 2 ** 28) return; // takes too long; the tests above have small bindings
  const [rows, k] = [3, 4096];
  const n = Math.ceil(limit / 4 / k) + 36;
  const weightOf = (i: number) => (i % 13) - 6 + (i % 7);
  const weight = tf.tensor2d(Float32Array.from({ length: n * k }, (_, i) => weightOf(i)), [n, k]);
  const a = randomTensor([rows, k], 1);
  const left = await readTensor(a);
  const sum = (terms: number, term: (t: number) => number) => {
    let total = 0;
    for (let t = 0; t < terms; t++) total += term(t);
    return total;
  };
  const { value } = product("NT", a, weight);
  const values = await readTensor(value);
  for (const [row, column] of [[0, 0], [1, n - 36], [2, n - 1], [1, n >> 1]]) {
    const expected = sum(k, (t) => left[row * k + t] * weightOf(column * k + t));
    assertRelative([values[row * n + column]], [expected], 1e-4, `row ${row}, column ${column}`);
  }
  const back = await readTensor(product("NN", value, weight).value);
  const expected = sum(n, (t) => values[n + t] * weightOf(t * k + 5));
  assertRelative([back[k + 5]], [expected], 1e-4, "back through the weight");
  const gradient = await readTensor(product("TN", a, value).value); // [k, n], as large as the weight
  for (const [row, column] of [[0, 0], [k - 1, n - 1]]) {
    const expected = sum(rows, (t) => left[t * k + row] * values[t * n + column]);
    assertRelative([gradient[row * n + column]], [expected], 1e-4, `gradient ${row}, ${column}`);
  }
  runtime.check();
});
