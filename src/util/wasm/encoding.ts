/** How numbers, types and instructions are written in a WebAssembly module. */

/** Bytes of a number in LEB128, the unsigned form. */
export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
  return [...bytes, value];
}

/** Bytes of a number in LEB128, the signed form. */
export function signedLeb(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 64n || value < -64n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value & 0x7fn)];
}

/** Codes of the value types. */
export const typeCodes = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

/** A type of values. */
export type TypeName = keyof typeof typeCodes;

/** The operands of a memory instruction: no promise of alignment, and an offset in bytes added to the address. */
export function memoryOperands(offset: number): number[] {
  return [0, ...unsignedLeb(offset)];
}

/** The code of a SIMD instruction. */
export function simd(instruction: number): number[] {
  return [0xfd, ...unsignedLeb(instruction)];
}
