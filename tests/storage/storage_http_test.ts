import { type RetryEvent, type RetryPolicy } from "../../src/storage/retry.ts";
import { Storage, type StorageOptions } from "../../src/storage/storage.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { type Fault, someBytes, TestServer } from "../support/http_server.ts";

/** Waits little between attempts, but for bytes longer than a busy machine takes: what is no stall must not count as one. */
const fast: Partial<RetryPolicy> = { firstDelay: 1, longestDelay: 4, stall: 10_000, total: 60_000 };
const file = someBytes(600_000);

/** Runs a test with a server and a storage, and the failures that were tried again. */
async function serving(
  test: (server: TestServer, storage: Storage, retried: RetryEvent[]) => Promise<void>,
  options: StorageOptions = {},
): Promise<void> {
  await using server = new TestServer(file);
  const retried: RetryEvent[] = [];
  using storage = new Storage({ retry: fast, onRetry: (event) => retried.push(event), ...options });
  await test(server, storage, retried);
}

async function streamed(storage: Storage, address: string, from?: number): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of storage.stream(address, from)) pieces.push(piece);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

Deno.test("a source reads parts by ranges, from servers that refuse HEAD", () =>
  serving(async ({ url, seen }, storage) => {
    using source = await storage.open(url);
    assertEquals(source.size, file.length);
    assertEquals(await source.read(100, 50), file.slice(100, 150));
    assertEquals(await source.read(file.length - 10, 50), file.slice(-10));
    assertEquals(await source.read(file.length, 50), new Uint8Array(0));
    const parts = await Promise.all([0, 1, 2, 3].map((i) => source.read(i * 1000, 1000)));
    parts.forEach((part, i) => assertEquals(part, file.slice(i * 1000, i * 1000 + 1000)));
    assertEquals(seen.slice(0, 3).map(({ method, range }) => `${method} ${range}`), [
      "GET bytes=0-0",
      "GET bytes=100-149",
      "GET bytes=599990-599999",
    ]);
    assert(seen.every(({ headers }) => headers.get("accept-encoding") === "identity"));
  }));

Deno.test("a whole file is read by one request", () =>
  serving(async ({ url, seen }, storage) => {
    assertEquals(await storage.read(url, 1e6), file);
    assertEquals(seen.map(({ range }) => range), [null]);
    const { message } = await assertRejects(() => storage.read(url, 1000), InputError);
    assertStringIncludes(message, "has 600000 bytes; at most 1000 are read");
  }));

Deno.test("an empty file has no first byte", () =>
  serving(async (server, storage) => {
    server.bytes = new Uint8Array(0);
    using source = await storage.open(server.url);
    assertEquals([source.size, (await source.read(0, 10)).length], [0, 0]);
    assertEquals((await storage.read(server.url, 10)).length, 0);
    assertEquals((await streamed(storage, server.url)).length, 0);
  }));

Deno.test("what passes is tried again, from the byte where it stopped", async (t) => {
  const faults: [string, Fault, string][] = [
    ["a cut", { cutAfter: 200_000 }, "the connection was cut"],
    ["a cut before the first byte", { cutAfter: 0 }, ""],
    ["a stall", { stallAfter: 100_000 }, "no byte came for 0.7 seconds"],
    ["a cut without a length", { chunked: true, cutAfter: 300_000 }, "the connection was cut"],
    ["503", { status: 503 }, "503 Service Unavailable"],
    ["429", { status: 429, headers: { "retry-after": "0" } }, "429 Too Many Requests"],
    ["408", { status: 408 }, "408 Request Timeout"],
  ];
  for (const [name, fault, reason] of faults) {
    await t.step(name, () =>
      serving(async ({ url, faults, seen }, storage, retried) => {
        using source = await storage.open(url);
        faults.push(fault);
        assertEquals(await source.read(1000, 400_000), file.slice(1000, 401_000));
        faults.push(fault);
        assertEquals(await storage.read(url, 1e6), file);
        faults.push(fault);
        assertEquals(await streamed(storage, url, 5), file.slice(5));
        assertEquals(retried.length, 3);
        assertStringIncludes(retried[0].reason, reason);
        const offset = 1000 + (fault.cutAfter ?? fault.stallAfter ?? 0);
        assertEquals(retried[0].offset, offset);
        assertEquals(seen[2].range, `bytes=${offset}-400999`);
      }, { retry: fault.stallAfter === undefined ? fast : { ...fast, stall: 700 } }));
  }
});

Deno.test("a stream goes on through any number of cuts, as long as bytes come", () =>
  serving(async (server, storage, retried) => {
    server.always = { cutAfter: 70_000 };
    assertEquals(await streamed(storage, server.url), file);
    assertEquals(
      retried.map(({ offset }) => offset),
      [70, 140, 210, 280, 350, 420, 490, 560].map((k) => k * 1000),
    );
  }, { retry: { ...fast, attempts: 2 } }));

