/**
 * The pixels of a fine-tuning batch on the device: normalised, erased, mixed and cut into patches in one pass.
 * Mixing here and not on the host keeps the upload at one byte per value (four of floats), and costs the host nothing.
 */
import { tf } from "../../deps/tfjs.ts";
import type { PixelValues, Size } from "../../config/types.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import { type ImageShape, normalizePixels } from "./normalize_pixels.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { patchGrid, patchify } from "./patchify.ts";
import { mostChannels, pixelTensor, readPixel } from "./patchify_kernel.ts";
import { eraseOnHost, type Erasure, isInside, type Mix } from "./pixel_changes.ts";
import { bindings, float } from "../templates/wgsl.ts";

/** A batch, and what becomes of it. */
export interface ChangedPixels {
  /** N·H·W·C bytes or floats, channel fastest. */
  readonly pixels: PixelValues;
  /** [N, H, W, C]. */
  readonly shape: ImageShape;
  /** Per channel, in [0, 1]. */
  readonly mean: readonly number[];
  /** Per channel, in [0, 1]. */
  readonly std: readonly number[];
  /** For each image the rectangle that becomes noise, or null. */
  readonly erasures: readonly (Erasure | null)[];
  /** How image n is mixed with image N − 1 − n, after both were erased. */
  readonly mix: Mix;
}

type Body = (batch: ChangedPixels, patchSize: Size) => tf.Tensor;

const bodies: Bodies<Body> = { name: "mixedPatches", composed: composedBody, kernel: kernelBody };

/**
 * Uploads a batch, normalises it, erases, mixes, and cuts it into patches. `pixel_changes.ts` is the definition; the noise of
 * the kernel differs from it by the device's logarithm. Not differentiable.
 * @param patchSize rows and columns of a patch, which divide those of an image
 * @returns [N, L, p·q·C] float32
 * @throws {RangeError} when pixels, means, deviations, erasures or the patch size do not fit the shape
 */
export function mixedPatches(batch: ChangedPixels, patchSize: Size): tf.Tensor3D {
  const { pixels, shape, mean, std, erasures } = batch;
  const [images, height, width, channels] = shape;
  const lengths = [pixels.length, mean.length, std.length, erasures.length];
  const wanted = [images * height * width * channels, channels, channels, images];
  if (lengths.some((length, i) => length !== wanted[i])) {
    throw new RangeError(
      `A batch of [${shape}] needs ${wanted} values, means, deviations and erasures; given ${lengths}`,
    );
  }
  patchGrid([height, width], patchSize);
  const body = channels + 2 <= mostChannels ? chooseBody(bodies) : bodies.composed;
  return tf.tidy(() => body(batch, patchSize)) as tf.Tensor3D;
}

function composedBody(
  { pixels, shape, mean, std, erasures, mix }: ChangedPixels,
  patchSize: Size,
): tf.Tensor {
  let images: tf.Tensor = normalizePixels(pixels, shape, mean, std);
  if (erasures.some((erasure) => erasure !== null)) {
    // What is never drawn as noise marks the pixels that stay.
    const noise = new Float32Array(pixels.length).fill(Infinity);
    eraseOnHost(noise, shape, erasures);
    const stays = Float32Array.from(noise, (value) => value === Infinity ? 1 : 0);
    const finite = noise.map((value) => value === Infinity ? 0 : value);
    images = tf.add(tf.mul(images, tf.tensor4d(stays, shape)), tf.tensor4d(finite, shape));
  }
  return patchify(mixComposed(images, shape, mix), patchSize);
}

function mixComposed(images: tf.Tensor, [, height, width]: ImageShape, { share, box }: Mix): tf.Tensor {
  if (box === null) {
    return share === 1 ? images : tf.add(tf.mul(images, share), tf.mul(tf.reverse(images, 0), 1 - share));
  }
  const inside = Float32Array.from(
    { length: height * width },
    (_, i) => isInside(box, Math.floor(i / width), i % width) ? 1 : 0,
  );
  const own = inside.map((value) => 1 - value);
  const shape: [number, number, number, number] = [1, height, width, 1];
  return tf.add(
    tf.mul(images, tf.tensor4d(own, shape)),
    tf.mul(tf.reverse(images, 0), tf.tensor4d(inside, shape)),
  );
}

const threads = 64;

/**
 * Traffic: one byte read (two where images are mixed) and four written per value; some ten operations, fifty for erased
 * values. Each thread makes four values side by side, which the cache feeds from one or two words.
 */
function kernelBody(batch: ChangedPixels, patchSize: Size): tf.Tensor {
  const { pixels, shape, erasures } = batch;
  const [rows, columns] = patchGrid([shape[1], shape[2]], patchSize);
  const output = [shape[0], rows * columns, patchSize[0] * patchSize[1] * shape[3]];
  const perThread = pixels.length % 4 === 0 ? 4 : 1;
  return launch(source(batch, patchSize, perThread), {
    inputs: [pixelTensor(pixels), tf.tensor1d(erasureTable(erasures), "int32")],
    outputs: [output],
    uniform: settings(batch),
    workgroups: coverThreads(pixels.length / perThread, threads),
  })[0];
}

