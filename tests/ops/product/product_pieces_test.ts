/** Gradients of weights whose terms several workgroups share. */
import { assert, assertEquals } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { withTarget } from "../../../src/gpu/target.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { product } from "../../../src/ops/product/matmul.ts";
import { addPieces, piecesOf } from "../../../src/ops/product/product_pieces.ts";
import { tilesCandidates } from "../../../src/ops/product/tiles_plan.ts";
import { testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, randomTensor } from "../../support/compare.ts";
import { countDispatches } from "../../support/dispatches.ts";
import { halfAvailable, kernelTargets, toHalf } from "../../support/targets.ts";

const tiles = { family: "tiles", bindingBytes: 2 ** 27 } as const;
/** Three pieces of 544, 544 and 512 terms. */
const [m, n, k] = [36, 20, 1600];

Deno.test("piecesOf(): long sums of few results only, for GPUs, and within a binding", () => {
  assertEquals(piecesOf("TN", { m, n, k }, tiles), { count: 3, terms: 544 });
  assertEquals(piecesOf("TN", { m, n, k: 1023 }, tiles), null);
  assertEquals(piecesOf("TN", { m: 3072, n: 768, k: 12608 }, tiles), null); // enough tiles as it is
  assertEquals(piecesOf("TN", { m: 512, n: 512, k: 12608 }, tiles), { count: 2, terms: 6304 });
  assertEquals(piecesOf("TN", { m: 96, n: 96, k: 2 ** 20 }, tiles)?.count, 16);
  assertEquals(
    piecesOf("TN", { m: 96, n: 96, k: 2 ** 20 }, { ...tiles, bindingBytes: 3 * 4 * 96 * 96 })?.count,
    3,
  );
  for (const form of ["NN", "NT"] as const) assertEquals(piecesOf(form, { m, n, k }, tiles), null);
  assertEquals(piecesOf("TN", { m, n, k }, { ...tiles, family: "lanes" }), null);
  for (let terms = 1024; terms < 70_000; terms += 333) {
    const pieces = piecesOf("TN", { m, n, k: terms }, tiles);
    assert(pieces);
    const last = terms - (pieces.count - 1) * pieces.terms;
    assert(last > 0 && last <= pieces.terms && pieces.terms % 32 === 0, `${terms} terms`);
  }
});

for (const { name, changes } of kernelTargets.slice(1)) {
  testOnWebGpu(`product(): in pieces as in one, scaled, with sums, into tensors (${name})`, async () => {
    const [a, b] = [randomTensor([k, m], 1), randomTensor([k, n], 2)];
    const plain = tf.mul(tf.matMul(a, b, true), 0.5);
    const sums = tf.mul(tf.sum(a, 0), 0.5);
    const extras = { columnSums: true, scale: 0.5 };
    let result: ReturnType<typeof product> | undefined;
    const dispatches = countDispatches(() => {
      result = withTarget(changes, () => product("TN", a, b, extras));
    });
    assertEquals(dispatches, 3); // the product, and two sums of its pieces
    assert(result?.columnSums);
    assertRelative(await readTensor(result.value), await readTensor(plain), 5e-6, "value");
    assertRelative(await readTensor(result.columnSums), await readTensor(sums), 5e-6, "sums");

    const into = { value: randomTensor([m, n], 3), columnSums: randomTensor([m], 4) };
    const [expected, expectedSums] = await Promise.all([
      readTensor(tf.add(plain, into.value)),
      readTensor(tf.add(sums, into.columnSums)),
    ]);
    withTarget(changes, () => product("TN", a, b, { ...extras, into }));
    assertRelative(await readTensor(into.value), expected, 5e-6, "value into");
    assertRelative(await readTensor(into.columnSums), expectedSums, 5e-6, "sums into");
  });
}

testOnWebGpu("product(): pieces give the same bits by every plan, and take halves", async (runtime) => {
  const lanes = runtime.adapter?.features.includes("subgroups") ? runtime.adapter.subgroupSizes[0] : 1;
  const plans = tilesCandidates("TN", { m, n }, { threads: 256, workgroupBytes: 32768, lanes });
  assert(plans.length > 1);
  const [a, b] = [randomTensor([k, m], 1), randomTensor([k, n], 2)];
  const by = (plan: typeof plans[number], a: tf.Tensor, b: tf.Tensor) =>
    withTarget({ family: "tiles" }, () => product("TN", a, b, {}, plan)).value;
  const [first, ...others] = await Promise.all(plans.map((plan) => readTensor(by(plan, a, b))));
  for (const other of others) assertEquals(other, first);
  if (!halfAvailable()) return;
  const halves = [toHalf(a), toHalf(b)];
  const singles = await Promise.all(halves.map(async (x) => tf.tensor(await readTensor(x), x.shape)));
  const expected = await readTensor(tf.matMul(singles[0], singles[1], true));
  assertRelative(await readTensor(by(plans[0], halves[0], halves[1])), expected, 5e-6, "halves");
});

testOnWebGpu("addPieces(): adds in order, over what is there or not", async () => {
  const pieces = tf.tensor([[1e8, 1, 2, 3], [-1e8, 1, 1, 1], [1, 1, 1, 1]]);
  const result = tf.tensor([5, 5, 5, 5]);
  addPieces(pieces, result, false);
  assertEquals([...await readTensor(result)], [1, 3, 4, 5]);
  addPieces(pieces, result, true);
  assertEquals([...await readTensor(result)], [2, 6, 8, 10]);
});
