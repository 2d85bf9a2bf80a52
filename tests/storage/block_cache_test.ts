import type { ByteSource } from "../../src/formats/byte_source.ts";
import { BlockCache } from "../../src/storage/block_cache.ts";
import { Storage } from "../../src/storage/storage.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { someBytes, TestServer } from "../support/http_server.ts";

/** A source that counts: reads, those side by side, and failures as told. */
class Counted implements ByteSource {
  readonly reads: string[] = [];
  failing = false;
  disposed = false;
  underWay = 0;
  mostUnderWay = 0;

  constructor(private readonly bytes: Uint8Array<ArrayBuffer>, private readonly delay = 1) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.reads.push(`${offset}+${length}`);
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    await new Promise((resolve) => setTimeout(resolve, this.delay));
    this.underWay--;
    if (this.failing) throw new Error("as told");
    return this.bytes.slice(offset, offset + length);
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

const bytes = someBytes(1050);

Deno.test("small reads in order cost one read per block, with some ahead", async () => {
  const source = new Counted(bytes);
  const cached = new BlockCache({ blockBytes: 100, maxBytes: 500, ahead: 2 }).open(source);
  for (let at = 0; at < 1050; at += 7) assertEquals(await cached.read(at, 7), bytes.slice(at, at + 7));
  assertEquals(source.reads, [...Array.from({ length: 10 }, (_, i) => `${i * 100}+100`), "1000+50"]);
  assert(source.mostUnderWay <= 3);
});

Deno.test("reads of any place and length are exact, and the bound holds", async () => {
  const source = new Counted(bytes);
  const cache = new BlockCache({ blockBytes: 64, maxBytes: 200, ahead: 2 });
  const cached = cache.open(source);
  let most = 0;
  const reads = Array.from({ length: 300 }, async (_, i) => {
    const offset = (i * 379) % 1060, length = (i * 67) % 300;
    assertEquals(await cached.read(offset, length), bytes.slice(offset, offset + length));
    most = Math.max(most, cache.bytes);
  });
  await Promise.all(reads);
  assert(most <= 200 && most > 100, `${most}`);
});

Deno.test("a read far away asks for its own blocks only; a long one for several side by side", async () => {
  const source = new Counted(bytes);
  const cached = new BlockCache({ blockBytes: 100, maxBytes: 1000, ahead: 3 }).open(source);
  await cached.read(550, 10);
  assertEquals(source.reads, ["500+100"]);
  assertEquals(await cached.read(710, 250), bytes.slice(710, 960));
  assertEquals(source.reads.slice(1, 4), ["700+100", "800+100", "900+100"]);
});

Deno.test("requests for one block are shared, and the least recently used one is dropped", async () => {
  const source = new Counted(bytes);
  const cached = new BlockCache({ blockBytes: 100, maxBytes: 200, ahead: 0 }).open(source);
  await Promise.all([1, 2, 3, 4].map((i) => cached.read(i, 10)));
  assertEquals(source.reads, ["0+100"]);
  await cached.read(300, 10);
  await cached.read(0, 10);
  await cached.read(500, 10); // drops block 3
  await cached.read(0, 10);
  assertEquals(source.reads, ["0+100", "300+100", "500+100"]);
  await cached.read(300, 10);
  assertEquals(source.reads.length, 4);
});

Deno.test("what is left of a block that was dropped half read is read by itself, once; then blocks count again", async () => {
  const source = new Counted(bytes);
  const cached = new BlockCache({ blockBytes: 100, maxBytes: 100, ahead: 0 }).open(source);
  const read = async (at: number) => assertEquals(await cached.read(at, 10), bytes.slice(at, at + 10));
  for (const at of [0, 10, 20, 500]) await read(at); // drops the first block with 70 bytes unread
  for (const at of [30, 40, 50, 60, 70]) await read(at);
  assertEquals(source.reads, ["0+100", "500+100", "30+10", "40+10", "50+10", "60+10", "70+10"]);
  await read(80); // leaves less than a tenth
  await read(0);
  assertEquals(source.reads.slice(7), ["80+10", "0+100"]);
});

Deno.test("a block that failed is asked for again", async () => {
  const source = new Counted(bytes);
  const cache = new BlockCache({ blockBytes: 100, maxBytes: 300, ahead: 2 });
  const cached = cache.open(source);
  source.failing = true;
  await assertRejects(() => cached.read(0, 10), Error, "as told");
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(cache.bytes, 0);
  source.failing = false;
  assertEquals(await cached.read(0, 250), bytes.slice(0, 250));
});

Deno.test("sources share the bound, and leave it when they are closed", async () => {
  const sources = [new Counted(bytes), new Counted(bytes.slice(5))];
  const cache = new BlockCache({ blockBytes: 100, maxBytes: 400, ahead: 1 });
  const [a, b] = sources.map((source) => cache.open(source));
  const [first, second] = await Promise.all([a.read(0, 150), b.read(0, 150)]);
  assertEquals([first, second], [bytes.slice(0, 150), bytes.slice(5, 155)]);
  assert(cache.bytes <= 400);
  a[Symbol.dispose]();
  b[Symbol.dispose]();
  assertEquals([cache.bytes, sources[0].disposed, sources[1].disposed], [0, true, true]);
});

Deno.test("over HTTP a hundred samples are a few requests", async () => {
  const file = someBytes(1_000_000);
  await using server = new TestServer(file);
  using storage = new Storage({ retry: { firstDelay: 1 } });
  using cached = new BlockCache({ blockBytes: 2 ** 18 }).open(await storage.open(server.url));
  server.faults.push({ cutAfter: 1000 });
  for (let i = 0; i < 100; i++) {
    assertEquals(await cached.read(i * 10_000, 10_000), file.slice(i * 10_000, (i + 1) * 10_000));
  }
  assertEquals(server.seen.length, 1 + 4 + 1); // the first look, four blocks, one of them in two parts
});

Deno.test("what was read makes room before anything else does", async () => {
  const source = new Counted(bytes);
  const cache = new BlockCache({ blockBytes: 100, maxBytes: 200, ahead: 0 });
  const cached = cache.open(source);
  const read = async (at: number, length: number) =>
    assertEquals(await cached.read(at, length), bytes.slice(at, at + length));
  for (const at of [0, 30, 50]) await read(at, 20); // leaves 20 to 29 and 70 to 99
  await read(110, 60); // leaves 100 to 109 and 170 to 199
  await read(205, 10);
  assertEquals(cache.bytes, 40 + 40 + 100);
  for (const at of [22, 75, 172, 230]) await read(at, 5);
  assertEquals(source.reads, ["0+100", "100+100", "200+100"]);
  await read(35, 5); // was given up
  await read(65, 10); // in part
  assertEquals(source.reads.slice(3), ["35+5", "65+10"]);
});
