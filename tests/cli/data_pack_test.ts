import { parseSize } from "../../src/cli/data_pack.ts";
import { main } from "../../src/cli/main.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { RecordingTerminal } from "../support/terminal.ts";

Deno.test("mae data pack writes shards and says what it wrote and left out", () =>
  inFolder(async (folder) => {
    const image = await Deno.readFile(new URL("../fixtures/images/rgb.jpg", import.meta.url));
    for (const name of ["cat", "dog"]) {
      await Deno.mkdir(`${folder}/my pets/${name}`, { recursive: true });
      await Deno.writeFile(`${folder}/my pets/${name}/1.jpg`, image);
    }
    await Deno.writeTextFile(`${folder}/my pets/dog/2.jpg`, "no image");
    const terminal = new RecordingTerminal();
    const args = ["data", "pack", `${folder}/my pets/`, "--to", `${folder}/out/`, "--shard-size", "100kB"];
    assertEquals(await main(args, terminal), 0);
    assertEquals(terminal.errors.length, 1);
    assertStringIncludes(terminal.errors[0], "Warning: ");
    assertStringIncludes(terminal.errors[0], "dog/2.jpg is left out: ");
    for (
      const part of [
        "out/my_pets.json",
        "2, and 1 broken one left out",
        "2 classes",
        "read back and compared",
      ]
    ) {
      assertStringIncludes(terminal.text, part);
    }
    assertEquals(await main(args, new RecordingTerminal()), 2);
  }));

Deno.test("parseSize() reads sizes with and without units", () => {
  const sizes = ["1GB", "1.5 GiB", "500mb", "20000", "10kB", "2TiB"];
  assertEquals(sizes.map(parseSize), [1e9, 1.5 * 2 ** 30, 5e8, 20_000, 10_000, 2 ** 41]);
  for (const wrong of ["", "GB", "-1GB", "1", "1e9", "1 PB", "1constructor"]) {
    assertThrows(() => parseSize(wrong), InputError, "must be a size");
  }
});
