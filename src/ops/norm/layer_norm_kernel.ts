/**
 * Layer norm by kernel: a team of threads per row (`row_kernel.ts`), and sums down the columns (`column_kernel.ts`).
 *
 * Forward: one read and one write per value, about 8 operations. Backward in x: two reads (three with a gradient to add)
 * and one write, about 12 operations. Backward in gain and bias: two reads per value, 5 operations; on software adapters
 * it is part of the kernel for x instead, which adds up over its rows.
 */
import type { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch, type Output, outputLike } from "../../gpu/kernel.ts";
import { roomyRows } from "../../gpu/room.ts";
import {
  columnGrid,
  columnKernel,
  columnName,
  type ColumnPlan,
  columnPlan,
} from "../templates/column_kernel.ts";
import { addsDown, rowGrid, RowKernel, type Team, teamFor, teamName } from "../templates/row_kernel.ts";
import {
  asBuffer,
  operandsOf,
  type RowBindings,
  rowBindings,
  rowInput,
  type RowInputs,
  rowName,
  type RowResults,
} from "../templates/row_values.ts";
import { float } from "../templates/wgsl.ts";

function forwardSource(width: number, team: Team, bound: RowBindings, eps: number): KernelSource {
  return {
    name: rowName("layer_norm", bound, teamName(team), eps),
    code: () => {
      const row = new RowKernel(width, team);
      const x = row.hold("x", ({ quad }) => `x(row, ${quad})`);
      row.sum({ total: (at) => `dot(${x(at)}, vec4f(1.0))` });
      row.step(`    let mean = total / ${float(width)};`);
      const d = row.hold("d", (at) => `${x(at)} - mean`);
      row.sum({ squares: (at) => `dot(${d(at)}, ${d(at)})` });
      row.step(`    let inverse = inverseSqrt(squares / ${float(width)} + ${float(eps)});`);
      row.each((at) => {
        const value = `${d(at)} * inverse * gain(0u, ${at.quad}) + bias(0u, ${at.quad})`;
        return `store_y(row, ${at.quad}, ${value});`;
      });
      row.once("store_statistics(row, 0u, vec4f(mean, inverse, 0.0, 0.0));");
      return rowBindings(bound) + row.code();
    },
  };
}

/** Gradient of x; with a result `pieces` also the sums of `columnSource` over the rows of each team. */
function inputGradientSource(width: number, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("layer_norm_dx", bound, teamName(team)),
    code: () => {
      const row = new RowKernel(width, team);
      row.step("    let statistic = statistics(row, 0u);");
      const n = row.hold("n", ({ quad }) => `(x(row, ${quad}) - statistic.x) * statistic.y`);
      const up = row.hold("up", ({ quad }) => `dy(row, ${quad})`);
      if ("pieces" in bound.results) {
        const [gain, bias] = [row.total("gain_total"), row.total("bias_total")];
        row.each((at) => `${gain(at)} += ${up(at)} * ${n(at)}; ${bias(at)} += ${up(at)};`);
        row.afterRows((at) => `store_pieces(piece * 2u, ${at.quad}, ${gain(at)});`);
        row.afterRows((at) => `store_pieces(piece * 2u + 1u, ${at.quad}, ${bias(at)});`);
      }
      const g = row.hold("g", (at) => `${up(at)} * gain(0u, ${at.quad})`);
      row.sum({
        total: (at) => `dot(${g(at)}, vec4f(1.0))`,
        along: (at) => `dot(${g(at)}, ${n(at)})`,
      });
      row.step(`    total /= ${float(width)};\n    along /= ${float(width)};`);
      row.each((at) => {
        const value = `statistic.y * (${g(at)} - total - ${n(at)} * along)`;
        const more = "add" in bound.inputs ? ` + add(row, ${at.quad})` : "";
        return `store_dx(row, ${at.quad}, ${value}${more});`;
      });
      return rowBindings(bound) + row.code();
    },
  };
}

const storeColumn = "if (which == 0u) { store_gain(0u, quad, total); } else { store_bias(0u, quad, total); }";

/** Sums of dy · normalised x and of dy down the columns of each piece of rows; of all rows where there is one piece. */
function columnSource(width: number, plan: ColumnPlan, bound: RowBindings): KernelSource {
  const add = `
    let statistic = statistics(row, 0u);
    let g = dy(row, quad);
    first += g * (x(row, quad) - statistic.x) * statistic.y;
    second += g;`;
  const store = "pieces" in bound.results ? "store_pieces(id.y * 2u + which, quad, total);" : storeColumn;
  return {
    name: rowName("layer_norm_columns", bound, columnName(plan)),
    code: () => rowBindings(bound) + columnKernel(plan, width / 4, add, store),
  };
}

