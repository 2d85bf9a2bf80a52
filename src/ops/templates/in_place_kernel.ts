/** Kernels that change tensors in place value by value, each value from those at its place in tensors of the same size. */
import type { tf } from "../../deps/tfjs.ts";
import { coverThreads, launch, type Operand } from "../../gpu/kernel.ts";
import { storageOf } from "../../gpu/operand.ts";
import { partOf, partsOf } from "../../gpu/parts.ts";
import { bindings, declareQuads, loadQuads } from "./wgsl.ts";

/** Such a kernel and its tensors. */
export interface InPlaceKernel {
  /** Tells everything that the code depends on, but for how values are stored. */
  readonly name: string;
  /** Tensors that are only read: `name(i)` in the code, a vector of four values where the size allows, else one value. */
  readonly reads: Readonly<Record<string, tf.Tensor>>;
  /** Tensors that are changed: read as `name(i)`, written as `next_name[i]`. */
  readonly changes: Readonly<Record<string, tf.Tensor>>;
  /** Numbers from the host, `settings.name` in the code. */
  readonly numbers: Readonly<Record<string, number>>;
  /** A multiple of four values from the device, in vectors of four: `settings.tail[k]`. */
  readonly tail?: tf.Tensor;
  /** What is done at place `i`. */
  readonly code: string;
}

const threads = 64;

/** Records such a kernel; tensors larger than a binding are changed in parts. Traffic: what it reads and writes. */
export function launchInPlace(kernel: InPlaceKernel): void {
  const names = [...Object.keys(kernel.reads), ...Object.keys(kernel.changes)];
  const tensors = [...Object.values(kernel.reads), ...Object.values(kernel.changes)];
  const readOnly = Object.keys(kernel.reads).length;
  const { size } = tensors[0];
  if (tensors.some((tensor) => tensor.size !== size)) {
    throw new RangeError(
      `The kernel ${kernel.name} was given tensors of sizes ${tensors.map(({ size }) => size)}`,
    );
  }
  const wide = size % 4 === 0;
  for (const part of partsOf(size)) {
    const operands = tensors.map((tensor) => partOf(tensor, part));
    const textures = operands.every(({ texture }) => texture);
    const storage = textures ? "texture" : "buffer";
    const items = wide ? part.count / 4 : part.count;
    const inputs = textures ? operands : operands.slice(0, readOnly).map(asBuffer);
    const source = {
      name: `${kernel.name}_${wide ? storageOf({ ...operands[0], texture: textures }) : "single"}`,
      code: () => codeOf(kernel, names, readOnly, wide ? storage : null),
    };
    launch(source, {
      inputs,
      inPlace: operands.slice(readOnly).map(asBuffer),
      uniform: uniformOf(Object.values(kernel.numbers), items),
      uniformTail: kernel.tail,
      workgroups: coverThreads(items, threads),
    });
  }
}

function asBuffer(operand: Operand): Operand {
  return { ...operand, texture: false };
}

/** The numbers, then how many items there are, filled up to whole vectors. */
function uniformOf(numbers: readonly number[], items: number): ArrayBuffer {
  const bytes = new ArrayBuffer(16 * Math.ceil((numbers.length + 1) / 4));
  new Float32Array(bytes).set(numbers);
  new Uint32Array(bytes)[numbers.length] = items;
  return bytes;
}

/** @param storage how quads are read; null for single values */
function codeOf(
  { numbers, tail, code }: InPlaceKernel,
  names: readonly string[],
  readOnly: number,
  storage: "texture" | "buffer" | null,
): string {
  const item = storage ? "vec4f" : "f32";
  const declare = (name: string) =>
    storage ? declareQuads(name, storage) : `var<storage, read> ${name}_quads: array<f32>;`;
  const load = (name: string, k: number) => {
    if (k >= readOnly && storage !== "texture") {
      return `fn ${name}(i: u32) -> ${item} { return next_${name}[i]; }`;
    }
    return storage ? loadQuads(name, storage) : `fn ${name}(i: u32) -> f32 { return ${name}_quads[i]; }`;
  };
  const fields = [...Object.keys(numbers).map((name) => `${name}: f32`), "items: u32"];
  const padding = Array.from({ length: -fields.length & 3 }, (_, k) => `unused${k}: u32`);
  const tailField = tail ? [`tail: array<vec4f, ${tail.size / 4}>`] : [];
  return `
struct Settings { ${[...fields, ...padding, ...tailField].join(", ")} }
${
    bindings(
      ...(storage === "texture" ? names : names.slice(0, readOnly)).map(declare),
      ...names.slice(readOnly).map((name) => `var<storage, read_write> next_${name}: array<${item}>;`),
      "var<uniform> settings: Settings;",
    )
  }
${names.map(load).join("\n")}
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i >= settings.items) { return; }
${code}
}`;
}
