/**
 * Token operations by kernel. Each way is one launch that moves every token once: 4 bytes read and 4 written per value,
 * and the positions on top. Sums over tokens (gradients of the class token and of the mask token) are made in a fixed
 * order; over all tokens in two steps, the first of which shares the launch.
 */
import type { tf } from "../../deps/tfjs.ts";
import { launchQuads } from "../templates/quad_kernel.ts";

/** Sizes of token sequences. */
export interface TokenSizes {
  /** Images N. */
  readonly images: number;
  /** Width D, a multiple of 4. */
  readonly width: number;
}

/** The tensor as int32 indices. */
function ids(tensor: tf.Tensor) {
  return { type: "i32", tensor } as const;
}

/** The tensor as flags: 0, or another number, which may be an integer's bits where tfjs has cast it from truth values. */
function flags(tensor: tf.Tensor) {
  return { type: "u32", tensor } as const;
}

/** Row and column of quad i among rows of `quads` quads. */
function place(quads: number): string {
  return `  let row = i / ${quads}u;\n  let column = i % ${quads}u;`;
}

/** rows[n, ids[n, k]]: [N, K, D]. `length` is L where the images have rows of their own, [N, L, D], and 0 where they share them. */
export function takeRowsKernel(rows: tf.Tensor, taken: tf.Tensor, length: number): tf.Tensor {
  const [images, count] = taken.shape as [number, number];
  const width = rows.shape[rows.rank - 1] as number;
  return launchQuads({
    name: `take_rows_${count}_${length}_${width}`,
    quads: { rows },
    sparse: 2 * count < length ? ["rows"] : [],
    values: { ids: ids(taken) },
    results: { taken: [images, count, width] },
    code: `${place(width / 4)}
  taken[i] = rows((row / ${count}u * ${length}u + u32(ids[row])) * ${width / 4}u + column);`,
  })[0];
}

/** Class token, then patch tokens, with positions: [N, 1 + K, D]. */
export function assembleTokensKernel(
  tokens: tf.Tensor,
  classToken: tf.Tensor,
  positions: tf.Tensor,
  kept: tf.Tensor | null,
): tf.Tensor {
  const [images, count, width] = tokens.shape as [number, number, number];
  const position = kept ? `u32(ids[token]) + 1u` : "place";
  return launchQuads({
    name: `assemble_tokens_${count}_${width}_${kept !== null}`,
    quads: { tokens, class_token: classToken, positions },
    values: kept ? { ids: ids(kept) } : {},
    results: { assembled: [images, count + 1, width] },
    code: `${place(width / 4)}
  let place = row % ${count + 1}u;
  let first = place == 0u;
  let token = row / ${count + 1}u * ${count}u + max(place, 1u) - 1u;
  let position = select(${position}, 0u, first);
  let value = select(tokens(token * ${width / 4}u + column), class_token(column), first);
  assembled[i] = value + positions(position * ${width / 4}u + column);`,
  })[0];
}

/** Gradients of the patch tokens [N, K, D] and the class token [1, 1, D]. */
export function assembleTokensGradients(upstream: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const [images, places, width] = upstream.shape as [number, number, number];
  const quads = width / 4;
  return launchQuads({
    name: `assemble_tokens_gradients_${places}_${width}`,
    quads: { upstream },
    results: { d_tokens: [images, places - 1, width], d_class: [1, 1, width] },
    sizes: { images, moved: images * (places - 1) * quads },
    code: `
  if (i < sizes.moved) {
    let row = i / ${quads}u;
    d_tokens[i] = upstream(i + (row / ${places - 1}u + 1u) * ${quads}u);
  } else {
    let column = i - sizes.moved;
    var total = vec4f();
    for (var n = 0u; n < sizes.images; n++) { total += upstream(n * ${places * quads}u + column); }
    d_class[column] = total;
  }`,
  }) as [tf.Tensor, tf.Tensor];
}

/** Kept tokens at their places, mask tokens at the others, with positions: [N, 1 + L, D]. */
export function scatterTokensKernel(
  tokens: tf.Tensor,
  maskToken: tf.Tensor,
  positions: tf.Tensor,
  restore: tf.Tensor,
): tf.Tensor {
  const [images, known, width] = tokens.shape as [number, number, number];
  const length = restore.shape[1] as number;
  const quads = width / 4;
  return launchQuads({
    name: `scatter_tokens_${known}_${length}_${width}`,
    quads: { tokens, mask_token: maskToken, positions },
    values: { ids: ids(restore) },
    results: { scattered: [images, length + 1, width] },
    code: `${place(quads)}
  let image = row / ${length + 1}u;
  let place = row % ${length + 1}u;
  let source = select(u32(ids[image * ${length}u + max(place, 1u) - 1u]) + 1u, 0u, place == 0u);
  let token = tokens((image * ${known}u + min(source, ${known - 1}u)) * ${quads}u + column);
  let value = select(mask_token(column), token, source < ${known}u);
  scattered[i] = value + positions(place * ${quads}u + column);`,
  })[0];
}

