import { onnxDataPath, type OnnxModel, writeOnnxFile } from "../../src/formats/onnx.ts";
import type { TensorData } from "../../src/formats/dtypes.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { OnnxSession, readOnnx, runOnnx } from "../support/onnx.ts";

const ramp = (length: number) => Float32Array.from({ length }, (_, i) => i);

/** y = x · a + b, with a matrix that is large enough for a file of its own. */
function model(fetch: (name: string) => TensorData | Promise<TensorData> = () => ramp(400)): OnnxModel {
  return {
    name: "test",
    description: "y = x · a + b",
    producer: { name: "tests", version: "1.2" },
    operatorSet: 17,
    nodes: [
      { op: "MatMul", name: "first", inputs: ["x", "a"], outputs: ["product"] },
      { op: "Add", name: "second", inputs: ["product", "b"], outputs: ["sum"] },
      {
        op: "ReduceMean",
        name: "third",
        inputs: ["sum"],
        outputs: ["y"],
        attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
      },
    ],
    inputs: [{ name: "x", dtype: "F32", shape: ["batch", 20], description: "rows" }],
    outputs: [{ name: "y", dtype: "F32", shape: ["batch"] }],
    constants: [
      { name: "a", dtype: "F32", shape: [20, 20], data: () => fetch("a") },
      { name: "b", dtype: "F32", shape: [], data: Float32Array.of(0.5) },
      { name: "c", dtype: "F32", shape: [20, 20], data: () => fetch("c") },
    ],
    metadata: { key: "value", "Ümläut": "日本" },
  };
}

/** Mean over columns j of Σ i · (20 i + j), plus a half. */
const expected = 20 * 2470 + 190 * 9.5 + 0.5;

const input = { shape: [2, 20], values: Float32Array.from([...ramp(20), ...new Float32Array(20)]) };

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("writeOnnxFile() writes what a reader of its own finds, and ONNX Runtime runs", () =>
  inFolder(async (folder) => {
    const files = await writeOnnxFile(`${folder}/m.onnx`, model());
    assertEquals(files, [`${folder}/m.onnx`]);
    const { constants, metadata, nodes, ...read } = await readOnnx(files[0]);
    assertEquals(read, {
      irVersion: 8,
      producer: ["tests", "1.2"],
      operatorSets: [["", 17]],
      inputs: [["x", 1, ["batch", 20]]],
      outputs: [["y", 1, ["batch"]]],
    });
    assertEquals([...metadata], [["key", "value"], ["Ümläut", "日本"]]);
    assertEquals(nodes.map(({ op, inputs, outputs }) => [op, ...inputs, ...outputs]), [
      ["MatMul", "x", "a", "product"],
      ["Add", "product", "b", "sum"],
      ["ReduceMean", "sum", "y"],
    ]);
    assertEquals([...nodes[2].attributes], [["axes", [1]], ["keepdims", 0]]);
    assertEquals([...constants.keys()], ["a", "b", "c"]);
    assertEquals(constants.get("a")?.shape, [20, 20]);
    assertEquals(constants.get("a")?.bytes, new Uint8Array(ramp(400).buffer));
    assertEquals(constants.get("b")?.bytes, new Uint8Array(Float32Array.of(0.5).buffer));
    const { shape, values } = await runOnnx(files, input, "y");
    assertEquals(shape, [2]);
    assertEquals([...values], [expected, 0.5]);
    assertEquals(await filesIn(folder), ["m.onnx"]);
  }));

Deno.test("writeOnnxFile() puts the constants of a large model beside it, from page to page", () =>
  inFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    const files = await writeOnnxFile(path, model(), { largestFile: 3000 });
    assertEquals(files, [path, onnxDataPath(path)]);
    assertEquals(await filesIn(folder), ["m.onnx", "m.onnx.data"]);
    const { constants } = await readOnnx(path);
    const place = (name: string) => Object.fromEntries(constants.get(name)?.place ?? []);
    assertEquals(place("a"), { location: "m.onnx.data", offset: "0", length: "1600" });
    assertEquals(place("c"), { location: "m.onnx.data", offset: "4096", length: "1600" });
    assertEquals(constants.get("a")?.bytes, undefined);
    assertEquals(constants.get("b")?.bytes?.length, 4);
    const data = await Deno.readFile(files[1]);
    assertEquals(data.length, 4096 + 1600);
    assertEquals(data.slice(4096), new Uint8Array(ramp(400).buffer));
    assertEquals([...(await runOnnx(files, input, "y")).values], [expected, 0.5]);
  }));

Deno.test("writeOnnxFile() keeps one file up to the very limit", () =>
  inFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    await writeOnnxFile(path, model());
    const { size } = await Deno.stat(path);
    assertEquals(await writeOnnxFile(path, model(), { largestFile: size }), [path]);
    assertEquals((await writeOnnxFile(path, model(), { largestFile: size - 1 })).length, 2);
  }));

Deno.test("writeOnnxFile() leaves nothing when a constant cannot be fetched, and the old file as it was", () =>
  inFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    const broken = model((name) => {
      if (name === "c") throw new Error("no more");
      return ramp(400);
    });
    for (const largestFile of [2 ** 31 - 1, 3000]) {
      await assertRejects(() => writeOnnxFile(path, broken, { largestFile }), Error, "no more");
      await assertRejects(
        () => writeOnnxFile(path, model(() => ramp(3)), { largestFile }),
        Error,
        '"a" has shape [20,20], but 3 elements',
      );
      assertEquals(await filesIn(folder), []);
    }
    await Deno.writeTextFile(path, "old");
    await assertRejects(() => writeOnnxFile(path, broken), Error, "no more");
    assertEquals(await Deno.readTextFile(path), "old");
    await Deno.remove(path);
    await Deno.mkdir(path); // a folder is in the way, which shows when the file is renamed
    await assertRejects(() => writeOnnxFile(path, model(), { largestFile: 3000 }));
    assertEquals(await filesIn(folder), ["m.onnx"]);
  }));

Deno.test("writeOnnxFile() refuses two constants of one name", () =>
  inFolder(async (folder) => {
    const { constants, ...rest } = model();
    const twice = { ...rest, constants: [...constants, constants[1]] };
    await assertRejects(() => writeOnnxFile(`${folder}/m.onnx`, twice), Error, '"b" is there twice');
    assertEquals(await filesIn(folder), []);
  }));

Deno.test("writeOnnxFile() fetches one constant at a time, each before the next", () =>
  inFolder(async (folder) => {
    const order: string[] = [];
    const slow = model(async (name) => {
      order.push(`${name} wanted`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      order.push(`${name} there`);
      return ramp(400);
    });
    await writeOnnxFile(`${folder}/m.onnx`, slow);
    assertEquals(order, ["a wanted", "a there", "c wanted", "c there"]);
  }));

Deno.test("ONNX Runtime refuses a file that is cut short", () =>
  inFolder(async (folder) => {
    const path = `${folder}/m.onnx`;
    await writeOnnxFile(path, model());
    await Deno.truncate(path, (await Deno.stat(path)).size - 1);
    const error = await assertRejects(() => OnnxSession.open([path]));
    assert(error !== null);
  }));
