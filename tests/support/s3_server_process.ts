/** Run by {@linkcode S3Server}: serves the folder named by the first argument, prints its port, and ends with its input. */
import crypto from "node:crypto";
import { Buffer } from "node:buffer";
// @ts-types="./s3rver.d.ts"
import S3rver from "npm:@20minutes/s3rver@5.0.0";

// The tokens of listings are enciphered by DES, which neither Deno nor today's OpenSSL has: plain text will do.
const plain = { update: (text: string | Uint8Array) => Buffer.from(text), final: () => Buffer.alloc(0) };
Object.assign(crypto, { createCipheriv: () => plain, createDecipheriv: () => plain });

const server = new S3rver({
  address: "127.0.0.1",
  port: 0,
  silent: true,
  directory: Deno.args[0],
  configureBuckets: [{ name: "data", configs: [] }],
});
const { port } = await server.run();
await Deno.stdout.write(new TextEncoder().encode(`${port}\n`));
for await (const _ of Deno.stdin.readable); // until the tests are over, however they end
Deno.exit(0);