/** Gradients of the tokens [N, 1 + kept, D] and the mask token, of that token's shape. */
export function scatterTokensGradients(
  upstream: tf.Tensor,
  kept: tf.Tensor,
  mask: tf.Tensor,
  maskShape: number[],
): [tf.Tensor, tf.Tensor] {
  const [images, places, width] = upstream.shape as [number, number, number];
  const count = kept.shape[1] as number;
  const quads = width / 4;
  const [dTokens, partials] = launchQuads({
    name: `scatter_tokens_gradients_${count}_${places}_${width}`,
    quads: { upstream },
    values: { ids: ids(kept), mask: flags(mask) },
    results: { d_tokens: [images, count + 1, width], partials: partialShape(images * (places - 1), width) },
    sizes: { moved: images * (count + 1) * quads, ...partialSizes(images * (places - 1)) },
    functions: sumOfMasked(quads, (row) => `${row} + ${row} / ${places - 1}u + 1u`),
    code: `
  if (i < sizes.moved) {
${place(quads)}
    let image = row / ${count + 1}u;
    let place = row % ${count + 1}u;
    let source = select(u32(ids[image * ${count}u + max(place, 1u) - 1u]) + 1u, 0u, place == 0u);
    d_tokens[i] = upstream((image * ${places}u + source) * ${quads}u + column);
  } else {
    partials[i - sizes.moved] = sum_of_masked(i - sizes.moved);
  }`,
  });
  return [dTokens, sumOfPartials(partials, maskShape)];
}

/** The mask token where removed: [N, L, D]. */
export function replaceMaskedKernel(tokens: tf.Tensor, maskToken: tf.Tensor, mask: tf.Tensor): tf.Tensor {
  const width = tokens.shape[2] as number;
  return launchQuads({
    name: `replace_masked_${width}`,
    quads: { tokens, mask_token: maskToken },
    values: { mask: flags(mask) },
    results: { replaced: tokens.shape },
    code: `${place(width / 4)}
  replaced[i] = select(tokens(i), mask_token(column), mask[row] != 0u);`,
  })[0];
}

/** Gradients of the tokens [N, L, D] and the mask token, of that token's shape. */
export function replaceMaskedGradients(
  upstream: tf.Tensor,
  mask: tf.Tensor,
  maskShape: number[],
): [tf.Tensor, tf.Tensor] {
  const [images, length, width] = upstream.shape as [number, number, number];
  const quads = width / 4;
  const [dTokens, partials] = launchQuads({
    name: `replace_masked_gradients_${width}`,
    quads: { upstream },
    values: { mask: flags(mask) },
    results: { d_tokens: upstream.shape, partials: partialShape(images * length, width) },
    sizes: { moved: upstream.size / 4, ...partialSizes(images * length) },
    functions: sumOfMasked(quads, (row) => row),
    code: `
  if (i < sizes.moved) {
    d_tokens[i] = select(upstream(i), vec4f(), mask[i / ${quads}u] != 0u);
  } else {
    partials[i - sizes.moved] = sum_of_masked(i - sizes.moved);
  }`,
  });
  return [dTokens, sumOfPartials(partials, maskShape)];
}

/** Without the first token of each image: [N, L, D]. */
export function dropFirstKernel(tokens: tf.Tensor): tf.Tensor {
  const [images, places, width] = tokens.shape as [number, number, number];
  return launchQuads({
    name: `drop_first_${places}_${width}`,
    quads: { tokens },
    results: { rest: [images, places - 1, width] },
    code: `  rest[i] = tokens(i + (i / ${(places - 1) * width / 4}u + 1u) * ${width / 4}u);`,
  })[0];
}

