import { assertEquals } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { dropPathRates, keptImages } from "../../src/nn/drop_path.ts";
import { branchScales } from "../../src/ops/branch/kept_images.ts";
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
  const kept = keptImages(fixture.values("drop_path/uniform"), 0.2);
  const left = await readTensor(tf.mul(x, branchScales(kept, x.shape[0], x.rank)));
  assertClose(left, fixture.values("drop_path/out_rate0.2"), 3e-7, "rate 0.2");
  assertEquals(keptImages(new Float32Array([0, 0.5]), 0), { images: [0, 1], scale: 1 });
});
