import { assertEquals } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { dropPathRates, dropPathScales } from "../../src/nn/drop_path.ts";
import { addScaled } from "../../src/ops/scaled_residual.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";

Deno.test("dropPathRates() equals the official rates, which rise from 0", async () => {
  const json = await fixtureJson("layer_decay.json");
  const official = json["drop_path_rates_depth12_rate0.1"] as number[];
  assertClose(dropPathRates(0.1, 12), official, 1e-8, "rates"); // the official ones are in single precision
  assertEquals(dropPathRates(0.1, 1), [0]);
});

testOnBackends("what drop path leaves of a batch equals timm's", async () => {
  const fixture = await Fixture.read("finetune.safetensors");
  const x = fixture.tensor("drop_path/x");
  const scales = dropPathScales(fixture.values("drop_path/uniform"), 0.2);
  const kept = await readTensor(addScaled(tf.zerosLike(x), x, tf.tensor1d(scales)));
  assertClose(kept, fixture.values("drop_path/out_rate0.2"), 3e-7, "rate 0.2");
  assertEquals(dropPathScales(new Float32Array([0, 0.5]), 0), new Float32Array([1, 1]));
});
