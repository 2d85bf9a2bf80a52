import { readMatStructs } from "../../src/formats/matlab.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertThrows } from "../deps.ts";
import { fixturePath } from "../support/fixtures.ts";

const read = (name: string) => Deno.readFile(fixturePath(`imagenet/${name}`));

Deno.test("readMatStructs() reads text and numbers of structures, packed or not", async () => {
  for (const name of ["meta.mat", "meta_plain.mat"]) {
    const rows = readMatStructs(await read(name), name, "synsets");
    assertEquals(rows.map(({ ILSVRC2012_ID, WNID, words }) => [ILSVRC2012_ID, WNID, words]), [
      [1, "n02119789", "kit fox, Vulpes macrotis"],
      [2, "n02100735", "English setter"],
      [3, "n01440764", "tench, Tinca tinca"],
      [1001, "n00001740", "entity"],
    ]);
    assertEquals([rows[3].num_children, rows[3].children, rows[0].children], [2, null, null]);
  }
});

Deno.test("readMatStructs() refuses other files, other arrays, and files that are cut or damaged", async () => {
  const bytes = await read("meta_plain.mat");
  const refused = (bytes: Uint8Array, sentence: string, name = "synsets") =>
    assertThrows(() => readMatStructs(bytes, "m.mat", name), InputError, sentence);
  refused(new Uint8Array(200), '"m.mat" is no MAT file of level 5');
  refused(new Uint8Array(3), '"m.mat" is no MAT file of level 5');
  refused(bytes, '"m.mat" holds no structures "sinsets"', "sinsets");
  refused(bytes, '"m.mat" holds no structures "other"', "other"); // it is a matrix
  for (let cut = 130; cut < bytes.length; cut += 97) refused(bytes.subarray(0, cut), '"m.mat" ');
  const packed = await read("meta.mat");
  packed.fill(7, 400, 420);
  refused(packed, '"m.mat" is a damaged MAT file: ');
});
