/**
 * Kernels that add up a matrix's rows: two sums of quads per column, made in pieces of rows, in a fixed order. On software
 * adapters a lane goes down a column; on GPUs 16 threads share one and add up their sums in workgroup memory.
 */
import { kernelTarget } from "../../gpu/target.ts";

/** How columns are dealt out. */
export interface ColumnPlan {
  /** Columns of quads of one workgroup. */
  readonly columns: number;
  /** Threads that share a column. */
  readonly strips: number;
  /** Rows that one workgroup adds up, where there are many. */
  readonly rows: number;
}

/** How columns are dealt out on the open device. */
export function columnPlan(): ColumnPlan {
  const target = kernelTarget();
  return target?.family === "lanes"
    ? { columns: target.lanes, strips: 1, rows: 256 }
    : { columns: 16, strips: 16, rows: 128 };
}

/** Part of a kernel's name. */
export function columnName({ columns, strips }: ColumnPlan): string {
  return `${columns}x${strips}`;
}

/** Workgroups and uniform for `rows` rows of `quads` quads, in pieces of `perPiece` rows. */
export function columnGrid(
  plan: ColumnPlan,
  { rows, quads, perPiece }: { rows: number; quads: number; perPiece: number },
): { workgroups: [number, number]; uniform: ArrayBuffer } {
  return {
    workgroups: [Math.ceil(quads / plan.columns), Math.ceil(rows / perPiece)],
    uniform: new Uint32Array([rows, perPiece, 0, 0]).buffer,
  };
}

/**
 * The entry point; the uniform `sizes` is that of `columnGrid`.
 * @param quads quads of a row
 * @param add code that adds the quad `quad` of row `row` to `first` and `second`
 * @param store code that stores sum `which` (0 or 1), called `total`, of piece `id.y`
 */
export function columnKernel(plan: ColumnPlan, quads: number, add: string, store: string): string {
  const { columns, strips } = plan;
  const threads = columns * strips;
  const head = `@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let column = id.x * ${columns}u + thread % ${columns}u;
  let quad = min(column, ${quads - 1}u);
  var first = vec4f();
  var second = vec4f();
  let end = min(sizes.x, (id.y + 1u) * sizes.y);
  for (var row = id.y * sizes.y + thread / ${columns}u; row < end; row += ${strips}u) {
    ${add}
  }`;
  if (strips === 1) {
    return `
${head}
  for (var which = 0u; which < 2u; which++) {
    let total = select(first, second, which == 1u);
    if (column < ${quads}u) { ${store} }
  }
}`;
  }
  return `
var<workgroup> sums: array<vec4f, ${2 * threads}>;
${head}
  sums[thread] = first;
  sums[thread + ${threads}u] = second;
  workgroupBarrier();
  let which = thread / ${columns}u;
  if (which < 2u && column < ${quads}u) {
    var total = vec4f();
    for (var i = thread % ${columns}u; i < ${threads}u; i += ${columns}u) { total += sums[which * ${threads}u + i]; }
    ${store}
  }
}`;
}
