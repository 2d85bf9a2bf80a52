import { memoryBytes, openBytes } from "../../src/formats/byte_source.ts";
import { listTar, TarReader } from "../../src/formats/tar.ts";
import { encodeTarHeader, TAR_BLOCK, tarPadding } from "../../src/formats/tar_header.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../deps.ts";
import { changeHeader, joined, tarOf } from "../support/tar.ts";

const LONG = `${"long_".repeat(12)}/${"path_".repeat(12)}`;
const fixture = (name: string) =>
  decodeURIComponent(new URL(`../fixtures/tar/${name}`, import.meta.url).pathname);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Names and texts of every file. */
async function contents(archive: Uint8Array, windowBytes?: number): Promise<[string, string][]> {
  const reader = new TarReader(memoryBytes(archive), "x.tar", { windowBytes });
  const files: [string, string][] = [];
  for (let entry = await reader.next(); entry; entry = await reader.next()) {
    files.push([entry.name, textOf(await reader.read(entry))]);
    assertEquals(textOf(archive.subarray(entry.offset, entry.offset + entry.size)), files.at(-1)?.[1]);
  }
  return files;
}

/** The sentence that refuses an archive. */
async function refusal(archive: Uint8Array): Promise<string> {
  const error = await assertRejects(() => listTar(memoryBytes(archive), "train-000003.tar"), InputError);
  assert(!/\n|\.$/.test(error.message), error.message);
  return error.message;
}

const gnuFiles: [string, string][] = [
  ["a/1.cls", "7"],
  ["a/1.jpg", "one"],
  [`a/${LONG}/2.jpg`, "deep"],
  ["a/ü.txt", "überall"],
];

for (
  const [name, files] of [
    ["gnu", gnuFiles],
    ["pax", gnuFiles],
    ["ustar", gnuFiles.slice(0, 3)],
    ["v7", gnuFiles.slice(0, 2)],
  ] as const
) {
  Deno.test(`the files of an archive that GNU tar wrote as ${name}, and nothing that is no file`, async () => {
    const archive = await Deno.readFile(fixture(`${name}.tar`));
    for (const windowBytes of [1, 700, undefined]) {
      assertEquals(await contents(archive, windowBytes), files);
    }
    using source = await openBytes(fixture(`${name}.tar`));
    assertEquals((await listTar(source, name)).map((entry) => entry.name), files.map(([name]) => name));
  });
}

Deno.test("what the writer's headers say is read again, for every kind of name and size", async () => {
  const files: [string, string][] = [
    ["a.jpg", "x".repeat(512)],
    ["empty.txt", ""],
    [`${"n".repeat(96)}.jpg`, "100 bytes"],
    [`${"n".repeat(97)}.jpg`, "101 bytes"],
    [`${"d/".repeat(2000)}ü\u{1f600}.jpg`, "y".repeat(513)],
  ];
  assertEquals(await contents(tarOf(files)), files);
  assertEquals(tarOf(files), tarOf(files));
  assertEquals(tarOf(files.slice(0, 1)).length, 512 + 512 + 1024);
  const huge = 9 * 2 ** 30; // more than eleven octal digits hold
  const source = { ...memoryBytes(encodeTarHeader("huge.bin", huge)), size: huge + 10_000 };
  const reader = new TarReader(source, "x.tar");
  assertEquals((await reader.next())?.size, huge);
});

