/** Pixels to the normalised floats that models take: (value − mean) / deviation per channel, where a byte counts as value / 255. */
import { tf } from "../../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import type { PixelValues, Size } from "../../config/types.ts";
import { type Bodies, chooseBody } from "../operation.ts";
import { patchGrid, patchify } from "./patchify.ts";
import { mostChannels, patchifyPixelsKernel, pixelTensor, readPixel } from "./patchify_kernel.ts";

/** [N, H, W, C] of a batch of images. */
export type ImageShape = [images: number, height: number, width: number, channels: number];

type Body = (
  pixels: PixelValues,
  shape: ImageShape,
  mean: readonly number[],
  std: readonly number[],
) => tf.Tensor4D;

const bodies: Bodies<Body> = { name: "normalizePixels", composed: composedBody, kernel: kernelBody };

/**
 * Uploads a batch and normalises it on the device, in torchvision's order of operations (ToTensor, then Normalize).
 * @param pixels N·H·W·C bytes or floats, channel fastest
 * @param shape [N, H, W, C]
 * @param mean per channel, in [0, 1]
 * @param std per channel, in [0, 1]
 * @returns [N, H, W, C] float32
 * @throws {RangeError} when the number of pixels, means or deviations does not fit the shape
 */
export function normalizePixels(
  pixels: PixelValues,
  shape: ImageShape,
  mean: readonly number[],
  std: readonly number[],
): tf.Tensor4D {
  checkPixels(pixels, shape, mean, std);
  return chooseBody(bodies)(pixels, shape, mean, std);
}

type PatchesBody = (...args: [...Parameters<Body>, patchSize: Size]) => tf.Tensor;

const patchesBodies: Bodies<PatchesBody> = {
  name: "patchifyPixels",
  composed: (pixels, shape, mean, std, patchSize) =>
    patchify(normalizePixels(pixels, shape, mean, std), patchSize),
  kernel(pixels, [images, height, width, channels], mean, std, patchSize) {
    const layout = { grid: patchGrid([height, width], patchSize), patch: patchSize, channels };
    return patchifyPixelsKernel(pixels, images, layout, mean, std);
  },
};

/**
 * Uploads a batch, normalises it and cuts it into patches on the device: the same as `patchify` of `normalizePixels`,
 * without the images in between.
 * @param pixels N·H·W·C bytes or floats, channel fastest
 * @param patchSize rows and columns of a patch, which divide those of an image
 * @param mean per channel, in [0, 1]
 * @param std per channel, in [0, 1]
 * @returns [N, L, p·q·C] float32
 * @throws {RangeError} when pixels, means, deviations or the patch size do not fit the shape
 */
export function patchifyPixels(
  pixels: PixelValues,
  shape: ImageShape,
  patchSize: Size,
  mean: readonly number[],
  std: readonly number[],
): tf.Tensor3D {
  checkPixels(pixels, shape, mean, std);
  patchGrid([shape[1], shape[2]], patchSize);
  const body = shape[3] <= mostChannels ? chooseBody(patchesBodies) : patchesBodies.composed;
  return tf.tidy(() => body(pixels, shape, mean, std, patchSize)) as tf.Tensor3D;
}

function checkPixels(...[pixels, shape, mean, std]: Parameters<Body>): void {
  const channels = shape[3];
  if (pixels.length !== tf.util.sizeFromShape(shape) || mean.length !== channels || std.length !== channels) {
    throw new RangeError(
      `Pixels for [${shape}] need ${
        tf.util.sizeFromShape(shape)
      } values and ${channels} means and deviations; ` +
        `given ${pixels.length} values, ${mean.length} means, ${std.length} deviations`,
    );
  }
}

function composedBody(...[pixels, shape, mean, std]: Parameters<Body>): tf.Tensor4D {
  return tf.tidy(() => {
    const unit = pixels instanceof Float32Array
      ? tf.tensor4d(pixels, shape, "float32")
      : tf.div(tf.cast(tf.tensor4d(Int32Array.from(pixels), shape, "int32"), "float32"), 255);
    return tf.div(tf.sub(unit, tf.tensor1d([...mean])), tf.tensor1d([...std]));
  });
}

/** Traffic: one byte (or four, of floats) read and four written per value; three operations. Bytes travel four to a word. */
function kernelBody(...[pixels, shape, mean, std]: Parameters<Body>): tf.Tensor4D {
  return tf.tidy(() => {
    const statistics = tf.tensor1d([...mean, ...std]);
    const [x, y] = coverThreads(Math.ceil(pixels.length / 4), 64);
    const source = kernelSource(pixels, shape[3], x * 64);
    return launch(source, {
      inputs: [pixelTensor(pixels), statistics],
      outputs: [shape],
      workgroups: [x, y],
    })[0] as tf.Tensor4D;
  });
}

function kernelSource(pixels: PixelValues, channels: number, rowThreads: number): KernelSource {
  const kind = pixels instanceof Float32Array ? "values" : "bytes", values = pixels.length;
  return {
    name: `normalize_pixels_${kind}_${channels}_${values}_${rowThreads}`,
    code: () => `
@group(0) @binding(0) var<storage, read> words: array<${kind === "bytes" ? "u32" : "f32"}>;
@group(0) @binding(1) var<storage, read> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> normalized: array<f32>;
${readPixel(kind)}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let first = 4u * (id.x + id.y * ${rowThreads}u);
  for (var i = first; i < min(first + 4u, ${values}u); i++) {
    let channel = i % ${channels}u;
    normalized[i] = (pixel(i) - statistics[channel]) / statistics[channel + ${channels}u];
  }
}`,
  };
}