/** Eight words for each image: top, bottom, left, right and key of its rectangle; zeros for none. */
function erasureTable(erasures: readonly (Erasure | null)[]): Int32Array {
  const table = new Int32Array(erasures.length * 8);
  for (const [n, erasure] of erasures.entries()) {
    if (erasure === null) continue;
    const { top, left, height, width } = erasure.box;
    table.set([top, top + height, left, left + width, erasure.key | 0], 8 * n);
  }
  return table;
}

/** Mean and deviation of each channel; shares of own and partner, and whether there is a box; its top, bottom, left, right. */
function settings({ mean, std, mix: { share, box } }: ChangedPixels): ArrayBuffer {
  const quads = mean.map((value, c) => [value, std[c], 0, 0]);
  quads.push([share, 1 - share, box === null ? 0 : 1, 0]);
  quads.push(box === null ? [0, 0, 0, 0] : [box.top, box.top + box.height, box.left, box.left + box.width]);
  return Float32Array.from(quads.flat()).buffer;
}

function source({ pixels, shape }: ChangedPixels, [p, q]: Size, perThread: 1 | 4): KernelSource {
  const [images, height, width, channels] = shape;
  const kind = pixels instanceof Float32Array ? "values" : "bytes";
  const run = q * channels, columns = width / q;
  return {
    name: `mixed_patches_${kind}_${images}_${height}_${width}_${channels}_${p}_${q}_${perThread}`,
    code: () => `
${
      bindings(
        `var<storage, read> words: array<${kind === "bytes" ? "u32" : "f32"}>;`,
        "var<storage, read> erasures: array<vec4u>; // top, bottom, left, right; key",
        `var<storage, read_write> patches: array<${perThread === 4 ? "vec4f" : "f32"}>;`,
        `var<uniform> settings: array<vec4f, ${channels + 2}>; // mean, deviation; shares, cut; box`,
      )
    }
${readPixel(kind)}
${noiseFunctions}
// The value at a place of image n: normalised, or noise.
fn changed(n: u32, y: u32, x: u32, index: u32) -> f32 {
  let box = erasures[2u * n];
  if (y >= box.x && y < box.y && x >= box.z && x < box.w) { return noise(erasures[2u * n + 1u].x, index); }
  let of_channel = settings[index % ${channels}u];
  return (pixel(n * ${height * width * channels}u + index) - of_channel.x) / of_channel.y;
}
fn value(i: u32) -> f32 {
  let line = i / ${run}u; // rows of patches, in the patches' order
  let cell = line / ${p}u;
  let row = cell / ${columns}u * ${p}u + line % ${p}u; // rows of all images
  let across = cell % ${columns}u * ${run}u + i % ${run}u;
  let n = row / ${height}u;
  let y = row % ${height}u;
  let x = across / ${channels}u;
  let index = y * ${width * channels}u + across;
  let partner = ${images - 1}u - n;
  let shares = settings[${channels}];
  if (shares.z != 0.0) {
    let box = vec4u(settings[${channels + 1}]);
    let inside = y >= box.x && y < box.y && x >= box.z && x < box.w;
    return changed(select(n, partner, inside), y, x, index);
  }
  let own = changed(n, y, x, index);
  if (shares.y == 0.0) { return own; }
  return own * shares.x + changed(partner, y, x, index) * shares.y;
}
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${threads}u;
  if (i >= arrayLength(&patches)) { return; }
  patches[i] = ${
      perThread === 1
        ? "value(i)"
        : "vec4f(value(4u * i), value(4u * i + 1u), value(4u * i + 2u), value(4u * i + 3u))"
    };
}`,
  };
}

/** `noiseAt` of `pixel_changes.ts`, hashes bit for bit. */
const noiseFunctions = `
fn mix32(start: u32) -> u32 {
  var h = start;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}
fn uniform_at(key: u32, counter: u32) -> f32 {
  return f32(mix32(mix32(counter + 0x9e3779b9u) ^ key) >> 8u) / 16777216.0;
}
fn noise(key: u32, index: u32) -> f32 {
  let radius = sqrt(-2.0 * log(1.0 - uniform_at(key, 2u * index)));
  // cos 2π(u − ½) = sin 2π(¼ − |u − ½|) by its series: a device's own cosine may be wrong by 2⁻¹¹.
  let x = ${float(2 * Math.PI)} * (0.25 - abs(uniform_at(key, 2u * index + 1u) - 0.5));
  let y = x * x;
  let sine = x * (1.0 + y * (${float(-1 / 6)} + y * (${float(1 / 120)} + y * (${float(-1 / 5040)} +
    y * (${float(1 / 362880)} - y * ${float(1 / 39916800)})))));
  return radius * sine;
}`;
