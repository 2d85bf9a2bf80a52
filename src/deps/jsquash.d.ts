/** What an Emscripten decoder of jSquash may be given. */
export interface DecoderOptions {
  /** Its WebAssembly; without it the module fetches the file that lies beside its script. */
  wasmBinary?: Uint8Array;
  /** Receives each line that the C code writes to its standard error. */
  printErr?: (line: string) => void;
}

/** RGBA. */
export interface DecodedPixels {
  /** Row by row, spread over the type. */
  readonly data: Uint8ClampedArray | Uint16Array;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** One instance with a heap of its own. */
export interface Decoder {
  /** Decodes a file to RGBA; null or a throw when the C code refuses it. JPEG has one setting: apply the orientation; AVIF too: bits of a value. */
  decode(bytes: Uint8Array, ...settings: readonly (boolean | number)[]): DecodedPixels | null;
  /** The heap; it grows and never shrinks. */
  readonly HEAP8: Int8Array;
}

/** Starts an instance. */
export default function start(options?: DecoderOptions): Promise<Decoder>;
