/** The largest frame that an AV1 stream declares (AV1 Bitstream & Decoding Process Specification, sections 5.3 to 5.5). */

const SEQUENCE_HEADER = 1;
/** Units looked at before a sequence header: there is one at most, a temporal delimiter. */
const MOST_UNITS = 16;

/** Reads bits, the high ones first; beyond the end they are 0. */
class Bits {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  take(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      value = 2 * value + (((this.bytes[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  flag(): boolean {
    return this.take(1) === 1;
  }
}

/** Passes over the decoder model; gives the bits of a buffer delay. */
function skipDecoderModel(bits: Bits): number {
  const delayBits = bits.take(5) + 1;
  bits.take(32 + 5 + 5);
  return delayBits;
}

/** Passes over timing and operating points. */
function skipPoints(bits: Bits): void {
  let delayBits = 0;
  if (bits.flag()) {
    bits.take(32);
    bits.take(32);
    if (bits.flag()) {
      let zeros = 0;
      while (zeros < 32 && !bits.flag()) zeros++;
      bits.take(zeros);
    }
    if (bits.flag()) delayBits = skipDecoderModel(bits);
  }
  const hasDisplayDelay = bits.flag();
  for (let point = bits.take(5); point >= 0; point--) {
    bits.take(12);
    if (bits.take(5) > 7) bits.take(1);
    if (delayBits > 0 && bits.flag()) bits.take(2 * delayBits + 1);
    if (hasDisplayDelay && bits.flag()) bits.take(4);
  }
}

function frameSize(header: Uint8Array): { height: number; width: number } {
  const bits = new Bits(header);
  bits.take(4);
  if (bits.flag()) bits.take(5);
  else skipPoints(bits);
  const widthBits = bits.take(4) + 1, heightBits = bits.take(4) + 1;
  const width = bits.take(widthBits) + 1;
  return { width, height: bits.take(heightBits) + 1 };
}

/** The largest frame of the stream that begins here; undefined where it begins with no sequence header. */
export function av1FrameSize(stream: Uint8Array): { height: number; width: number } | undefined {
  for (let at = 0, unit = 0; at < stream.length && unit < MOST_UNITS; unit++) {
    const head = stream[at];
    at += (head & 4) === 0 ? 1 : 2;
    let size = stream.length - at;
    if ((head & 2) !== 0) {
      size = 0;
      for (let shift = 0; shift < 56; shift += 7) {
        const byte = stream[at++] ?? 0;
        size += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
    }
    if (((head >> 3) & 15) === SEQUENCE_HEADER) return frameSize(stream.subarray(at, at + size));
    at += size;
  }
  return undefined;
}
