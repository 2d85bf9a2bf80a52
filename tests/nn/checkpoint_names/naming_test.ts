import { huggingFaceNaming } from "../../../src/nn/checkpoint_names/huggingface.ts";
import { Naming } from "../../../src/nn/checkpoint_names/naming.ts";
import { foreignPart, officialNaming } from "../../../src/nn/checkpoint_names/official.ts";
import { assertEquals, assertThrows } from "../../deps.ts";
import { fixtureJson } from "../../support/fixtures.ts";

Deno.test("huggingFaceNaming() is the mapping that reproduces the official model, both ways", async () => {
  const { hf_to_official: mapping } = await fixtureJson("hf_vitmae_a/mapping.json");
  const naming = huggingFaceNaming("vit.");
  for (const [stored, where] of Object.entries(mapping as Record<string, string>)) {
    const [, official, from = "0"] = /^(.*?)(?:\[(\d+):\d+\])?$/.exec(where) ?? [];
    const part = Number(from) / (official.startsWith("decoder") ? 32 : 48);
    const parts = where.endsWith("]") ? 3 : 1;
    assertEquals(naming.placeOf(stored), { official, part, parts });
    assertEquals(naming.storedNames(official)?.[part], stored);
    assertEquals(officialNaming.storedNames(official), [official]);
  }
  assertEquals(Object.keys(mapping as object).length, 78);
});

Deno.test("Naming leaves alone what it does not know", () => {
  const naming = huggingFaceNaming("");
  const strangers = [
    "pooler.dense.weight",
    "encoder.layer.x.output.dense.bias",
    "vit.layernorm.bias",
    "",
    "#",
  ];
  for (const name of [...strangers, "encoder.layer.#.output.dense.bias"]) {
    assertEquals([naming.placeOf(name), officialNaming.placeOf(name)], [null, null], name);
  }
  assertEquals(naming.placeOf("encoder.layer.12.output.dense.bias")?.official, "blocks.12.mlp.fc2.bias");
  assertEquals(officialNaming.storedNames("blocks.0.ls1.gamma"), null);
  assertThrows(
    () => new Naming([{ official: "a", stored: ["b"] }, { official: "c", stored: ["b"] }]),
    Error,
    "b",
  );
});

Deno.test("foreignPart() knows what MAE's vision transformer has not", () => {
  const foreign: Record<string, string> = {
    "blocks.3.ls1.gamma": "layer scale",
    "reg_token": "register tokens",
    "dist_token": "a distillation token",
    "norm_pre.weight": "a norm before its blocks",
    "blocks.0.attn.q_norm.weight": "normalised queries and keys",
    "blocks.0.mlp.w12.weight": "a gated MLP",
    "blocks.0.attn.relative_position_bias_table": "relative positions",
    "encoder.layer.0.anything.weight": "parts in its blocks that are unknown here",
  };
  for (const [name, part] of Object.entries(foreign)) assertEquals(foreignPart(name), part);
  for (const name of ["pooler.dense.bias", "head.fc.weight", "epoch"]) assertEquals(foreignPart(name), null);
});