Deno.test("a size in base 256, a checksum with signs, global headers and paths with ./ are understood", async () => {
  const archive = tarOf([["./a.jpg", "12345"], ["./././b.jpg", ""]]);
  changeHeader(archive, 0, 124, [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
  assertEquals(await contents(archive), [["a.jpg", "12345"], ["b.jpg", ""]]);

  const signed = tarOf([["a.jpg", "1"]]);
  signed.set([0xc3, 0xbc], 0);
  const sum = signed.subarray(0, 512).reduce(
    (total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte < 128 ? byte : byte - 256),
    0,
  );
  signed.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0")), 148);
  assertEquals((await contents(signed))[0][0], "üjpg");

  const global = tarOf([["g", "12 path=all\n18 comment=shards\n"], ["a.jpg", "A"], ["b.jpg", "B"]]);
  changeHeader(global, 0, 156, ["g".charCodeAt(0)]);
  assertEquals(await contents(global), [["all", "A"], ["all", "B"]]);
});

Deno.test("one block of zeros ends an archive, and what follows is not looked at", async () => {
  const archive = tarOf([["a.jpg", "A"]]);
  const file: [string, string][] = [["a.jpg", "A"]];
  assertEquals(await contents(archive.subarray(0, -TAR_BLOCK)), file);
  assertEquals(await contents(joined([archive, new TextEncoder().encode("no header")])), file);
});

Deno.test("an archive that is cut anywhere is refused, with its name, the entry and the offset", async () => {
  const archive = tarOf([["a.jpg", "A".repeat(700)], [`${"n".repeat(200)}.jpg`, "B"]]);
  for (let end = 0; end <= archive.length - 2 * TAR_BLOCK; end += 50) {
    const message = await refusal(archive.subarray(0, end));
    assertMatch(message, /^"train-000003.tar" is not a sound tar file: (entry ".+" )?at byte \d+: it/);
  }
  assertMatch(
    await refusal(archive.subarray(0, 1000)),
    /entry "a.jpg" at byte 0: it ends at byte 1212, but the/,
  );
  assertMatch(
    await refusal(archive.subarray(0, 1536)),
    /at byte 1536: it ends without the two blocks of zeros/,
  );
  assertMatch(await refusal(new Uint8Array()), /at byte 0: it is empty/);
});

Deno.test("damaged and hostile archives are refused in one sentence each", async () => {
  const letter = (type: string) => [type.charCodeAt(0)];
  const changed = (
    field: number,
    bytes: readonly number[],
    files = [["a.jpg", "A"], ["b.jpg", "B"]] as const,
  ) => {
    const archive = tarOf(files);
    changeHeader(archive, 1024, field, bytes);
    return refusal(archive);
  };
  const named = (name: string) => refusal(tarOf([["ok.jpg", "A"], [name, "B"]]));
  const damaged = tarOf([["a.jpg", "A"]]);
  damaged[3] ^= 1;
  const pax = async (records: string) => {
    const archive = tarOf([["x", records], ["a.jpg", "A"]]);
    changeHeader(archive, 0, 156, letter("x"));
    return await refusal(archive);
  };
  const start = '"train-000003.tar" is not a sound tar file: ';
  assertEquals(await refusal(damaged), `${start}at byte 0: its checksum is wrong`);
  assertEquals(await changed(124, [0xff, 0xff]), `${start}at byte 1024: its size is negative`);
  assertEquals(
    await changed(124, [0x80, 0xff, 255, 255, 255]),
    `${start}at byte 1024: its size is more than 2^53 bytes`,
  );
  assertEquals(await changed(124, [0x78]), `${start}at byte 1024: its size is no number`);
  assertMatch(
    await changed(124, [0x37, 0x37]),
    /entry "b.jpg" at byte 1024: it ends at byte 8\d+, but the archive has/,
  );
  assertEquals(
    await changed(156, letter("S")),
    `${start}entry "b.jpg" at byte 1024: it is a sparse file; pack it without holes`,
  );
  for (
    const name of [
      "../up.jpg",
      "/etc/x.jpg",
      "a/../../x.jpg",
      "C:\\x.jpg",
      "..\\x.jpg",
      "./../x.jpg",
      `${"../".repeat(50)}x.jpg`,
    ]
  ) {
    assertMatch(await named(name), /^.+: entry ".+" at byte \d+: its path leads out of its folder$/);
  }
  assertMatch(await changed(0, [0]), /entry "" at byte 1024: it has no name$/);
  for (const records of ["5 a=b", "99 path=a\n", "-1 path=a\n", "12 path_all_\n", "path=a\n", "0 a=b\n"]) {
    assertEquals(await pax(records), `${start}entry "x" at byte 0: its extended header is damaged`);
  }
  assertMatch(await pax("11 size=-1\n"), /the size in its extended header is no number/);
  assertMatch(await pax("25 size=9999999999999999\n"), /no number/);
  assertMatch(
    await pax("21 size=999999999999\n"),
    /entry "a.jpg" at byte 1024: it ends at byte 1000000001535/,
  );
  assertMatch(await pax("22 GNU.sparse.major=1\n"), /it is a sparse file/);
});

Deno.test("extended headers are bounded in length and number", async () => {
  const long = tarOf([["x", new Uint8Array(2 ** 20 + 1)], ["a.jpg", "A"]]);
  changeHeader(long, 0, 156, ["x".charCodeAt(0)]);
  assertMatch(
    await refusal(long),
    /entry "x" at byte 0: its extended header has 1048577 bytes, and 1048576 are/,
  );
  const many = tarOf(Array.from({ length: 20 }, () => ["L", "name.jpg"] as const));
  for (let i = 0; i < 20; i++) changeHeader(many, i * 1024, 156, ["L".charCodeAt(0)]);
  assertMatch(await refusal(many), /at byte 16384: more than 16 extended headers in a row/);
  assertMatch(await refusal(joined([many.subarray(0, 1024), many.subarray(-1024)])), /stands before nothing/);
});

Deno.test("a compressed archive is refused with the command that unpacks it", async () => {
  const stream = new Blob([tarOf([["a.jpg", "A"]])]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const padded = joined([bytes, new Uint8Array(tarPadding(bytes.length) + 512)]);
  assertMatch(
    await refusal(padded),
    /^"train-000003.tar" is compressed \(gzip\).+"gunzip", it will hardly grow$/,
  );
});
