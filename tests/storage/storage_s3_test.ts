import type { RetryEvent } from "../../src/storage/retry.ts";
import type { S3Settings } from "../../src/storage/s3_settings.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { type Fault, someBytes, TestServer } from "../support/http_server.ts";
import { S3Server, serverCredentials } from "../support/s3_server.ts";

const retry = { firstDelay: 1, longestDelay: 4, stall: 2000 };
const origin = "the test";

async function addressesOf(storage: Storage, prefix: string): Promise<string[]> {
  const addresses: string[] = [];
  for await (const { address } of storage.list(prefix)) addresses.push(address);
  return addresses;
}

Deno.test("a server that checks signatures: objects, listings and patterns", () =>
  inFolder(async (folder) => {
    await using server = await S3Server.start(folder);
    const { endpoint } = server;
    const file = someBytes(100_000);
    const odd = "odd/b c+d (1)'!*é&%41=?#.tar";
    await server.put(odd, file);
    const shards = Array.from({ length: 1003 }, (_, i) => `train/shard-${String(i).padStart(4, "0")}.tar`);
    for (let i = 0; i < shards.length; i += 50) {
      await Promise.all(shards.slice(i, i + 50).map((key) => server.put(key, file.slice(0, 10))));
    }
    await server.put("train/notes.txt", file.slice(0, 10));
    const settings: S3Settings = { endpoint, credentials: serverCredentials, origin };
    using storage = new Storage({ retry, s3: settings });

    using source = await storage.open(`s3://data/${odd}`);
    assertEquals(source.size, file.length);
    assertEquals(await source.read(500, 1000), file.slice(500, 1500));
    assertEquals(await storage.read("s3://data/train/shard-0000.tar", 10), file.slice(0, 10));
    const listed = await addressesOf(storage, "s3://data/train/shard");
    assertEquals(listed, shards.map((key) => `s3://data/${key}`));
    const found = await storage.expand("s3://data/{train,odd}/*-100*.tar").catch((error) => error.message);
    assertEquals(found, 'there is nothing like "s3://data/odd/*-100*.tar"');
    assertEquals(await storage.expand("s3://data/tr*/*-100{0..1}.tar"), [
      "s3://data/train/shard-1000.tar",
      "s3://data/train/shard-1001.tar",
    ]);
    assertEquals(await addressesOf(storage, "s3://data/nothing"), []);

    using unsigned = new Storage({ retry, s3: { endpoint } });
    assertEquals((await unsigned.open(`s3://data/${odd}`)).size, file.length);

    const refused: [S3Settings, string, string][] = [
      [
        settings,
        "s3://data/missing",
        "there is no such key: check its spelling (the server answers 404 Not Found (NoSuchKey))",
      ],
      [settings, "s3://nowhere/x", "there is no such bucket"],
      [
        { ...settings, credentials: { ...serverCredentials, secretAccessKey: "secret" } },
        "s3://data/train/notes.txt",
        "the signature is wrong: check the secret access key of the test",
      ],
      [
        { ...settings, credentials: { accessKeyId: "hidden", secretAccessKey: "secret" } },
        "s3://data/train/notes.txt",
        "the access key of the test is not known there",
      ],
    ];
    for (const [s3, address, expected] of refused) {
      using storage = new Storage({ retry, s3 });
      const { message } = await assertRejects(() => storage.open(address), InputError);
      assertStringIncludes(message, expected);
      assert(!/secret\b(?! access)|hidden/.test(message), message);
    }
  }));

/** Serves a file as if it were S3. */
async function asS3(
  s3: S3Settings,
  test: (server: TestServer, storage: Storage, retried: RetryEvent[]) => Promise<void>,
): Promise<void> {
  await using server = new TestServer(someBytes(1000));
  const retried: RetryEvent[] = [];
  using storage = new Storage({
    retry,
    s3: { endpoint: `${server.origin}/`, ...s3 },
    onRetry: (event) => retried.push(event),
  });
  await test(server, storage, retried);
}

function s3Error(status: number, code: string, more = ""): Fault {
  const body =
    `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>hidden &amp; secret</Message>${more}</Error>`;
  return { status, body, headers: { "content-type": "application/xml" } };
}

