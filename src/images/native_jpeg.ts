/**
 * JPEGs by the system's libturbojpeg, in this process: `data.decoder: native`. Faster than WebAssembly where whole images are
 * decoded, and without its walls: a hole in the library is a hole in the program.
 */
import { InputError } from "../util/errors.ts";
import type { Image } from "./image.ts";

/** Where systems keep the library. */
const LIBRARIES: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: ["libturbojpeg.so.0", "libturbojpeg.so"],
  darwin: [
    "libturbojpeg.dylib",
    "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib",
  ],
  windows: ["turbojpeg.dll"],
};

const functions = {
  tjInitDecompress: { parameters: [], result: "pointer" },
  tjDecompressHeader3: {
    parameters: ["pointer", "buffer", "usize", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  tjDecompress2: {
    parameters: ["pointer", "buffer", "usize", "buffer", "i32", "i32", "i32", "i32", "i32"],
    result: "i32",
  },
} as const;

type Library = Deno.DynamicLibrary<typeof functions>;

/** TurboJPEG's numbers. */
const Layout = { rgb: 0, gray: 6 } as const;
const ColorSpace = { yCbCr: 1, gray: 2 } as const;
/** Whatever libjpeg warns of is an error, and the exact ("islow") transform is used. */
const FLAGS = 8192 | 4096;

/** Memory that the library may be given. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
}

/** What decodes by the library. */
export interface NativeDecoder {
  /** Gray or RGB, bit-equal to Pillow; undefined when the size is another one, or for whatever the library complains of. */
  decode(bytes: Uint8Array, height: number, width: number): Image | undefined;
}

class TurboJpeg implements NativeDecoder {
  readonly #library: Library;
  readonly #handle: Deno.PointerValue;
  readonly #header = Array.from({ length: 4 }, () => new Int32Array(1));

  constructor(library: Library) {
    this.#library = library;
    this.#handle = library.symbols.tjInitDecompress();
  }

  decode(bytes: Uint8Array, height: number, width: number): Image | undefined {
    const { tjDecompressHeader3, tjDecompress2 } = this.#library.symbols;
    const [columns, rows, sampling, colorSpace] = this.#header;
    const file = owned(bytes), length = BigInt(file.length);
    if (tjDecompressHeader3(this.#handle, file, length, columns, rows, sampling, colorSpace) !== 0) {
      return undefined;
    }
    const isGray = colorSpace[0] === ColorSpace.gray;
    if (columns[0] !== width || rows[0] !== height) return undefined;
    if (!isGray && colorSpace[0] !== ColorSpace.yCbCr) return undefined;
    const channels = isGray ? 1 : 3;
    const data = new Uint8Array(height * width * channels);
    const layout = isGray ? Layout.gray : Layout.rgb;
    const failed = tjDecompress2(
      this.#handle,
      file,
      length,
      data,
      width,
      width * channels,
      height,
      layout,
      FLAGS,
    );
    return failed === 0 ? { data, height, width, channels } : undefined;
  }
}

function open(): NativeDecoder {
  const names = LIBRARIES[Deno.build.os] ?? [];
  for (const name of names) {
    if (Deno.permissions.querySync({ name: "ffi", path: name }).state !== "granted") {
      throw new InputError(
        `data.decoder native calls ${name} and needs deno's --allow-ffi, which deno task mae does not give`,
      );
    }
    try {
      return new TurboJpeg(Deno.dlopen(name, functions));
    } catch {
      continue; // not there, or not that library
    }
  }
  throw new InputError(
    `data.decoder native needs libturbojpeg, which is not on this system (Debian: libturbojpeg0; Homebrew: jpeg-turbo)`,
  );
}

let decoder: NativeDecoder | undefined;

/** The thread's decoder. Throws {@linkcode InputError} without the permission or the library. */
export function nativeDecoder(): NativeDecoder {
  decoder ??= open();
  return decoder;
}

/** Throws as {@linkcode nativeDecoder}, where that is the decoder asked for. */
export function checkDecoder(asked: "sandboxed" | "native" | undefined): void {
  if (asked === "native") nativeDecoder();
}
