import { assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { keptCount, maskFromNoise } from "../../../src/ops/tokens/masking.ts";
import { testOnBackends } from "../../support/backends.ts";
import { Fixture, fixtureJson } from "../../support/fixtures.ts";

interface MaskCase {
  L: number;
  mask_ratio: number;
  len_keep: number;
}

/** All cases of the fixture: 7 lengths by 7 ratios, three images each. */
async function cases(): Promise<{ fixture: Fixture; list: MaskCase[] }> {
  const json = await fixtureJson("masking.json");
  return { fixture: await Fixture.read("masking.safetensors"), list: json.cases as MaskCase[] };
}

Deno.test("keptCount() cuts off the raw floating product, as the official code", async () => {
  const { list } = await cases();
  assertEquals(list.length, 49);
  for (const { L, mask_ratio, len_keep } of list) assertEquals(keptCount(L, mask_ratio), len_keep);
});

for (const source of ["values", "tensor"] as const) {
  testOnBackends(`maskFromNoise() of ${source} equals every row of the fixture`, async () => {
    const { fixture, list } = await cases();
    for (const { L, mask_ratio, len_keep } of list) {
      const key = `L${L}_r${mask_ratio.toFixed(2).replace(/0$/, "")}`;
      const noise = source === "values" ? fixture.values(`noise_${L}`) : fixture.tensor(`noise_${L}`);
      const { idsKeep, idsRestore, mask, kept } = maskFromNoise(noise, 3, L, mask_ratio);
      assertEquals(kept, len_keep);
      assertEquals([...await readTensor(idsRestore)], [...fixture.values(`${key}/ids_restore`)], key);
      assertEquals([...await readTensor(mask)], [...fixture.values(`${key}/mask`)], key);
      if (kept > 0) assertEquals([...await readTensor(idsKeep)], [...fixture.values(`${key}/ids_keep`)], key);
    }
  });
}

testOnBackends("maskFromNoise() orders equal noise by position", async () => {
  for (const noise of [new Float32Array(8).fill(0.5), tf.fill([1, 8], 0.5)]) {
    const { idsKeep, idsRestore } = maskFromNoise(noise, 1, 8, 0.75);
    assertEquals([...await readTensor(idsKeep)], [0, 1]);
    assertEquals([...await readTensor(idsRestore)], [0, 1, 2, 3, 4, 5, 6, 7]);
  }
});

testOnBackends("maskFromNoise() refuses ratios and shapes that cannot be", () => {
  assertThrows(() => maskFromNoise(new Float32Array(8), 1, 8, 1), RangeError, "in [0, 1), not 1");
  assertThrows(
    () => maskFromNoise(new Float32Array(7), 1, 8, 0.5),
    RangeError,
    "must be [1, 8], not 7 values",
  );
  assertThrows(() => maskFromNoise(tf.zeros([2, 7]), 2, 8, 0.5), RangeError, "not [2,7]");
  return Promise.resolve();
});
