import { assertAlmostEquals, assertEquals, assertMatch, assertRejects, assertThrows } from "../deps.ts";
import { encodePng, type Picture } from "../../src/formats/png.ts";
import { ProtoMessage } from "../../src/formats/protobuf.ts";
import { crc32c, EventWriter, frameRecord } from "../../src/formats/tensorboard.ts";
import { RunError } from "../../src/util/errors.ts";
import { inFolder } from "../support/folder.ts";
import { fieldsOf, part, readRecords, scalarsOf, text } from "../support/tensorboard.ts";

Deno.test("crc32c() gives the known check values", () => {
  assertEquals(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa); // RFC 3720, appendix B.4
  assertEquals(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assertEquals(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assertEquals(crc32c(new Uint8Array()), 0);
});

Deno.test("frameRecord() frames as the format says", () => {
  for (const length of [0, 1, 300]) {
    const data = Uint8Array.from({ length }, (_, i) => i * 7);
    assertEquals(readRecords(frameRecord(data)), [data]);
  }
});

Deno.test("ProtoMessage encodes the examples of the specification", () => {
  assertEquals([...new ProtoMessage().integer(1, 150).encode()], [0x08, 0x96, 0x01]);
  assertEquals([...new ProtoMessage().bytes(2, "testing").encode()], [
    0x12,
    7,
    ...new TextEncoder().encode("testing"),
  ]);
  const inner = new ProtoMessage().integer(1, 150);
  assertEquals([...new ProtoMessage().bytes(3, inner).encode()], [0x1a, 3, 0x08, 0x96, 0x01]);
  assertEquals(fieldsOf(new ProtoMessage().integer(1, 2 ** 53 - 1).encode()).get(1), [2 ** 53 - 1]);
  for (const wrong of [-1, 1.5, NaN, 2 ** 53]) {
    assertThrows(() => new ProtoMessage().integer(1, wrong), RangeError, "no non-negative integer");
  }
});

Deno.test("EventWriter writes a version, scalars and pictures", () =>
  inFolder(async (folder) => {
    const picture: Picture = {
      data: Uint8Array.from({ length: 36 }, (_, i) => i),
      width: 4,
      height: 3,
      channels: 3,
    };
    const writer = await EventWriter.open(folder);
    assertMatch(writer.path, /\/events\.out\.tfevents\.\d{10}\.mae$/);
    writer.scalars(3, { "train/loss": 0.5, lr: 1e-4, bad: NaN, none: null });
    writer.image(4, "figure", picture);
    await writer.close();
    const events = readRecords(await Deno.readFile(writer.path));
    assertEquals(events.length, 3);
    const first = fieldsOf(events[0]);
    assertEquals(text(first.get(3)?.[0]), "brain.Event:2");
    assertAlmostEquals(Number(first.get(1)?.[0]), Date.now() / 1000, 60);
    assertEquals(scalarsOf(events[1]), [[3, "train/loss", 0.5], [3, "lr", Math.fround(1e-4)], [
      3,
      "bad",
      NaN,
    ]]);
    assertEquals(fieldsOf(events[2]).get(2), [4]);
    const value = part(part(fieldsOf(events[2]).get(5)?.[0]).get(1)?.[0]);
    assertEquals(text(value.get(1)?.[0]), "figure");
    const image = part(value.get(4)?.[0]);
    assertEquals([image.get(1), image.get(2), image.get(3)], [[3], [4], [3]]);
    assertEquals(image.get(4), [encodePng(picture)]);
  }));

Deno.test("EventWriter.flush() makes all events so far readable, also behind a cut record", () =>
  inFolder(async (folder) => {
    await using writer = await EventWriter.open(folder);
    writer.scalars(1, { loss: 1 });
    await writer.flush();
    writer.scalars(2, { loss: 2 });
    const file = await Deno.readFile(writer.path);
    assertEquals(readRecords(file).slice(1).flatMap(scalarsOf), [[1, "loss", 1]]);
    await writer.flush();
    const longer = await Deno.readFile(writer.path);
    assertEquals(longer.subarray(0, file.length), file);
    for (let length = file.length; length < longer.length; length++) {
      assertEquals(readRecords(longer.subarray(0, length)).length, 2);
    }
    assertEquals(readRecords(longer).length, 3);
  }));

Deno.test("EventWriter.open() resumes with a start event in a file that sorts last", () =>
  inFolder(async (folder) => {
    const future = `events.out.tfevents.${Math.floor(Date.now() / 1000) + 500}.other`;
    await Deno.writeTextFile(`${folder}/${future}`, "");
    const paths: string[] = [];
    for (let i = 0; i < 3; i++) {
      const writer = await EventWriter.open(folder, { resumeAtStep: 40 });
      await writer.close();
      paths.push(writer.path);
    }
    assertEquals([`${folder}/${future}`, ...paths], [`${folder}/${future}`, ...paths].toSorted());
    assertEquals(new Set(paths).size, 3);
    const events = readRecords(await Deno.readFile(paths[2])).map(fieldsOf);
    assertEquals(events.length, 2);
    assertEquals(events[1].get(2), [41]); // TensorBoard drops points of this step and later
    assertEquals(part(events[1].get(7)?.[0]).get(1), [1]); // SessionLog.START
  }));

Deno.test("EventWriter.open() names a folder that does not exist", () =>
  inFolder(async (folder) => {
    await assertRejects(
      () => EventWriter.open(`${folder}/none`),
      RunError,
      `cannot write "${folder}/none/events.out`,
    );
  }));
