/**
 * Cutting images into patches by kernel, from images that are normalised or straight from pixels. The values of one row of pixels of a patch lie
 * side by side in the image as in the patch: a run. Where a run is a multiple of four long, values move four at a time.
 *
 * Traffic: 4 bytes read (1 from bytes) and 4 written per value; from pixels three operations.
 */
import { tf } from "../../deps/tfjs.ts";
import type { PixelValues, Size } from "../../config/types.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../../gpu/operand.ts";
import { bindings, component, declareQuads, loadQuads, repeat } from "../templates/wgsl.ts";

/** How images are cut. */
export interface PatchLayout {
  /** Patches per column and row of an image. */
  readonly grid: Size;
  /** Pixels of a patch, rows and columns. */
  readonly patch: Size;
  /** Values of a pixel. */
  readonly channels: number;
}

/** Most channels whose statistics a uniform holds on every device. */
export const mostChannels = 1024;

/** Patches of float images, [N, L, p·q·C]. */
export function patchifyKernel(images: tf.Tensor, layout: PatchLayout): tf.Tensor {
  const input = runOf(layout) % 4 === 0 ? operandOf(images) : { tensor: images, texture: false };
  return launchPatches({ kind: "floats", storage: storageOf(input), layout }, {
    input,
    images: images.shape[0],
    uniform: new ArrayBuffer(0),
  });
}

/** How pixels lie in memory: bytes four to a word, or floats. */
export type PixelKind = "bytes" | "values";

/** Pixels on the device. */
export function pixelTensor(pixels: PixelValues): tf.Tensor1D {
  return pixels instanceof Float32Array
    ? tf.tensor1d(pixels, "float32")
    : tf.tensor1d(wordsOf(pixels), "int32");
}

/** WGSL's `pixel(i)`: value i of the array `words`, where the largest byte is 1. */
export function readPixel(kind: PixelKind): string {
  return `fn pixel(i: u32) -> f32 { return ${
    kind === "bytes" ? "f32((words[i / 4u] >> (8u * (i % 4u))) & 255u) / 255.0" : "words[i]"
  }; }`;
}

/** The bytes four to a word, the last one filled up: the same memory where that is possible. */
function wordsOf(pixels: Uint8Array): Int32Array {
  if (pixels.length % 4 === 0 && pixels.byteOffset % 4 === 0) {
    return new Int32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  }
  const words = new Int32Array(Math.ceil(pixels.length / 4));
  new Uint8Array(words.buffer).set(pixels);
  return words;
}

/** Patches of images that are not yet normalised. */
export function patchifyPixelsKernel(
  pixels: PixelValues,
  images: number,
  layout: PatchLayout,
  mean: readonly number[],
  std: readonly number[],
): tf.Tensor {
  const statistics = new Float32Array(4 * layout.channels);
  mean.forEach((value, c) => statistics.set([value, std[c]], 4 * c));
  const kind = pixels instanceof Float32Array ? "values" : "bytes";
  return launchPatches({ kind, storage: "buffer", layout }, {
    input: pixelTensor(pixels),
    images,
    uniform: statistics.buffer,
  });
}

/** What the code depends on. */
interface PatchVariant {
  readonly kind: "floats" | PixelKind;
  readonly storage: Storage;
  readonly layout: PatchLayout;
}

interface PatchRun {
  readonly input: Parameters<typeof launch>[1]["inputs"][number];
  readonly images: number;
  /** Mean and deviation of each channel; empty for what is normalised already. */
  readonly uniform: ArrayBuffer;
}

function runOf({ patch, channels }: PatchLayout): number {
  return patch[1] * channels;
}

function launchPatches(variant: PatchVariant, { input, images, uniform }: PatchRun): tf.Tensor {
  const { grid, patch, channels } = variant.layout;
  const shape = [images, grid[0] * grid[1], patch[0] * patch[1] * channels];
  const values = tf.util.sizeFromShape(shape);
  const perThread = values % 4 === 0 ? 4 : 1;
  return launch(patchSource(variant, perThread), {
    inputs: [input],
    outputs: [shape],
    ...(uniform.byteLength > 0 ? { uniform } : {}),
    workgroups: coverThreads(values / perThread, threads),
  })[0];
}

const threads = 64;

function patchSource({ kind, storage, layout }: PatchVariant, perThread: 1 | 4): KernelSource {
  const { grid: [, columns], patch: [p, q], channels } = layout;
  const run = runOf(layout);
  const together = run % 4 === 0;
  return {
    name: `patchify_${kind}_${storage}_${columns}_${p}_${q}_${channels}_${perThread}`,
    code: () => `
${
      bindings(
        kind !== "floats"
          ? `var<storage, read> words: array<${kind === "bytes" ? "u32" : "f32"}>;`
          : together
          ? declareQuads("images", storage)
          : "var<storage, read> values: array<f32>;",
        `var<storage, read_write> patches: array<${perThread === 4 ? "vec4f" : "f32"}>;`,
        ...(kind !== "floats"
          ? [`var<uniform> statistics: array<vec4f, ${channels}>; // mean, deviation`]
          : []),
      )
    }
${kind === "floats" && together ? loadQuads("images", storage) : ""}
// Where value i of the patches lies in the images.
fn place(i: u32) -> u32 {
  let run = i / ${run}u;
  let cell = run / ${p}u;
  let row = cell / ${columns}u * ${p}u + run % ${p}u;
  return (row * ${columns}u + cell % ${columns}u) * ${run}u + i % ${run}u;
}
${
      kind !== "floats"
        ? pixelFunctions(kind, channels)
        : "fn value(i: u32) -> f32 { return values[place(i)]; }".repeat(together ? 0 : 1)
    }
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i >= arrayLength(&patches)) { return; }
${perThread === 1 ? "  patches[i] = value(i);" : together ? quadOf(kind) : fourValues}
}`,
  };
}

function pixelFunctions(kind: PixelKind, channels: number): string {
  return `
${readPixel(kind)}
fn normalized(value: f32, i: u32) -> f32 {
  let of_channel = statistics[i % ${channels}u];
  return (value - of_channel.x) / of_channel.y;
}
fn value(i: u32) -> f32 {
  return normalized(pixel(place(i)), i);
}`;
}

/** Four values whose places are side by side. */
function quadOf(kind: PatchVariant["kind"]): string {
  if (kind === "floats") return "  patches[i] = images(place(4u * i) / 4u);";
  const read = (k: number) =>
    kind === "bytes" ? `f32((word >> ${8 * k}u) & 255u) / 255.0` : `words[at + ${k}u]`;
  return `  let at = place(4u * i);${kind === "bytes" ? "\n  let word = words[at / 4u];" : ""}
${repeat(4, (k) => `  let ${component(k)} = normalized(${read(k)}, 4u * i + ${k}u);`)}
  patches[i] = vec4f(x, y, z, w);`;
}

const fourValues =
  "  patches[i] = vec4f(value(4u * i), value(4u * i + 1u), value(4u * i + 2u), value(4u * i + 3u));";
