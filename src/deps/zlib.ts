/** Deno's own zlib: PNG needs a synchronous deflate with a compression level, which the web's streams do not offer. */
export { crc32, deflateSync } from "node:zlib";
