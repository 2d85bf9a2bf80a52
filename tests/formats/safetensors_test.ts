import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "../deps.ts";
import { DTYPES, itemSize, type StoredTensor, tensorOf, toFloat32 } from "../../src/formats/dtypes.ts";
import {
  encodeSafetensors,
  type LoadedEntry,
  openSafetensors,
  readSafetensors,
  type TensorEntry,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { inFolder } from "../support/folder.ts";

const MASKING = `${import.meta.dirname}/../fixtures/masking.safetensors`;

/** A file with the given header text, `dataLength` zero bytes of data, and a true or given header length. */
function fileOf(header: string | Uint8Array, dataLength = 0, length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const tensor = (shape: string, range: string, dtype = "F32") =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${range}}`;

const SMALL: LoadedEntry[] = [
  { name: "bytes", dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 255) },
  { name: "weight", dtype: "F32", shape: [2, 2], data: Float32Array.of(0.5, -1, NaN, Infinity) },
  { name: "step", dtype: "I64", shape: [], data: BigInt64Array.of(-(2n ** 62n)) },
  { name: "empty", dtype: "F32", shape: [0, 5], data: new Float32Array() },
  { name: '"__proto__"\n日本', dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) },
];

Deno.test("readSafetensors() reads a file that the reference library wrote", async () => {
  const tensors = await readSafetensors(MASKING);
  assertEquals(tensors.size, 154);
  const kept = tensors.get("L100_r0.25/ids_keep");
  assertEquals([kept?.dtype, kept?.shape, [...kept?.data.subarray(0, 4) ?? []]], ["I32", [3, 75], [
    74,
    55,
    93,
    61,
  ]]);
  const mask = tensors.get("L100_r0.25/mask");
  assertEquals(mask?.dtype, "F32");
  assertEquals([...mask?.data.subarray(0, 4) ?? []], [0, 1, 1, 1]);
  assertEquals(await readSafetensors(await Deno.readFile(MASKING)), tensors);
});

Deno.test("writeSafetensors() and readSafetensors() keep every type, shape, name and text", () =>
  inFolder(async (folder) => {
    const path = `${folder}/all.safetensors`;
    const entries = DTYPES.map((dtype, i) => {
      const raw = new Uint8Array(itemSize(dtype) * 6).map((_, j) => (17 * i + 29 * j) % 2);
      return { name: `t.${dtype}`, ...tensorOf(dtype, [2, 3], raw) };
    });
    const metadata: Record<string, string> = { format: "pt", note: 'ö "quoted"', __proto__x: "kept" };
    await writeSafetensors(path, [...entries, ...SMALL], metadata);
    const read = await readSafetensors(path);
    assertEquals(read.size, entries.length + SMALL.length);
    for (const { name, ...stored } of [...entries, ...SMALL]) {
      assertEquals(read.get(name), stored as StoredTensor);
    }
    using file = await openSafetensors(path);
    assertEquals({ ...file.metadata }, metadata);
  }));

Deno.test("writeSafetensors() aligns every tensor and equals encodeSafetensors()", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.safetensors`;
    await writeSafetensors(path, SMALL, { a: "b" });
    assertEquals(await Deno.readFile(path), encodeSafetensors(SMALL, { a: "b" }));
    using file = await openSafetensors(path);
    for (const { dtype, offset } of file.tensors.values()) assertEquals(offset % itemSize(dtype), 0);
    const length = new DataView((await Deno.readFile(path)).buffer).getBigUint64(0, true);
    assertEquals(length % 8n, 0n);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.safetensors"]);
  }));

Deno.test("writeSafetensors() fetches tensors one at a time, in the file's order", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.safetensors`;
    const log: string[] = [];
    const entries = ["a", "b", "c"].map((name): TensorEntry => ({
      name,
      dtype: "F32",
      shape: [1],
      data: async () => {
        log.push(`${name} asked`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        log.push(`${name} given`);
        return Float32Array.of(name.charCodeAt(0));
      },
    }));
    await writeSafetensors(path, entries);
    assertEquals(log, ["a asked", "a given", "b asked", "b given", "c asked", "c given"]);
    assertEquals((await readSafetensors(path)).get("b")?.data, Float32Array.of(98));
  }));

Deno.test("writeSafetensors() leaves the old file untouched when it fails", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.safetensors`;
    await writeSafetensors(path, SMALL);
    const before = await Deno.readFile(path);
    const wrong = (entry: Partial<TensorEntry>): TensorEntry[] => [{ ...SMALL[1], ...entry }];
    const cases: [TensorEntry[], string][] = [
      [wrong({ shape: [3] }), "has shape [3], but 4 elements"],
      [wrong({ shape: [-1, -4] }), "impossible shape"],
      [wrong({ dtype: "I32" }), "is I32, but its data is Float32Array"],
      [wrong({ name: "__metadata__" }), "not allowed"],
      [wrong({ name: "\ud800" }), "not allowed"],
      [[...wrong({}), ...wrong({})], "there twice"],
      [wrong({ data: () => Promise.reject(new Error("device lost")) }), "device lost"],
    ];
    for (const [entries, message] of cases) {
      await assertRejects(() => writeSafetensors(path, entries), Error, message);
    }
    assertEquals(await Deno.readFile(path), before);
    assertEquals([...Deno.readDirSync(folder)].length, 1);
    await assertRejects(() => writeSafetensors(`${folder}/none/x`, SMALL), RunError, "cannot write");
  }));

