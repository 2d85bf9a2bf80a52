/** Matrix products of both families against plain loops: every form, everything around the product, every plan. */
import { assert, assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { kernelTarget, withTarget } from "../../../src/gpu/target.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { geluComposed, geluSlopeComposed } from "../../../src/ops/product/gelu.ts";
import { product, type ProductExtras } from "../../../src/ops/product/matmul.ts";
import type { ProductForm } from "../../../src/ops/product/product_form.ts";
import { productCandidates, type ProductPlan } from "../../../src/ops/product/product_launch.ts";
import { tilesBytes, tilesCandidates, tilesThreads } from "../../../src/ops/product/tiles_plan.ts";
import { testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, randomTensor } from "../../support/compare.ts";
import { halfAvailable, testOnTargets, toHalf } from "../../support/targets.ts";

const forms = ["NN", "NT", "TN"] as const;

/** The operands of a form: [m, k] and [k, n], each transposed where the form says so. */
function operandsOf(form: ProductForm, [m, k, n]: readonly number[]): [tf.Tensor, tf.Tensor] {
  return [
    randomTensor(form === "TN" ? [k, m] : [m, k], 1),
    randomTensor(form === "NT" ? [n, k] : [k, n], 2),
  ];
}

/** The product by plain loops in double precision. */
async function plainProduct(form: ProductForm, a: tf.Tensor, b: tf.Tensor): Promise<Float32Array> {
  const [left, right] = await Promise.all([readTensor(a), readTensor(b)]);
  const [m, k] = (form === "TN" ? [...a.shape].reverse() : a.shape) as [number, number];
  const n = (form === "NT" ? b.shape[0] : b.shape[1]) as number;
  return Float32Array.from({ length: m * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    let sum = 0;
    for (let t = 0; t < k; t++) {
      sum += left[form === "TN" ? t * m + row : row * k + t] *
        right[form === "NT" ? column * k + t : t * n + column];
    }
    return sum;
  });
}

// m, k, n: one row, prime rows, one tile and a bit, several tiles, k no multiple of any step
const shapes = [[1, 4, 4], [7, 12, 20], [33, 20, 36], [70, 44, 132]];
const shapesTN = [[4, 1, 4], [12, 7, 20], [36, 29, 36], [132, 83, 68]];

testOnTargets("product(): every form equals plain loops, over ragged shapes", async (record) => {
  for (const form of forms) {
    for (const shape of form === "TN" ? shapesTN : shapes) {
      const [a, b] = operandsOf(form, shape);
      const { value, columnSums } = record(() => product(form, a, b, { columnSums: form === "TN" }));
      const what = `${form} ${shape.join("x")}`;
      assertRelative(await readTensor(value), await plainProduct(form, a, b), 2e-6, what);
      if (!columnSums) continue;
      assertRelative(await readTensor(columnSums), await readTensor(tf.sum(a, 0)), 2e-6, `${what}: sums`);
    }
  }
});

testOnTargets("product(): bias, residual, slope and GELU are added where they belong", async (record) => {
  const shape = [37, 12, 68];
  const [m, , n] = shape;
  const [bias, residual, slope] = [randomTensor([n], 3), randomTensor([m, n], 4), randomTensor([m, n], 5)];
  const expect = async (form: "NN" | "NT", extras: ProductExtras, added: (plain: tf.Tensor) => tf.Tensor) => {
    const [a, b] = operandsOf(form, shape);
    const expected = added(tf.tensor2d(await plainProduct(form, a, b), [m, n]));
    const what = `${form} with ${Object.keys(extras).join(", ")}`;
    const { value, activated } = record(() => product(form, a, b, extras));
    assertRelative(await readTensor(value), await readTensor(expected), 3e-6, what);
    assertEquals(activated !== undefined, extras.gelu === "also");
    if (!activated) return;
    const gelu = await readTensor(geluComposed(expected));
    assertRelative(await readTensor(activated), gelu, 3e-6, `${what}: activated`);
  };
  await expect("NT", { bias, gelu: "also" }, (plain) => tf.add(plain, bias));
  await expect("NT", { bias, gelu: "instead" }, (plain) => geluComposed(tf.add(plain, bias)));
  await expect("NT", { bias, residual }, (plain) => tf.add(tf.add(plain, bias), residual));
  await expect("NN", { slope }, (plain) => tf.mul(plain, geluSlopeComposed(slope)));
  const all = { bias, residual, slope };
  await expect("NN", all, (plain) => tf.mul(tf.add(plain, tf.add(bias, residual)), geluSlopeComposed(slope)));
});

testOnTargets(
  "product(): adds a scaled product into tensors in place, and gives them back",
  async (record) => {
    for (const form of forms) {
      const shape = form === "TN" ? [36, 29, 20] : [35, 28, 20];
      const [a, b] = operandsOf(form, shape);
      const value = randomTensor([shape[0], shape[2]], 3);
      const sums = form === "TN" ? randomTensor([shape[0]], 4) : undefined;
      const plain = tf.tensor2d(await plainProduct(form, a, b), [shape[0], shape[2]]);
      const expected = tf.add(value, tf.mul(plain, 0.5));
      const expectedSums = sums && await readTensor(tf.add(sums, tf.mul(tf.sum(a, 0), 0.5)));
      await value.data(); // a copy on the host, which must not be used again
      const result = record(() => product(form, a, b, { scale: 0.5, into: { value, columnSums: sums } }));
      assert(result.value === value && result.columnSums === sums);
      assertRelative(await readTensor(value), await readTensor(expected), 3e-6, `${form} into`);
      if (sums && expectedSums) assertRelative(await readTensor(sums), expectedSums, 3e-6, "sums into");
    }
  },
);

testOnWebGpu("product(): refuses to add into a tensor with GELU or in half precision", () => {
  const [a, b] = operandsOf("NN", [4, 4, 4]);
  const into = { value: randomTensor([4, 4], 3) };
  assertThrows(() => product("NN", a, b, { into, gelu: "also" }), Error, "without GELU");
  assertThrows(() => product("NN", a, b, { into, half: true }), Error, "in single precision");
  return Promise.resolve();
});

/** What a half-precision tensor holds, so that only the sums are compared. */
async function singleOf(half: tf.Tensor): Promise<tf.Tensor> {
  return tf.tensor(await readTensor(half), half.shape);
}

testOnTargets("product(): operands and results in half precision", async (record) => {
  if (!halfAvailable()) return;
  const cases = [["NN", true, true], ["NT", true, true], ["TN", true, true], ["NT", true, false]] as const;
  for (const [form, ...whichHalf] of cases) {
    const operands = operandsOf(form, form === "TN" ? [36, 29, 20] : [35, 28, 20])
      .map((operand, i) => whichHalf[i] ? toHalf(operand) : operand);
    const singles = await Promise.all(operands.map((x, i) => whichHalf[i] ? singleOf(x) : x));
    const [a, b] = operands;
    const what = `${form}, half precision ${whichHalf}`;
    const { value, columnSums } = record(() => product(form, a, b, { columnSums: form === "TN" }));
    const expected = await plainProduct(form, singles[0], singles[1]);
    assertRelative(await readTensor(value), expected, 2e-6, what);
    if (!columnSums) continue;
    assertRelative(
      await readTensor(columnSums),
      await readTensor(tf.sum(singles[0], 0)),
      2e-6,
      `${what}: sums`,
    );
  }
  const [m, k, n] = [35, 28, 20];
  const bias = randomTensor([n], 3);
  const halves = [...operandsOf("NT", [m, k, n]), randomTensor([m, n], 4), randomTensor([m, n], 5)].map(
    toHalf,
  );
  const [a, b, residual, slope] = halves;
  const extras: ProductExtras = { bias, residual, slope, gelu: "also", half: true };
  const { value, activated } = record(() => product("NT", a, b, extras));
  const singles = await Promise.all(halves.map(singleOf));
  const plain = tf.tensor2d(await plainProduct("NT", singles[0], singles[1]), [m, n]);
  const sum = tf.mul(tf.addN([plain, tf.add(bias, singles[2])]), geluSlopeComposed(singles[3]));
  // Results are rounded to eleven bits.
  assertRelative(await readTensor(value), await readTensor(sum), 5e-4, "value in half");
  assert(activated);
  assertRelative(await readTensor(activated), await readTensor(geluComposed(sum)), 5e-4, "activated in half");
});

/** Values and column sums by each plan. */
function byPlans(form: ProductForm, plans: readonly ProductPlan[]): Promise<Float32Array[][]> {
  const [a, b] = operandsOf(form, form === "TN" ? [140, 37, 132] : [133, 36, 132]);
  return Promise.all(plans.map((plan) => {
    const { value, columnSums } = withTarget(
      { family: plan.family },
      () => product(form, a, b, { columnSums: form === "TN" }, plan),
    );
    return Promise.all([value, ...(columnSums ? [columnSums] : [])].map(readTensor));
  }));
}

testOnWebGpu(
  "product(): every plan of tiles gives the same bits, with and without subgroups",
  async (runtime) => {
    const lanes = runtime.adapter?.features.includes("subgroups") ? runtime.adapter.subgroupSizes[0] : 1;
    const device = { threads: 256, workgroupBytes: 32768, lanes };
    for (const form of forms) {
      const plans = tilesCandidates(form, { m: 140, n: 132 }, device);
      const some = form === "NT"
        ? plans
        : plans.filter(({ kStep, rows, columns, lanes }) =>
          kStep === 16 && rows <= 64 && columns <= 64 || lanes > 1
        );
      const [first, ...others] = await byPlans(form, some);
      assert(others.length > 1);
      for (const other of others) assertEquals(other, first);
    }
  },
);

testOnWebGpu("product(): every plan of the device's own family gives the same bits", async () => {
  const target = kernelTarget();
  assert(target);
  for (const form of forms) {
    const [first, ...others] = await byPlans(
      form,
      productCandidates(form, { m: 140, k: 36, n: 132 }, target).slice(0, 4),
    );
    for (const other of others) assertEquals(other, first);
  }
});

Deno.test("tilesCandidates(): fit the device, and the first gives enough workgroups", () => {
  const small = { threads: 128, workgroupBytes: 16384, lanes: 1 };
  const large = { threads: 1024, workgroupBytes: 49152, lanes: 32 };
  const sizes = [[1600, 768], [12800, 512], [64, 64], [8, 4], [768, 3072]].map(([m, n]) => ({ m, n }));
  for (const form of forms) {
    for (const size of sizes) {
      for (const device of [small, large]) {
        const plans = tilesCandidates(form, size, device);
        assert(plans.length > 0);
        assertEquals(new Set(plans.map((plan) => JSON.stringify(plan))).size, plans.length);
        for (const plan of plans) {
          assert(tilesThreads(plan) <= Math.min(256, device.threads));
          assert(tilesBytes(form, plan) <= device.workgroupBytes);
          if (device === small) assertEquals(plan.lanes, 1);
          if (plan.lanes > 1) assertEquals(plan.columns, plan.lanes * plan.threadColumns);
        }
      }
    }
  }
  const rowsOf = (m: number, n: number) => tilesCandidates("NT", { m, n }, large)[0].rows;
  assertEquals([rowsOf(12800, 1536), rowsOf(1600, 768), rowsOf(256, 192)], [128, 64, 32]);
  assert(tilesCandidates("NT", { m: 1600, n: 768 }, large).some((plan) => plan.lanes === 32));
});
