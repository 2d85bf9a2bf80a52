import { parseSet } from "../../../src/config/layers.ts";
import { resolvePretrainConfig, toYaml } from "../../../src/config/pretrain.ts";
import { createHash } from "../../../src/deps/node.ts";
import { fileSource } from "../../../src/sources/source.ts";
import { changedKeys, configRecord, fingerprint } from "../../../src/train/run/resume.ts";
import { assertEquals, assertNotEquals } from "../../deps.ts";

const config = (...sets: string[]) =>
  toYaml(resolvePretrainConfig(["data.train=photos", ...sets].map(parseSet)));

Deno.test("configRecord() has the keys of the YAML, and survives JSON", () => {
  const record = configRecord(config("model.encoder=vit_tiny"));
  assertEquals(Object.keys(record), ["model", "mask", "target", "data", "optim", "run"]);
  assertEquals(JSON.parse(JSON.stringify(record)), record);
});

Deno.test("changedKeys() names what differs by its dotted key", () => {
  const before = configRecord(config());
  const changed = (...sets: string[]) => changedKeys(before, configRecord(config(...sets)));
  assertEquals(changed(), []);
  assertEquals(changed("optim.blr=1e-3", "mask.ratio=0.5"), ["mask.ratio", "optim.blr"]);
  assertEquals(changed("data.augment.crop_scale=[0.5, 1]"), ["data.augment.crop_scale"]);
  assertEquals(changed("model.encoder=vit_large"), ["model.encoder"]);
  assertEquals(changed("model.encoder.depth=3"), ["model.encoder"]);
  assertEquals(changed("optim.lr=1e-3"), ["optim.lr"]);
});

Deno.test("changedKeys() leaves out what changes no bit of the result", () => {
  const before = configRecord(config());
  const harmless = ["run.out=x", "run.log_every=1", "run.checkpoint_every=1 minute", "run.keep=9"];
  harmless.push("run.figure_images=0", "data.workers=2", "data.train=elsewhere", "optim.max_bad_steps=1");
  assertEquals(changedKeys(before, configRecord(config(...harmless))), []);
});

Deno.test("changedKeys() copes with a stored configuration of another version", () => {
  assertEquals(changedKeys({ run: { gone: 1 } }, { run: { come: 2 } }), ["run.gone", "run.come"]);
  assertEquals(changedKeys({ run: 5 }, { run: { seed: 2 } }), ["run"]);
  assertEquals(changedKeys(null, {}), [""]);
  assertEquals(changedKeys({ data: { a: 1 } }, { data: { a: 1, path_column: null } }), []); // a new key at its null
});

Deno.test("fingerprint() tells names and order, and not where the folder is", () => {
  const source = (root: string, ...paths: string[]) => fingerprint(fileSource(root, paths));
  const given = source("a", "1.png", "2.png");
  assertEquals(given.length, 64);
  assertEquals(given, source("b", "1.png", "2.png"));
  for (const other of [["2.png", "1.png"], ["1.png"], ["1.png", "2.png", "3.png"], ["1.png2.png"]]) {
    assertNotEquals(given, source("a", ...other));
  }
  const names = ["1.png", "2.png"].join("\0"); // what it always was: checkpoints hold it
  assertEquals(given, createHash("sha256").update(names).digest("hex"));
  const many = Array.from({ length: 20_000 }, (_, i) => `folder/${i}.png`); // more than are hashed at once
  assertEquals(source("a", ...many), createHash("sha256").update(many.join("\0")).digest("hex"));
});

Deno.test("fingerprint() asks a source with shards for none of its samples' names", () => {
  const shards = [{ name: "0.tar", samples: 2 }, { name: "1.tar", samples: 3 }];
  const never = () => {
    throw new Error("asked");
  };
  const source = { root: "", length: 5, others: 0, name: never, path: never, locate: never };
  const given = fingerprint({ ...source, shards });
  assertNotEquals(given, fingerprint({ ...source, shards: shards.toReversed() }));
  assertNotEquals(given, fingerprint({ ...source, shards: [shards[0], { name: "1.tar", samples: 4 }] }));
});