Deno.test("a server that knows no ranges: small files are kept, streams skip what they have", () =>
  serving(async (server, storage) => {
    server.always = { ignoreRange: true };
    using source = await storage.open(server.url);
    assertEquals(await source.read(1000, 10), file.slice(1000, 1010));
    assertEquals(server.seen.length, 2);
    server.faults.push({ ignoreRange: true, cutAfter: 100_000 });
    assertEquals(await streamed(storage, server.url), file);
    server.always = { ignoreRange: true, chunked: true };
    assertEquals((await storage.open(server.url)).size, file.length);
    server.always = {
      ignoreRange: true,
      headers: { "content-length": "68719476736" },
      cutAfter: 100,
      chunked: true,
    };
    const { message } = await assertRejects(() => storage.open(server.url), InputError);
    assertStringIncludes(
      message,
      "cannot be read in parts: its server answers with all of its 68719476736 bytes",
    );
  }));

Deno.test("refusals are not tried again, and say what to do", async (t) => {
  const refusals: [Fault, string][] = [
    [{ status: 401 }, "https://user:password@"],
    [{ status: 403, body: "secret" }, "whether its signature has expired (the server answers 403 Forbidden)"],
    [{ status: 404 }, "there is nothing: check the address"],
    [{ status: 410 }, "there is nothing"],
    [{ status: 418 }, "the server refuses (the server answers 418)"],
    [{ status: 501 }, "501 Not Implemented"],
  ];
  for (const [fault, expected] of refusals) {
    await t.step(`${fault.status}`, () =>
      serving(async ({ origin, faults, seen }, storage) => {
        const address = `${origin.replace("//", "//ann:secret@")}/x?sig=secret`;
        faults.push(fault);
        const { message } = await assertRejects(() => storage.open(address), InputError);
        assertStringIncludes(message, `"${origin}/x?…"`);
        assertStringIncludes(message, expected);
        assert(!message.includes("secret"), message);
        assertEquals(seen.length, 1);
        assertEquals(seen[0].headers.get("authorization"), `Basic ${btoa("ann:secret")}`);
      }));
  }
});

Deno.test("a file that vanishes while it is read is no mistake of the user's", () =>
  serving(async ({ url, faults }, storage) => {
    using source = await storage.open(url);
    faults.push({ status: 404 });
    await assertRejects(() => source.read(0, 10), RunError, "there is nothing");
  }));

Deno.test("patience ends, with the number of attempts and the offset", () =>
  serving(async (server, storage, retried) => {
    using source = await storage.open(server.url);
    server.always = { status: 500 };
    const { message } = await assertRejects(() => source.read(500, 10), RunError);
    assertEquals(
      message,
      `cannot read "${server.url}" from byte 500 on: the server answers 500 Internal Server Error, after 3 attempts`,
    );
    assertEquals(retried.map(({ attempt }) => attempt), [1, 2]);
    assert(retried.every(({ wait }, i) => wait >= 0.5 * 2 ** i && wait <= 2 ** i));
  }, { retry: { ...fast, attempts: 3 } }));

Deno.test("Retry-After is waited for, unless it is longer than patience", () =>
  serving(async ({ url, faults }, storage, retried) => {
    faults.push({ status: 429, headers: { "retry-after": "1" } });
    const before = performance.now();
    assertEquals(await storage.read(url, 1e6), file);
    assert(performance.now() - before >= 990);
    assertEquals(retried[0].wait, 1000);
    faults.push({ status: 503, headers: { "retry-after": new Date(Date.now() + 3600_000).toUTCString() } });
    const { message } = await assertRejects(() => storage.read(url, 1e6), RunError);
    assert(/after 1 attempt; it asks to be left alone for (3599|3600|3601) seconds$/.test(message), message);
  }));

Deno.test("a host that was never heard of is given up sooner", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const retried: RetryEvent[] = [];
  using storage = new Storage({
    retry: { ...fast, attemptsUnanswered: 2 },
    onRetry: (event) => retried.push(event),
  });
  const { message } = await assertRejects(() => storage.open(`${origin}/x?sig=secret`), InputError);
  assertStringIncludes(message, `cannot reach "${origin}/x?…": client error (Connect)`);
  assertStringIncludes(message, "after 2 attempts; check the address and the network");
  assert(!`${message}${retried[0].reason}`.includes("secret"));
});

Deno.test("a network that goes away and comes back is ridden out", async () => {
  let server = new TestServer(file);
  const port = Number(new URL(server.origin).port);
  using storage = new Storage({ retry: { ...fast, longestDelay: 50, attempts: 100 } });
  using source = await storage.open(server.url);
  await server[Symbol.asyncDispose]();
  const reading = source.read(0, 1000);
  await new Promise((resolve) => setTimeout(resolve, 60));
  server = new TestServer(file, port);
  assertEquals(await reading, file.slice(0, 1000));
  await server[Symbol.asyncDispose]();
});

