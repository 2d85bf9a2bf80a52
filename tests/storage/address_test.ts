import { addressBeside, parseAddress } from "../../src/storage/address.ts";
import { hubAuthorization } from "../../src/storage/route.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../deps.ts";

Deno.test("parseAddress() knows paths, URLs and objects in buckets", () => {
  for (
    const path of [
      "photos",
      "/data/a b",
      "C:\\photos\\x.tar",
      "c:/x",
      "a:b",
      "pipe: x",
      "x{0..2}.tar",
      "s3",
      "é*",
    ]
  ) {
    assertEquals(parseAddress(path), { kind: "local", path, shown: path });
  }
  assertEquals(parseAddress("file:///data/a%20b.tar"), {
    kind: "local",
    path: "/data/a b.tar",
    shown: "/data/a b.tar",
  });
  assertEquals(parseAddress("https://host/a b.tar?x=1#part"), {
    kind: "http",
    url: "https://host/a%20b.tar?x=1",
    authorization: undefined,
    shown: "https://host/a b.tar?…",
  });
  assertEquals(parseAddress("s3://my.bucket/a/b%20c?+.tar"), {
    kind: "s3",
    bucket: "my.bucket",
    key: "a/b%20c?+.tar",
    shown: "s3://my.bucket/a/b%20c?+.tar",
  });
  assertEquals(parseAddress("S3://bucket").kind, "s3");
});

Deno.test("parseAddress() keeps user, password and signatures out of what is shown", () => {
  const address = parseAddress("HTTPS://ann:p%40ss%C3%A9@host:81/x?X-Amz-Signature=secret");
  assert(address.kind === "http");
  assertEquals(address.shown, "HTTPS://host:81/x?…");
  assertEquals(address.url, "https://host:81/x?X-Amz-Signature=secret");
  assertEquals(
    new TextDecoder().decode(
      Uint8Array.from(atob(address.authorization?.slice(6) ?? ""), (c) => c.charCodeAt(0)),
    ),
    "ann:p@ssé",
  );
});

Deno.test("parseAddress() refuses what cannot be read, and says what can", () => {
  const refused: [string, string][] = [
    ["", "empty"],
    ["a\0b", "zero byte"],
    ["gs://bucket/key", "https://storage.googleapis.com/BUCKET/KEY"],
    ["hdfs://host/x", "WebHDFS"],
    ["s3a://bucket/key", "s3://BUCKET/KEY"],
    ["htps://host/x", 'did you mean "https://"?'],
    ["redis://user:secret@host/x?key=secret", "http://, https:// and s3:// can"],
    ["http:/host/x", "begin with http://"],
    ["s3:bucket/key", "begin with s3://"],
    ["https://", "https://host/path"],
    ["https://user:secret@ho st/x", "https://host/path"],
    ["https://%zz:secret@host/x", "percent-encoding"],
    ["s3://", "s3://bucket/key"],
    ["s3://a b/key", "s3://bucket/key"],
    ["s3://bucket/a/../b", '".."'],
    ["s3://bucket/\ud800", "Unicode"],
    ["file://host/x", "file:///folder/file"],
  ];
  for (const [text, expected] of refused) {
    const { message } = assertThrows(() => parseAddress(text), InputError);
    assertStringIncludes(message, expected);
    assert(!message.includes("secret"), message);
    assert(!message.endsWith("."), message);
  }
});

Deno.test("addressBeside() names a neighbour, where an address can have one", () => {
  const cases: [string, string | undefined][] = [
    ["a/b.tar", "a/x y"],
    ["b.tar", "./x y"],
    ["https://ann:p@host/a/b.tar", "https://ann:p@host/a/x%20y"],
    ["https://host/a/b.tar?sig=1", undefined],
    ["s3://bucket/a/b?.tar", "s3://bucket/a/x y"],
    ["s3://bucket/b", "s3://bucket/x y"],
  ];
  for (const [address, expected] of cases) assertEquals(addressBeside(address, "x y"), expected);
});

Deno.test("the hub's token goes to the hub alone", () => {
  const variable = (name: string) => name === "HF_TOKEN" ? "token\n" : undefined;
  assertEquals(
    hubAuthorization("https://huggingface.co/datasets/a/b/resolve/main/x", variable),
    "Bearer token",
  );
  for (
    const other of [
      "http://huggingface.co/x",
      "https://huggingface.co.evil.example/x",
      "https://host/huggingface.co",
    ]
  ) {
    assertEquals(hubAuthorization(other, variable), undefined);
  }
});