/** Zeros for the first token of each image, then the rest: [N, 1 + L, D]. */
export function dropFirstGradient(upstream: tf.Tensor): tf.Tensor {
  const [images, length, width] = upstream.shape as [number, number, number];
  const quads = width / 4;
  return launchQuads({
    name: `drop_first_gradient_${length}_${width}`,
    quads: { upstream },
    results: { d_tokens: [images, length + 1, width] },
    code: `
  let image = i / ${(length + 1) * quads}u;
  let first = i % ${(length + 1) * quads}u < ${quads}u;
  let source = max(i, (image + 1u) * ${quads}u) - (image + 1u) * ${quads}u;
  d_tokens[i] = select(upstream(source), vec4f(), first);`,
  })[0];
}

/** tokens[n, 1 + ids[n, k]], the class token passed over: [N, 1 + L, D] to [N, K, D]. */
export function removedTokensKernel(tokens: tf.Tensor, removed: tf.Tensor): tf.Tensor {
  const [, places, width] = tokens.shape as [number, number, number];
  const [images, count] = removed.shape as [number, number];
  return launchQuads({
    name: `removed_tokens_${count}_${places}_${width}`,
    quads: { tokens },
    values: { ids: ids(removed) },
    results: { taken: [images, count, width] },
    code: `${place(width / 4)}
  taken[i] = tokens((row / ${count}u * ${places}u + u32(ids[row]) + 1u) * ${width / 4}u + column);`,
  })[0];
}

/** Where `restore` says `kept` or more, the gradient of the token at that place; zeros elsewhere: [N, 1 + L, D]. */
export function removedTokensGradient(upstream: tf.Tensor, restore: tf.Tensor): tf.Tensor {
  const [images, count, width] = upstream.shape as [number, number, number];
  const length = restore.shape[1] as number;
  const quads = width / 4;
  return launchQuads({
    name: `removed_tokens_gradient_${count}_${length}_${width}`,
    quads: { upstream },
    values: { ids: ids(restore) },
    results: { d_tokens: [images, length + 1, width] },
    code: `${place(quads)}
  let image = row / ${length + 1}u;
  let place = row % ${length + 1}u;
  let order = u32(ids[image * ${length}u + max(place, 1u) - 1u]);
  let source = image * ${count}u + max(order, ${length - count}u) - ${length - count}u;
  let value = upstream(source * ${quads}u + column);
  d_tokens[i] = select(vec4f(), value, place > 0u && order >= ${length - count}u);`,
  })[0];
}

/** tokens[n] + positions for each image n: [N, T, D]. */
export function addPositionsKernel(tokens: tf.Tensor, positions: tf.Tensor): tf.Tensor {
  return launchQuads({
    name: `add_positions_${positions.size}`,
    quads: { tokens, positions },
    results: { sum: tokens.shape },
    code: `  sum[i] = tokens(i) + positions(i % ${positions.size / 4}u);`,
  })[0];
}

/** Pieces of rows whose sums are made at once, and rows of each: few pieces, as one thread adds up theirs. */
function pieces(rows: number): { count: number; rowsEach: number } {
  const rowsEach = Math.max(64, Math.ceil(rows / 256));
  return { count: Math.ceil(rows / rowsEach), rowsEach };
}

function partialShape(rows: number, width: number): number[] {
  return [pieces(rows).count, width];
}

function partialSizes(rows: number): { rows: number; rows_each: number } {
  return { rows, rows_each: pieces(rows).rowsEach };
}

/**
 * The function that adds up, for piece i / quads and column i % quads, the upstream quads of removed patches.
 * @param upstreamRow row of `upstream` that belongs to a row of the mask
 */
function sumOfMasked(quads: number, upstreamRow: (row: string) => string): string {
  return `
fn sum_of_masked(i: u32) -> vec4f {
  let first = i / ${quads}u * sizes.rows_each;
  var total = vec4f();
  for (var row = first; row < min(first + sizes.rows_each, sizes.rows); row++) {
    if (mask[row] != 0u) { total += upstream((${upstreamRow("row")}) * ${quads}u + i % ${quads}u); }
  }
  return total;
}`;
}

/** Adds up the pieces: [pieces, D] to one row of that shape. */
function sumOfPartials(partials: tf.Tensor, shape: number[]): tf.Tensor {
  const [count, width] = partials.shape as [number, number];
  const [total] = launchQuads({
    name: `sum_of_partials_${width}`,
    quads: { partials },
    results: { total: shape },
    sizes: { count },
    code: `
  var sum = vec4f();
  for (var piece = 0u; piece < sizes.count; piece++) { sum += partials(piece * ${width / 4}u + i); }
  total[i] = sum;`,
  });
  partials.dispose();
  return total;
}
