/** PyTorch files that lie about themselves, are damaged or cut short at any byte, or are huge. */
import { assert, assertEquals } from "../deps.ts";
import { openTorch, openTorchBytes } from "../../src/formats/torch_file.ts";
import { InputError } from "../../src/util/errors.ts";
import { inFolder } from "../support/folder.ts";
import {
  bytesOf,
  type Entry,
  joined,
  op,
  pickle,
  type Segments,
  storage,
  tensor,
  torchOld,
  torchZip,
  type ZipEnd,
  zipSegments,
} from "../support/torch_files.ts";
import { refusal, refuses } from "../support/torch_refusals.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures/torch`;
const DATA = new Uint8Array(16);

Deno.test("openTorch() refuses zip archives that lie", async () => {
  const content = pickle("N");
  const data: Entry = { name: "x/data.pkl", content };
  const other: Entry = { name: "x/data/0", content: DATA };
  const zipped = (entries: readonly Entry[], end?: ZipEnd) => joined(zipSegments(entries, end));
  await refuses([
    [zipped([other]), "its zip archive holds no data.pkl"],
    [zipped([{ ...data, name: "data.pkl" }]), "holds no data.pkl"],
    [zipped([data, { ...data, name: "y/data.pkl" }]), 'holds "x/data.pkl" and "y/data.pkl"'],
    [zipped([data, data]), 'its zip archive has "x/data.pkl" twice'],
    [zipped([{ ...data, local: { method: 8 } }]), 'its entry "x/data.pkl" is compressed'],
    [zipped([data, { ...other, local: { method: 8 } }]), 'its entry "x/data/0" is compressed'],
    [zipped([{ ...data, local: { flags: 1 } }]), "is encrypted"],
    [zipped([{ ...data, local: { name: "y/data.pkl" } }]), "is not where its zip directory says"],
    [zipped([{ ...data, local: { name: "x/data.pk" } }]), "is not where its zip directory says"],
    [zipped([{ ...data, local: { size: 1 } }]), "is not where its zip directory says"],
    [zipped([{ ...data, local: { crc: 1 } }]), "is not where its zip directory says"],
    [
      zipped([{ ...data, local: { method: 8 }, central: { method: 0 } }]),
      "is not where its zip directory says",
    ],
    [zipped([data, { ...other, central: { offset: 0 } }]), "is not where its zip directory says"],
    [zipped([data, { ...other, central: { offset: 1000 } }]), "starts beyond its zip directory"],
    [zipped([data, { ...other, central: { offset: 2 ** 50 } }]), "starts beyond its zip directory"],
    [zipped([data, { ...other, central: { size: 17 }, local: { size: 17 } }]), "beyond its zip directory"],
    [
      zipped([{ ...data, central: { size: 44 }, local: { size: 44 } }, other]),
      'its entry "x/data/0" overlaps the one before it',
    ],
    [zipped([{ ...data, central: { storedSize: 1 } }]), "has two sizes"],
    [zipped([data, other], { count: 1 }), "has more entries than it says"],
    [zipped([data], { count: 2 }), "its zip directory is damaged"],
    [zipped([data], { count64: 2 }), "the two end records of its zip archive disagree"],
    [zipped([data], { count64: 2 ** 53 }), "the impossible number 9007199254740992"],
    [zipped([data], { offset: 1, without64: true }), "is not where its end record says"],
    [zipped([data], { size: 2 ** 31, without64: true }), "takes 2147483648 bytes"],
    [zipped([data], { parts: 1 }), "is one of several parts"],
    [zipped([data, { name: "x/byteorder", content: bytesOf("middle") }]), "neither little nor big"],
    [zipped([data, { name: "x/byteorder", content: bytesOf("little and more") }]), "neither little nor big"],
  ]);
});

for (const name of ["small_zip", "small_old"]) {
  Deno.test(`openTorch() refuses ${name} cut short at any byte`, async () => {
    const whole = await Deno.readFile(`${FIXTURES}/${name}.pth`);
    for (let length = 0; length < whole.length; length++) await refusal(whole.subarray(0, length));
  });

  Deno.test(`openTorch() reads or refuses ${name} with any byte damaged`, async () => {
    const whole = await Deno.readFile(`${FIXTURES}/${name}.pth`);
    let refused = 0;
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [1, 0x20, 0x80, 0xff]) {
        const damaged = whole.slice();
        damaged[at] ^= flip;
        try {
          using file = await openTorchBytes(damaged);
          for (const tensor of file.tensors.keys()) await file.read(tensor);
        } catch (error) {
          assert(error instanceof InputError, `byte ${at}: ${error}`);
          refused++;
        }
      }
    }
    assert(refused > 500);
  });
}

/** Writes segments; what lies between them takes no room on the disk. */
async function writeSparse(path: string, segments: Segments): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (const [offset, bytes] of segments) {
    await file.seek(offset, Deno.SeekMode.Start);
    await file.write(bytes);
  }
}

Deno.test("TorchFile.read() takes a small tensor out of a huge file in little memory and time", () =>
  inFolder(async (folder) => {
    const count = 3 * 2 ** 30; // 12 GiB of float32
    const all = storage("0", count);
    const tensors = op.dict(
      ...[op.text("all"), tensor(all, [count])],
      ...[op.text("slice"), tensor(all, [4], [1], count - 4)],
      ...[op.text("column"), tensor(all, [3, 4], [2 ** 30, 2], 2 ** 29)],
      ...[op.text("transposed"), tensor(all, [1000, 500], [1, 3000])],
    );
    const zip = `${folder}/zip.pth`;
    const segments = torchZip(pickle(tensors), { 0: 4 * count });
    const dataStart = segments[2][0] + segments[2][1].length;
    const values = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    await writeSparse(zip, [...segments, [dataStart + 4 * (count - 4), values]]);
    const old = `${folder}/old.pth`;
    const head = torchOld(pickle(tensors), [["0", count, new Uint8Array()]]);
    await writeSparse(old, [[0, head], [head.length + 4 * (count - 4), values]]);
    for (const path of [zip, old]) {
      assert((await Deno.stat(path)).size > 12 * 2 ** 30);
      const { rss } = Deno.memoryUsage();
      const start = performance.now();
      using file = await openTorch(path);
      assertEquals((await file.read("slice")).data, Float32Array.of(1, 2, 3, 4));
      assertEquals((await file.read("column")).data, new Float32Array(12));
      assertEquals((await file.read("transposed")).shape, [1000, 500]);
      assert(performance.now() - start < 60_000);
      assert(Deno.memoryUsage().rss - rss < 64 * 2 ** 20);
    }
  }));
