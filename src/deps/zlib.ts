/**
 * Deno's own zlib: PNG needs a synchronous deflate with a compression level and an inflate with a bound, neither of which
 * the web's streams offer. Native, so twice as fast as JavaScript. TIFFs may also be packed by zstd.
 */
export { crc32, deflateSync, inflateSync, zstdDecompressSync } from "node:zlib";
