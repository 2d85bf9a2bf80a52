import { BrokenImageError } from "../../src/images/image.ts";
import { openLoader } from "../../src/data/loader.ts";
import { readSample } from "../../src/sources/sample_bytes.ts";
import { fileSource, type ImageSource, namesOf, subsetOf } from "../../src/sources/source.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder, maeAugment, writeImages } from "../data/support.ts";

Deno.test("fileSource() names files, and says where they are", () => {
  const source = fileSource("set/", ["a.png", "b/c.png"], 3);
  assertEquals([source.root, source.length, source.others], ["set/", 2, 3]);
  assertEquals(namesOf(source), ["a.png", "b/c.png"]);
  assertEquals(source.path(1), "set/b/c.png");
  assertEquals(source.locate(1), { kind: "file", path: "set/b/c.png" });
  assertEquals(fileSource("", ["/full/path.png"]).path(0), "/full/path.png");
});

Deno.test("subsetOf() numbers some samples anew, and counts those of each shard", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const shards = [{ name: "0", samples: 2 }, { name: "1", samples: 3 }, { name: "2", samples: 1 }];
  const part = subsetOf({ ...fileSource("", names), shards }, Uint32Array.of(0, 1, 5));
  assertEquals([part.length, namesOf(part), part.path(2)], [3, ["a", "b", "f"], "f"]);
  assertEquals(part.shards, [{ name: "0", samples: 2 }, { name: "2", samples: 1 }]);
  assertEquals(subsetOf(fileSource("", names), Uint32Array.of(3)).shards, undefined);
});

Deno.test("readSample() reads part of a file, and says when the file ends before it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/all.bin`;
    await Deno.writeFile(path, Uint8Array.from({ length: 100 }, (_, i) => i));
    assertEquals([...await readSample({ kind: "range", path, offset: 40, length: 3 })], [40, 41, 42]);
    await assertRejects(
      () => readSample({ kind: "range", path, offset: 90, length: 12 }),
      BrokenImageError,
      `${path} ends 2 bytes before the entry does`,
    );
    await assertRejects(
      () => readSample({ kind: "range", path: `${folder}/gone`, offset: 0, length: 1 }),
      BrokenImageError,
      "the file has vanished",
    );
    await assertRejects(
      () => readSample({ kind: "range", path, offset: 0, length: 2 ** 31 }),
      BrokenImageError,
      "more than any image needs",
    );
  }));

/** The images of a folder as one file after the other in a single file, every other one in memory. */
async function joined(folder: string, count: number): Promise<ImageSource> {
  const files = fileSource(folder, Array.from({ length: count }, (_, i) => `00${i}.png`));
  const offsets = [0];
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    parts.push(await Deno.readFile(files.path(i)));
    offsets.push(offsets[i] + parts[i].length);
  }
  const path = `${folder}/all.bin`;
  await Deno.writeFile(path, new Uint8Array(await new Blob(parts.map((part) => part.slice())).arrayBuffer()));
  return {
    ...files,
    locate: (sample) =>
      sample % 2 === 0
        ? { kind: "range", path, offset: offsets[sample], length: parts[sample].length }
        : Promise.resolve({ kind: "bytes", bytes: parts[sample] }),
  };
}

Deno.test("a loader makes the same batches of files, parts of files and bytes", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 6);
    const settings = { imageSize: [8, 8], channels: 3, exif: "ignore", augment: maeAugment } as const;
    const first = async (source: ImageSource, workers: number) => {
      const rest = { batchSize: 6, accumulate: 1, repeat: 1, seed: 3, workers };
      const loader = await openLoader({ source, ...settings, ...rest });
      const pixels = (await loader.next()).pixels.slice();
      await loader.close();
      return pixels;
    };
    const parts = await joined(folder, 6);
    const files = await first(fileSource(folder, namesOf(parts)), 0);
    assertEquals(await first(parts, 0), files);
    assertEquals(await first(parts, 2), files);
  }));

Deno.test("a loader replaces a sample that its source knows to be broken", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 4);
    const files = fileSource(folder, ["000.png", "001.png", "002.png", "003.png"]);
    const source: ImageSource = {
      ...files,
      path: (sample) => `shard.tar/${sample}`,
      locate(sample) {
        if (sample === 2) throw new BrokenImageError("the archive is cut there");
        return files.locate(sample);
      },
    };
    const settings = { imageSize: [8, 8], channels: 3, exif: "ignore", augment: maeAugment } as const;
    const rest = { batchSize: 4, accumulate: 1, repeat: 1, seed: 3, workers: 0 };
    const loader = await openLoader({ source, ...settings, ...rest });
    const { indices } = await loader.next();
    assertEquals([indices.length, indices.includes(2)], [4, false]);
    assertEquals(loader.broken, [{ path: "shard.tar/2", reason: "the archive is cut there" }]);
    await loader.close();
  }));