Deno.test("a file that changes is noticed, by ETag, size or date", async (t) => {
  const changes: [string, (server: TestServer) => void, string][] = [
    ["ETag", (server) => server.etag = '"2"', 'ETag "1" before, "2" now'],
    ["size", (server) => server.bytes = file.slice(0, 5000), "size 600000 before, 5000 now"],
    ["end", (server) => server.bytes = file.slice(0, 50), "it ends before byte 1000 now"],
  ];
  for (const [what, change, expected] of changes) {
    await t.step(what, () =>
      serving(async (server, storage) => {
        using source = await storage.open(server.url);
        change(server);
        const { message } = await assertRejects(() => source.read(1000, 10), RunError);
        assertStringIncludes(message, `has changed while it was read: ${expected}`);
      }));
  }
  await t.step("date, only where there is no ETag", () =>
    serving(async (server, storage) => {
      server.etag = null;
      server.modified = "Mon, 02 Nov 2026 00:00:00 GMT";
      using source = await storage.open(server.url);
      server.modified = "Tue, 03 Nov 2026 00:00:00 GMT";
      await assertRejects(() => source.read(0, 10), RunError, "date Mon");
      server.etag = '"1"';
      using other = await storage.open(server.url);
      server.modified = "Wed, 04 Nov 2026 00:00:00 GMT";
      assertEquals((await other.read(0, 10)).length, 10);
    }));
  await t.step("in the middle of a stream", () =>
    serving(async (server, storage) => {
      server.faults.push({ cutAfter: 100_000 });
      const stream = storage.stream(server.url);
      await stream.next();
      server.etag = '"2"';
      await assertRejects(
        async () => {
          for await (const _ of stream);
        },
        RunError,
        "has changed",
      );
    }));
});

Deno.test("a part that was not asked for is refused", () =>
  serving(async ({ url, faults }, storage) => {
    using source = await storage.open(url);
    faults.push({ shift: 7 });
    const { message } = await assertRejects(() => source.read(1000, 10), RunError);
    assertStringIncludes(message, 'the part from byte 1000 on and sent "bytes 1007-1009/600000"');
  }));

Deno.test("an answer of the wrong length is gone on from, or cut", () =>
  serving(async (server, storage, retried) => {
    using source = await storage.open(server.url);
    server.faults.push({ chunked: true, cutAfter: 1000 });
    assertEquals(await source.read(0, 3000), file.slice(0, 3000));
    assertEquals(retried.length, 1);
    server.faults.push({ ignoreRange: true });
    assertEquals(await source.read(10, 30), file.slice(10, 40));
  }));

Deno.test("a redirection is followed once; where it is outdated, the first address is asked again", () =>
  serving(async (server, storage) => {
    await using front = new TestServer(file);
    const sendOn = { status: 302, headers: { location: `${server.origin}/signed?sig=1` } };
    front.always = sendOn;
    using source = await storage.open(`${front.origin.replace("//", "//ann:secret@")}/x`);
    assertEquals(await source.read(0, 10), file.slice(0, 10));
    assertEquals([front.seen.length, server.seen.length], [1, 2]);
    assert(server.seen.every(({ headers }) => !headers.has("authorization")));
    server.faults.push({ status: 403 });
    assertEquals(await source.read(10, 10), file.slice(10, 20));
    assertEquals([front.seen.length, server.seen.length], [2, 4]);
  }));

Deno.test("an aborted signal, or disposal, ends what is under way", async (t) => {
  const waits: [string, Fault][] = [["stall", { stallAfter: 10 }], ["back-off", { status: 503 }]];
  for (const [what, fault] of waits) {
    await t.step(what, () => {
      const controller = new AbortController();
      const patient = { ...fast, firstDelay: 60_000, longestDelay: 60_000, stall: 60_000, total: 1e9 };
      return serving(async (server, storage) => {
        using source = await storage.open(server.url);
        using other = await storage.open(server.url);
        server.always = fault;
        const ends = [
          assertRejects(() => source.read(0, 1000), DOMException, "closed"),
          assertRejects(() => other.read(0, 1000), Error, "enough"),
          assertRejects(() => streamed(storage, server.url), Error, "enough"),
        ];
        await new Promise((resolve) => setTimeout(resolve, 50));
        source[Symbol.dispose]();
        await ends[0];
        controller.abort(new Error("enough"));
        await Promise.all(ends);
        await assertRejects(() => storage.open(server.url), Error, "enough");
      }, { retry: patient, signal: controller.signal });
    });
  }
});

Deno.test("what no patience mends is not tried again", async () => {
  await using server = new TestServer(file);
  const retried: RetryEvent[] = [];
  using storage = new Storage({ retry: fast, onRetry: (event) => retried.push(event) });
  server.always = { status: 302, headers: { location: `${server.url}?sig=secret` } };
  const hopeless: [string, string][] = [
    [server.url, "Maximum number of redirects (20) reached"],
    [server.url.replace("http:", "https:"), "the server may not know https://"],
    ["http://127.0.0.1:9/x", "Requests to port 9 are blocked"],
  ];
  for (const [address, expected] of hopeless) {
    const { message } = await assertRejects(() => storage.open(address), InputError);
    assertStringIncludes(message, expected);
    assert(!message.includes("secret"), message);
  }
  assertEquals(retried, []);
});
