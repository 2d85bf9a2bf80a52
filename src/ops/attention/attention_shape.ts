/** What the attention kernels of every family share: sizes, and how rows of the packed product and of the result are read. */
import type { Storage } from "../../gpu/operand.ts";
import { float, loadQuads } from "../templates/wgsl.ts";

/** Sizes that a kernel is generated for; the number of tokens is a uniform. */
export interface AttentionShape {
  /** Images N of the batch. */
  readonly images: number;
  /** Tokens T of an image. */
  readonly tokens: number;
  /** Attention heads. */
  readonly heads: number;
  /** Width of a head, a multiple of 4. */
  readonly headWidth: number;
}

/** How the packed product, the gradient of the result and the result are stored. */
export interface AttentionStorages {
  /** Query, key and value; what the kernels write has its precision. */
  readonly packed: Storage;
  /** The gradient of the result. */
  readonly upstream: Storage;
  /** The result. */
  readonly attended: Storage;
}

/** Whether values stored so are in half precision. */
export function storesHalf(storage: Storage): boolean {
  return storage.startsWith("half");
}

/** What scores are multiplied with, as a literal. */
export function scoreScale({ headWidth }: AttentionShape): string {
  return float(1 / Math.sqrt(headWidth));
}

/** Rows that scores are products of. */
export interface Rows {
  /** Short name in variables. */
  readonly name: string;
  /** Expression of a quad, from a row of the batch and a quad of the head; uses `head4`, the head's first quad. */
  readonly load: (row: string, quad: string) => string;
}

/** The rows of query, key and value. */
export function packedRows(shape: AttentionShape): [query: Rows, key: Rows, value: Rows] {
  const rows = (name: string, part: number): Rows => ({
    name,
    load: (row, quad) => `load_packed(${row}, ${part * headQuads(shape)}u + head4 + ${quad})`,
  });
  return [rows("q", 0), rows("k", 1), rows("v", 2)];
}

/** The rows of the gradient of the result. */
export const upstreamRows: Rows = {
  name: "u",
  load: (row, quad) => `load_upstream(${row}, head4 + ${quad})`,
};

/** Quads of all heads. */
export function headQuads({ heads, headWidth }: AttentionShape): number {
  return heads * headWidth / 4;
}

/** The loader of a matrix with rows of `columns4` quads. */
export function rowLoader(name: string, storage: Storage, columns4: number): string {
  return `${loadQuads(name, storage)}
fn load_${name}(row: u32, column4: u32) -> vec4f { return ${name}(row * ${columns4}u + column4); }`;
}