/** Sums over the pieces. */
function pieceSource(width: number, plan: ColumnPlan, bound: RowBindings): KernelSource {
  const add = `
    first += pieces(row * 2u, quad);
    second += pieces(row * 2u + 1u, quad);`;
  return {
    name: rowName("layer_norm_pieces", bound, columnName(plan)),
    code: () => rowBindings(bound) + columnKernel(plan, width / 4, add, storeColumn),
  };
}

/** How the result of the forward kernel is stored. */
export interface LayerNormOptions {
  /** In half precision. */
  readonly half?: boolean;
}

/**
 * Layer norm of x [M, D] in single precision, and its statistics [M, 4]: mean, 1 / deviation and two zeros. D must be a
 * multiple of 4.
 */
export function layerNormKernel(
  x: tf.Tensor2D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  eps = 1e-6,
  { half = false }: LayerNormOptions = {},
): tf.Tensor[] {
  const [rows, width] = x.shape;
  const team = teamFor(width);
  const bound: RowBindings = {
    inputs: { x: rowInput(x, width), gain: rowInput(gain, width), bias: rowInput(bias, width) },
    results: { y: { width, half }, statistics: { width: 4 } },
  };
  return launch(forwardSource(width, team, bound, eps), {
    inputs: operandsOf(bound.inputs),
    outputs: [outputLike(x, [rows, width], half), outputLike(x, [rows, 4])],
    ...rowGrid(rows, team),
  });
}

/** What else the backward kernels do. */
export interface LayerNormGradientOptions {
  /** [M, D] in single precision, added to the gradient of x: the gradient that came past the norm. */
  readonly add?: tf.Tensor;
}

/** Gradients of x, gain and bias, in single precision; dy [M, D] may be in half. */
export function layerNormKernelGradients(
  dy: tf.Tensor2D,
  x: tf.Tensor2D,
  gain: tf.Tensor,
  statistics: tf.Tensor,
  { add }: LayerNormGradientOptions = {},
): [dx: tf.Tensor, dGain: tf.Tensor, dBias: tf.Tensor] {
  const [rows, width] = x.shape;
  const team = teamFor(width);
  const read = { dy: rowInput(dy, width), x: rowInput(x, width), statistics: rowInput(statistics, 4) };
  const inputs: RowInputs = add
    ? {
      ...read,
      statistics: asBuffer(read.statistics),
      gain: rowInput(gain, width),
      add: rowInput(add, width),
    }
    : { ...read, gain: rowInput(gain, width) };
  const fused = addsDown(team, width);
  const bound: RowBindings = {
    inputs,
    results: { dx: { width }, ...(fused ? { pieces: { width } } : {}) },
  };
  const [dx, sums] = launch(inputGradientSource(width, team, bound), {
    inputs: operandsOf(inputs),
    outputs: [outputLike(x, [rows, width]), ...(fused ? [piecesFor(x, team.rows)] : [])],
    ...rowGrid(rows, team),
  });
  const [dGain, dBias] = fused ? overPieces(sums) : columnGradients(read, x);
  return [dx, dGain, dBias];
}

/** Two sums for each piece of so many rows of x. */
function piecesFor(x: tf.Tensor2D, perPiece: number): Output {
  const [rows, width] = x.shape;
  const count = (rows: number) => Math.ceil(rows / perPiece);
  return { shape: [count(rows), 2, width], room: count(roomyRows(x)) * 2 * width };
}

function columnGradients(inputs: RowInputs, x: tf.Tensor2D): tf.Tensor[] {
  const [rows, width] = x.shape;
  const plan = columnPlan();
  const whole = rows <= plan.rows;
  const results: RowResults = whole ? { gain: { width }, bias: { width } } : { pieces: { width } };
  const made = launch(columnSource(width, plan, { inputs, results }), {
    inputs: operandsOf(inputs),
    outputs: whole ? [[width], [width]] : [piecesFor(x, plan.rows)],
    ...columnGrid(plan, { rows, quads: width / 4, perPiece: plan.rows }),
  });
  return whole ? made : overPieces(made[0]);
}

function overPieces(pieces: tf.Tensor): tf.Tensor[] {
  const [count, , width] = pieces.shape as [number, number, number];
  const plan = columnPlan();
  const inputs = { pieces: rowInput(pieces, width) };
  const results = { gain: { width }, bias: { width } };
  return launch(pieceSource(width, plan, { inputs, results }), {
    inputs: operandsOf(inputs),
    outputs: [[width], [width]],
    ...columnGrid(plan, { rows: count, quads: width / 4, perPiece: count }),
  });
}
