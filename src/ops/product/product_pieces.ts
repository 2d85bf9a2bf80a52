/**
 * Long sums of few results: gradients of small weights over many tokens. One tile per workgroup would leave most of a GPU
 * idle, so the terms are dealt out to several workgroups as well, each of which writes a result of its own, and a second
 * kernel adds these up in order. Which products are cut, and into how many pieces, depends on their sizes alone: neither the
 * tuner nor the moment changes a bit of the result.
 */
import type { tf } from "../../deps/tfjs.ts";
import { coverThreads, launch } from "../../gpu/kernel.ts";
import type { Target } from "../../gpu/target.ts";
import type { ProductForm, ProductSizes } from "./product_form.ts";
import { enoughWorkgroups } from "./tiles_plan.ts";
import { bindings } from "../templates/wgsl.ts";

/** How the terms of a product's sums are dealt out. */
export interface Pieces {
  /** How many pieces. */
  readonly count: number;
  /** Terms of each but the last. */
  readonly terms: number;
}

/** Fewer terms than these are not worth a workgroup of their own. */
const fewestTerms = 512;
const mostPieces = 16;
/** Most bytes of all pieces of a result. */
const mostBytes = 2 ** 26;

/** The pieces of a gradient of a weight (TN) on a GPU; null where it is better made in one. */
export function piecesOf(
  form: ProductForm,
  { m, n, k }: Pick<ProductSizes, "m" | "n" | "k">,
  { family, bindingBytes }: Pick<Target, "family" | "bindingBytes">,
): Pieces | null {
  if (family !== "tiles" || form !== "TN") return null;
  const tiles = Math.ceil(m / 64) * Math.ceil(n / 64);
  const count = Math.min(
    mostPieces,
    Math.ceil(enoughWorkgroups / tiles),
    Math.floor(k / fewestTerms),
    Math.floor(Math.min(bindingBytes, mostBytes) / (4 * m * n)),
  );
  if (count < 2) return null;
  const terms = 32 * Math.ceil(k / count / 32); // whole turns of the loop for every plan
  return { count: Math.ceil(k / terms), terms };
}

const threads = 64;

/**
 * Adds up pieces, in order.
 * @param pieces [count, …]
 * @param result as large as a piece, a multiple of 4; written in place
 * @param accumulate whether to add to what the result holds
 *
 * Traffic: 4 bytes read for each value of each piece and 4 written; one operation.
 */
export function addPieces(pieces: tf.Tensor, result: tf.Tensor, accumulate: boolean): void {
  const quads = result.size / 4;
  launch({
    name: `add_pieces_${accumulate ? "accumulate" : "store"}`,
    code: () => `
${
      bindings(
        "var<storage, read> pieces: array<vec4f>;",
        "var<storage, read_write> result: array<vec4f>;",
        "var<uniform> sizes: vec4u; // quads, pieces",
      )
    }
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i >= sizes.x) { return; }
  var sum = pieces[i];
  for (var piece = 1u; piece < sizes.y; piece++) { sum += pieces[piece * sizes.x + i]; }
  result[i] ${accumulate ? "+=" : "="} sum;
}`,
  }, {
    inputs: [{ tensor: pieces, texture: false }],
    inPlace: [{ tensor: result, texture: false }],
    uniform: new Uint32Array([quads, pieces.shape[0], 0, 0]).buffer,
    workgroups: coverThreads(quads, threads),
  });
}
