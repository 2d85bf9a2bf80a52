/** LZW (Welch 1984) as GIF and TIFF use it. */
import { BrokenImageError } from "./image.ts";

/** What the two formats do in their own ways. */
export interface LzwKind {
  /** Bits of a literal. */
  readonly literalBits: number;
  /** GIF fills bytes from the low bit, TIFF from the high one. */
  readonly lowBitFirst: boolean;
  /** TIFF makes codes longer one code early. */
  readonly early: 0 | 1;
}

const MOST_BITS = 12;

/** Unpacks until the data, its end code or `out` ends; returns the bytes written. Throws {@linkcode BrokenImageError}. */
export function unpackLzw(packed: Uint8Array, out: Uint8Array, kind: LzwKind): number {
  const { literalBits, lowBitFirst, early } = kind;
  const clear = 1 << literalBits, end = clear + 1;
  // Entry n is entry `prefix[n]` and one byte more.
  const prefix = new Uint16Array(1 << MOST_BITS), suffix = new Uint8Array(1 << MOST_BITS);
  const lengths = new Uint16Array(1 << MOST_BITS).fill(1);
  for (let i = 0; i < clear; i++) suffix[i] = i;
  let bits = literalBits + 1, next = end + 1, previous = -1;
  let held = 0, heldBits = 0, to = 0;
  for (let at = 0; to < out.length;) {
    while (heldBits < bits) {
      if (at === packed.length) return to;
      held = lowBitFirst ? held | (packed[at] << heldBits) : ((held << 8) | packed[at]) & 0xfffff;
      heldBits += 8;
      at++;
    }
    const code = (lowBitFirst ? held : held >>> (heldBits - bits)) & ((1 << bits) - 1);
    if (lowBitFirst) held >>>= bits;
    heldBits -= bits;
    if (code === end) return to;
    if (code === clear) {
      bits = literalBits + 1;
      next = end + 1;
      previous = -1;
      continue;
    }
    if (code > next || (previous < 0 && code > end)) {
      throw new BrokenImageError("a code of its LZW data means nothing");
    }
    // The entry that this very code completes begins and ends with the same byte.
    const isNew = code === next;
    const known = isNew ? previous : code;
    const length = lengths[known] + (isNew ? 1 : 0);
    let entry = known;
    for (let i = to + lengths[known] - 1; i > to; i--, entry = prefix[entry]) out[i] = suffix[entry];
    const first = suffix[entry];
    out[to] = first;
    if (isNew) out[to + length - 1] = first;
    to += length;
    if (previous >= 0 && next < 1 << MOST_BITS) {
      prefix[next] = previous;
      suffix[next] = first;
      lengths[next] = lengths[previous] + 1;
      next++;
      if (next + early === 1 << bits && bits < MOST_BITS) bits++;
    }
    previous = code;
  }
  return out.length;
}