Deno.test("what S3 refuses is said in words", async (t) => {
  const credentials = { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "hidden" };
  const signed: [Fault, string][] = [
    [s3Error(400, "ExpiredToken"), "the temporary credentials of the test have expired: renew them"],
    [s3Error(403, "RequestTimeTooSkewed"), "clock is wrong"],
    [s3Error(400, "InvalidToken"), "the session token of the test is not valid"],
    [s3Error(403, "InvalidObjectState"), "archived"],
    [s3Error(403, "AccessDenied"), "the credentials of the test may not read this, or there is nothing"],
    [s3Error(400, "<script>"), "the server refuses (the server answers 400 Bad Request)"],
    [
      { status: 403, body: `<Error>${"x".repeat(200_000)}<Code>A</Code></Error>` },
      "(the server answers 403 Forbidden)",
    ],
    [{ status: 301 }, "the server refuses (the server answers 301)"],
  ];
  for (const [fault, expected] of signed) {
    await t.step(expected, () =>
      asS3({ credentials, origin }, async ({ faults, seen }, storage) => {
        faults.push(fault);
        const { message } = await assertRejects(() => storage.open("s3://data/x"), InputError);
        assertStringIncludes(message, expected);
        assert(!/secret|hidden/.test(message), message);
        assertEquals(seen[0].headers.get("x-amz-security-token"), "hidden");
        assertEquals(seen.length, 1);
      }));
  }
  await t.step(
    "an unsigned request for what is not public",
    () =>
      asS3({}, async ({ faults, seen }, storage) => {
        faults.push(s3Error(403, "AccessDenied"));
        const { message } = await assertRejects(() => storage.open("s3://data/x"), InputError);
        assertStringIncludes(
          message,
          "the request was not signed, and this is not public: set AWS_ACCESS_KEY_ID",
        );
        assert(!seen[0].headers.has("authorization"));
      }),
  );
});

Deno.test("SlowDown passes, whatever its status", () =>
  asS3({}, async ({ faults }, storage, retried) => {
    faults.push(s3Error(503, "SlowDown"), s3Error(400, "RequestTimeout"));
    assertEquals((await storage.open("s3://data/x")).size, 1000);
    assertEquals(retried.map(({ reason }) => reason), [
      "the server answers 503 Service Unavailable (SlowDown)",
      "the server answers 400 Bad Request (RequestTimeout)",
    ]);
  }));

Deno.test("another region that the server names is taken up for the bucket", async (t) => {
  const named: Fault[] = [
    { ...s3Error(301, "PermanentRedirect"), headers: { "x-amz-bucket-region": "eu-west-1" } },
    s3Error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
  ];
  for (const fault of named) {
    await t.step(
      `${fault.status}`,
      () =>
        asS3({ credentials: serverCredentials, region: "us-west-2" }, async ({ faults, seen }, storage) => {
          faults.push(fault);
          using source = await storage.open("s3://data/x");
          await source.read(0, 10);
          const regions = seen.map(({ headers }) =>
            /\/\d{8}\/([^/]+)\/s3\//.exec(headers.get("authorization") ?? "")?.[1]
          );
          assertEquals(regions, ["us-west-2", "eu-west-1", "eu-west-1"]);
        }),
    );
  }
});

Deno.test("who pays is said, and signed", () =>
  asS3({ credentials: serverCredentials, requesterPays: true }, async ({ seen }, storage) => {
    await storage.open("s3://data/x");
    assertEquals(seen[0].headers.get("x-amz-request-payer"), "requester");
    assertStringIncludes(seen[0].headers.get("authorization") ?? "", ";x-amz-request-payer,");
    assertEquals(seen[0].path, "/data/x");
  }));

Deno.test("a listing that is none, or does not end, is refused", async (t) => {
  const pages: [Fault, string][] = [
    [{ status: 200, body: "<html>" }, "the server's answer is no listing; check the endpoint"],
    [{ status: 200, body: "<ListBucketResult><Contents><Key>a</Key>" }, "no listing"],
    [
      { status: 200, body: "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents>" },
      "no listing",
    ],
  ];
  for (const [fault, expected] of pages) {
    await t.step(expected, () =>
      asS3({}, async ({ faults }, storage) => {
        faults.push(fault);
        const { message } = await assertRejects(() => addressesOf(storage, "s3://data/"), InputError);
        assertStringIncludes(message, expected);
      }));
  }
  await t.step("the same page again", () =>
    asS3({}, async (server, storage) => {
      const entry =
        "<Contents><Key>a%20b%2B&amp;c/</Key><Size>0</Size></Contents><Contents><Key>a%20b+c</Key><Size>5</Size></Contents>";
      server.always = {
        status: 200,
        body: `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>${entry}` +
          "<NextContinuationToken>t&#x2F;&#50;</NextContinuationToken></ListBucketResult>",
      };
      assertEquals(await addressesOf(storage, "s3://data/"), ["s3://data/a b c", "s3://data/a b c"]);
    }));
});

Deno.test("prefixes are no objects, and only prefixes of S3 can be listed", async () => {
  using storage = new Storage({ s3: {} });
  for (const address of ["s3://data", "s3://data/", "s3://data/folder/"]) {
    await assertRejects(() => storage.open(address), InputError, "is no object but a prefix");
  }
  await assertRejects(
    () => addressesOf(storage, "https://host/x"),
    InputError,
    "only addresses that begin with s3://",
  );
  await assertRejects(
    () => storage.expand("https://host/*.tar"),
    InputError,
    "has a star, but files behind HTTP",
  );
});