Deno.test("openSafetensors() reads by name, also several at once", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.safetensors`;
    await writeSafetensors(path, SMALL);
    using file = await openSafetensors(path);
    const names = SMALL.map(({ name }) => name);
    const read = await Promise.all(names.map((name) => file.read(name)));
    SMALL.forEach(({ name: _, ...stored }, i) => assertEquals(read[i], stored as StoredTensor));
    const error = await assertRejects(() => file.read("wieght"), InputError);
    assertEquals(error.message, `"${path}" holds no tensor "wieght"; did you mean "weight"?`);
    await Deno.truncate(path, (await Deno.stat(path)).size - 1);
    await assertRejects(() => file.read(names[4]), RunError, "shorter");
  }));

Deno.test("readSafetensors() refuses a file cut short at any byte, from disk and from memory", () =>
  inFolder(async (folder) => {
    const whole = encodeSafetensors(SMALL);
    const path = `${folder}/cut.safetensors`;
    for (let length = 0; length < whole.length; length++) {
      const part = whole.subarray(0, length);
      await assertRejects(
        () => readSafetensors(part),
        InputError,
        '"bytes in memory" is not a valid safetensors file',
      );
      await Deno.writeFile(path, part);
      await assertRejects(
        () => readSafetensors(path),
        InputError,
        `"${path}" is not a valid safetensors file`,
      );
    }
  }));

Deno.test("readSafetensors() survives any single damaged byte of the header", async () => {
  const whole = encodeSafetensors(SMALL.slice(0, 3));
  const headerEnd = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
  let refused = 0;
  for (let at = 0; at < headerEnd; at++) {
    for (const flip of [1, 0x20, 0x80]) {
      const damaged = whole.slice();
      damaged[at] ^= flip;
      try {
        await readSafetensors(damaged);
      } catch (error) {
        assert(error instanceof InputError, `byte ${at}: ${error}`);
        refused++;
      }
    }
  }
  assert(refused > headerEnd); // most damage is seen; the rest changes names or equal-sized types
});

Deno.test("readSafetensors() refuses malformed headers with one sentence", async () => {
  const cases: [Uint8Array, string][] = [
    [fileOf("{}", 0, 2n ** 60n), "its header should take 1152921504606846976 bytes, and the file has 10"],
    [fileOf("{}", 0, 2n ** 64n - 1n), "its header should take 18446744073709551615 bytes"],
    [fileOf("{}", 0, 3n), "its header should take 3 bytes"],
    [fileOf(""), "does not start with {"],
    [fileOf(" {}"), "does not start with {"],
    [fileOf("[]"), "does not start with {"],
    [fileOf("\ufeff{}"), "does not start with {"],
    [fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "not UTF-8"],
    [fileOf("{"), "has the end at character 1"],
    [fileOf("{}{}"), 'goes on with "{" after its closing brace'],
    [fileOf('{"a'), "a string without end"],
    [fileOf('{"a\\u12"'), "a broken string"],
    [fileOf('{"a":[]}'), 'has "[" at character 5 where { belongs'],
    [fileOf('{"a":{"b":{"c":1}}}'), 'unknown key "b"'],
    [fileOf(`{"a":${"[".repeat(1_000_000)}`), 'has "[" at character 5'],
    [fileOf(`{"a":{"shape":${"[".repeat(1_000_000)}`), "where an integer from 0 to 2^53 - 1 belongs"],
    [fileOf(`{"a":{"shape":[${"1,".repeat(1_000_000)}`), "more than 64 numbers"],
    [fileOf('{"__metadata__":{"a":1}}'), 'where " belongs'],
    [fileOf('{"__metadata__":{"a":"1","a":"2"}}'), '__metadata__ has "a" twice'],
    [fileOf(`{"a":${tensor("[1]", "[0,4]")},"a":${tensor("[1]", "[4,8]")}}`, 8), 'the header has "a" twice'],
    [fileOf(`{"a":${tensor("[1]", "[0,4]")},"\\u0061":${tensor("[1]", "[4,8]")}}`, 8), 'has "a" twice'],
    [fileOf('{"a":{"dtype":"F32","shape":[]}}'), "lacks its dtype, its shape or its two data_offsets"],
    [fileOf(`{"a":${tensor("[1]", "[0]")}}`), "lacks"],
    [fileOf(`{"a":${tensor("[1]", "[0,4,8]")}}`), "more than 2 numbers"],
    [fileOf(`{"a":${tensor("[1]", "[0,4]", "F33")}}`, 4), 'has the dtype "F33", which is none of F64, F32'],
    [fileOf(`{"a":${tensor("[1]", "[0,4]", "toString")}}`, 4), 'has the dtype "toString"'],
    [fileOf(`{"a":${tensor("[-1]", "[0,4]")}}`, 4), '"-1]'],
    [fileOf(`{"a":${tensor("[1]", "[-4,0]")}}`, 4), '"-4,0]'],
    [fileOf(`{"a":${tensor("[1.5]", "[0,6]")}}`, 6), '"1.5]'],
    [fileOf(`{"a":${tensor("[1e3]", "[0,4000]")}}`, 4000), '"1e3]'],
    [fileOf(`{"a":${tensor("[01]", "[0,4]")}}`, 4), '"01]'],
    [fileOf(`{"a":${tensor("[99999999999999999999]", "[0,4]")}}`, 4), '"99999999999999999999"'],
    [fileOf(`{"a":${tensor("[9007199254740993]", "[0,4]")}}`, 4), '"9007199254740993]'],
    [fileOf(`{"a":${tensor("[4503599627370496,4503599627370496]", "[0,0]")}}`), "more than 2^53 elements"],
    [fileOf(`{"a":${tensor("[2]", "[0,4]")}}`, 4), "but F32 [2] takes 8 bytes"],
    [fileOf(`{"a":${tensor("[1]", "[4,0]")}}`, 4), "has data_offsets [4,0]"],
    [fileOf(`{"a":${tensor("[2]", "[0,8]")}}`, 4), 'tensor "a" ends at byte 8 of 4 bytes of data'],
    [
      fileOf(`{"a":${tensor("[2]", "[0,8]")},"b":${tensor("[1]", "[4,8]")}}`, 8),
      'tensor "b" starts at byte 4, inside the tensor before it',
    ],
    [fileOf(`{"a":${tensor("[1]", "[4,8]")}}`, 8), 'the 4 bytes before tensor "a" belong to no tensor'],
    [fileOf(`{"a":${tensor("[1]", "[0,4]")}}`, 5), "its last 1 bytes belong to no tensor"],
    [fileOf(`{"${"n".repeat(1000)}":${tensor("[2]", "[0,4]")}}`, 4), `tensor "${"n".repeat(77)}..." has`],
  ];
  for (const [bytes, message] of cases) {
    const error = await assertRejects(() => readSafetensors(bytes), InputError);
    assertStringIncludes(error.message, message);
    assert(error.message.length < 300 && !/\.$|\n/.test(error.message), error.message);
  }
});

Deno.test("readSafetensors() accepts what the format allows", async () => {
  const spaced = ` { "data_offsets" : [ 1 , 5 ] ,\n"shape":[ ], "dtype":"F32" } `;
  const header = `{"u":${tensor("[1]", "[0,1]", "U8")},"__metadata__":{},"x\\u0041":${spaced}}\n  `;
  const bytes = fileOf(header, 5);
  new DataView(bytes.buffer).setFloat32(bytes.length - 4, 1.5, true); // at an odd address
  const tensors = await readSafetensors(bytes);
  assertEquals(tensors.get("xA"), { dtype: "F32", shape: [], data: Float32Array.of(1.5) });
  assertEquals([...tensors.keys()], ["u", "xA"]);
  assertEquals((await readSafetensors(encodeSafetensors([]))).size, 0);
  const shared = new Uint8Array(bytes.length + 3);
  shared.set(bytes, 3);
  assertEquals(await readSafetensors(shared.subarray(3)), tensors);
});

Deno.test("readSafetensors() names a missing file and a folder", () =>
  inFolder(async (folder) => {
    await assertRejects(() => readSafetensors(`${folder}/x`), InputError, `there is no file "${folder}/x"`);
    await assertRejects(() => readSafetensors(folder), InputError, `"${folder}" is a folder`);
  }));

Deno.test("toFloat32() widens every type", () => {
  const cases: [StoredTensor, number[]][] = [
    [{ dtype: "F32", shape: [2], data: Float32Array.of(1.5, -0) }, [1.5, -0]],
    [{ dtype: "F64", shape: [2], data: Float64Array.of(0.1, -2) }, [Math.fround(0.1), -2]],
    [
      { dtype: "F16", shape: [5], data: Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555) },
      [1, -2, 2 ** -24, Infinity, 0.333251953125],
    ],
    [{ dtype: "BF16", shape: [4], data: Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x4049) }, [
      1,
      -2,
      Infinity,
      3.140625,
    ]],
    [{ dtype: "I64", shape: [2], data: BigInt64Array.of(-3n, 2n ** 40n) }, [-3, 2 ** 40]],
    [{ dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 63n) }, [2 ** 63]],
    [{ dtype: "I8", shape: [2], data: Int8Array.of(-128, 127) }, [-128, 127]],
    [{ dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) }, [0, 1]],
  ];
  for (const [stored, expected] of cases) assertEquals(toFloat32(stored), Float32Array.from(expected));
  const one = Float32Array.of(1);
  assert(toFloat32({ dtype: "F32", shape: [], data: one }) === one);
});

Deno.test("encodeSafetensors() refuses wrong sizes", () => {
  assertThrows(
    () => encodeSafetensors([{ name: "a", dtype: "F32", shape: [2], data: Float32Array.of(1) }]),
    Error,
    "has shape [2], but 1 elements",
  );
});
