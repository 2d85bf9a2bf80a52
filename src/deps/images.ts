/** Image decoders. No tfjs here: data workers load this file. */
// libjpeg, libwebp and libavif as WebAssembly (jSquash): bit-equal to Pillow (AVIF nearly), sandboxed, no install script, no FFI.
// The modules are taken without their wrappers because only they show the C library's warnings and can be restarted.
// @ts-types="./jsquash.d.ts"
export { default as startJpegDecoder } from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js";
// @ts-types="./jsquash.d.ts"
export { default as startWebpDecoder } from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js";
// @ts-types="./jsquash.d.ts"
export { default as startAvifDecoder } from "npm:@jsquash/avif@2.1.1/codec/dec/avif_dec.js";
export type { DecodedPixels, Decoder, DecoderOptions } from "./jsquash.d.ts";
// Only for four-colour JPEGs, which jSquash refuses.
// @ts-types="./jpeg_js.d.ts"
export { decode as decodeFourColorJpeg } from "npm:jpeg-js@0.4.4";

/**
 * The JPEG decoder's WebAssembly where `deno bundle` embedded it, else undefined: Deno itself refuses imports of bytes
 * without an unstable flag, and then the module finds the file in the npm cache.
 */
export async function embeddedJpegWasm(): Promise<Uint8Array | undefined> {
  try {
    return (await import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm", { with: { type: "bytes" } }))
      .default;
  } catch {
    return undefined;
  }
}

/** The WebP decoder's WebAssembly, as {@linkcode embeddedJpegWasm}. */
export async function embeddedWebpWasm(): Promise<Uint8Array | undefined> {
  try {
    return (await import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm", { with: { type: "bytes" } }))
      .default;
  } catch {
    return undefined;
  }
}

/** The AVIF decoder's WebAssembly, as {@linkcode embeddedJpegWasm}. */
export async function embeddedAvifWasm(): Promise<Uint8Array | undefined> {
  try {
    return (await import("npm:@jsquash/avif@2.1.1/codec/dec/avif_dec.wasm", { with: { type: "bytes" } }))
      .default;
  } catch {
    return undefined;
  }
}
