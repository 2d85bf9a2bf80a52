import { readSafetensors } from "../../../src/formats/safetensors.ts";
import { openSafetensors } from "../../../src/formats/safetensors.ts";
import { classFolders, embed, type EmbedOptions } from "../../../src/train/features/embed.ts";
import type { FrozenEvent } from "../../../src/train/run/events.ts";
import { InputError } from "../../../src/util/errors.ts";
import { fileSource } from "../../../src/sources/source.ts";
import { assert, assertEquals, assertRejects } from "../../deps.ts";
import { readParquet } from "../../support/parquet.ts";
import { withData } from "../labelled_support.ts";

function write(folder: string, out: string, options: Partial<EmbedOptions> = {}) {
  return embed({ from: `${folder}/checkpoint` }, {
    data: `${folder}/images`,
    out: `${folder}/${out}`,
    backend: "cpu",
    workers: 0,
    ...options,
  });
}

const expectedPaths = ["dark/0.png", "dark/1.png", "gray/0.png", "gray/1.png", "light/0.png", "light/1.png"];

Deno.test(
  "embed() writes the same features, paths and labels as safetensors and as Parquet",
  withData(async (folder) => {
    const events: FrozenEvent[] = [];
    const result = await write(folder, "new/features.safetensors", {
      onEvent: (event) => events.push(event),
    });
    const { images, width, pooling, classes, brokenFiles } = result;
    assertEquals([images, width, pooling, classes, brokenFiles], [
      6,
      8,
      "class_token",
      ["dark", "gray", "light"],
      0,
    ]);
    const path = `${folder}/new/features.safetensors`;
    const tensors = await readSafetensors(path);
    const { data: bytes } = tensors.get("path_bytes") ?? {};
    const { data: offsets } = tensors.get("path_offsets") ?? {};
    assert(bytes instanceof Uint8Array && offsets instanceof BigInt64Array);
    const paths = expectedPaths.map((_, i) =>
      new TextDecoder().decode(bytes.subarray(Number(offsets[i]), Number(offsets[i + 1])))
    );
    assertEquals(paths, expectedPaths);
    assertEquals(tensors.get("labels")?.data, BigInt64Array.of(0n, 0n, 1n, 1n, 2n, 2n));
    const features = tensors.get("features");
    assertEquals([features?.shape, features?.dtype], [[6, 8], "F32"]);
    using file = await openSafetensors(path);
    assertEquals([file.metadata.classes, file.metadata.pooling], ['["dark","gray","light"]', "class_token"]);
    assertEquals(events.filter(({ kind }) => kind === "progress").at(-1), {
      kind: "progress",
      what: "features",
      share: 1,
    });

    await write(folder, "features.parquet");
    const { rows, metadata } = await readParquet(`${folder}/features.parquet`);
    assertEquals(rows.map(({ path }) => path), expectedPaths);
    assertEquals(rows.map(({ label }) => label), ["dark", "dark", "gray", "gray", "light", "light"]);
    assertEquals(Float32Array.from(rows.flatMap(({ features }) => features as number[])), features?.data);
    assertEquals(metadata.encoder, result.encoder);

    await write(folder, "average.parquet", { pooling: "average", batchSize: 4 });
    const averages = (await readParquet(`${folder}/average.parquet`)).rows;
    assert(averages.some((row, i) => String(row.features) !== String(rows[i].features)));
  }),
);

Deno.test(
  "embed() leaves out broken files, and labels only what lies in folders of classes",
  withData(async (folder) => {
    await Deno.writeTextFile(`${folder}/images/gray/0.png`, "no picture");
    await Deno.copyFile(`${folder}/images/dark/0.png`, `${folder}/images/stray.png`);
    const { images, classes, brokenFiles } = await write(folder, "features.parquet");
    assertEquals([images, classes, brokenFiles], [6, null, 1]);
    const { rows } = await readParquet(`${folder}/features.parquet`);
    assertEquals(
      rows.map(({ path, label }) => [path, label]),
      [
        ...expectedPaths.filter((path) => path !== "gray/0.png"),
        "stray.png",
      ].map((path) => [path, undefined]),
    );
  }),
);

Deno.test(
  "embed() takes the images of a table, and their labels where every row has one",
  withData(async (folder) => {
    const table = async (text: string, out: string) => {
      await Deno.writeTextFile(`${folder}/t.csv`, text);
      const { classes } = await write(folder, out, { data: `${folder}/t.csv` });
      const { rows } = await readParquet(`${folder}/${out}`);
      return { classes, rows: rows.map(({ path, label }) => [path, label]) };
    };
    const labelled = await table("path,label\nimages/light/0.png,b\nimages/dark/0.png,a\n", "both.parquet");
    assertEquals(labelled, {
      classes: ["a", "b"],
      rows: [["images/light/0.png", "b"], ["images/dark/0.png", "a"]],
    });
    const some = await table("path,label\nimages/light/0.png,b\nimages/dark/0.png,\n", "some.parquet");
    assertEquals(some, {
      classes: null,
      rows: [["images/light/0.png", undefined], ["images/dark/0.png", undefined]],
    });
    assertEquals((await table("path\nimages/gray/0.png\n", "none.parquet")).classes, null);
  }),
);

Deno.test(
  "embed() refuses what it cannot write before it computes anything",
  withData(async (folder) => {
    const refused = (out: string, words: string) =>
      assertRejects(() => write(folder, out), InputError, words);
    await refused("features.csv", "must end in .safetensors or .parquet");
    await Deno.writeTextFile(`${folder}/there.parquet`, "old");
    await refused("there.parquet", "is there already; replace it with --force");
    await refused("there.parquet/below.parquet", "nothing can be written to");
    await Deno.mkdir(`${folder}/folder.parquet`);
    await refused("folder.parquet", "is a folder");
    assertEquals(await Deno.readTextFile(`${folder}/there.parquet`), "old");
    assertEquals((await write(folder, "there.parquet", { force: true })).images, 6);
    assertEquals((await readParquet(`${folder}/there.parquet`)).rows.length, 6);
  }),
);

Deno.test("classFolders() finds classes at the top and under train and val", () => {
  assertEquals(classFolders(fileSource("", ["a/1.png", "b/x/2.png"])), ["a", "b"]);
  assertEquals(classFolders(fileSource("", ["train/a/1.png", "val/b/2.png"])), ["a", "b"]);
  assertEquals(classFolders(fileSource("", ["a/1.png", "2.png"])), null);
  assertEquals(classFolders(fileSource("", ["a/1.png", "a/2.png"])), null);
  assertEquals(classFolders(fileSource("", ["train/1.png", "val/2.png"])), null);
});
