/**
 * Copies of tensors in textures, which software adapters read several times faster than buffers. Commands run in order, so
 * one texture per size and binding serves every launch: the next copy into it waits for the kernel that reads it.
 */

/** Width of the texture. */
export const texelsPerRow = 1024;

/** What is copied. */
export interface TextureSource {
  /** Where it is. */
  readonly buffer: GPUBuffer;
  /** First byte. */
  readonly offset: number;
  /** Number of values, a multiple of 4. */
  readonly count: number;
  /** 4, or 2 in half precision. */
  readonly bytesPerValue: number;
  /** Place among the kernel's bindings: two bindings of one kernel need two textures. */
  readonly binding: number;
}

interface Textures {
  readonly known: Map<string, GPUTexture>;
  bytes: number;
}

const textures = new WeakMap<GPUDevice, Textures>();

/** Bytes of all textures of a device; they are kept for the next launch of the same size. */
export function textureBytes(device: GPUDevice): number {
  return textures.get(device)?.bytes ?? 0;
}

/** Records the copy; the view is what to bind. Equal sizes share a texture, so that what lies beyond the end stays 0. */
export function copyToTexture(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  source: TextureSource,
): GPUTextureView {
  let made = textures.get(device);
  if (!made) textures.set(device, made = { known: new Map(), bytes: 0 });
  const { count, bytesPerValue, binding } = source;
  const key = `${binding}_${count}_${bytesPerValue}`;
  let texture = made.known.get(key);
  if (!texture) {
    const height = Math.ceil(count / 4 / texelsPerRow);
    texture = device.createTexture({
      size: [texelsPerRow, height],
      format: bytesPerValue === 2 ? "rgba16float" : "rgba32float",
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
    made.known.set(key, texture);
    made.bytes += texelsPerRow * height * 4 * bytesPerValue;
  }
  const { buffer, offset } = source;
  const rows = Math.floor(count / 4 / texelsPerRow);
  const rest = count / 4 % texelsPerRow;
  const bytesPerRow = texelsPerRow * 4 * bytesPerValue;
  if (rows > 0) {
    encoder.copyBufferToTexture({ buffer, offset, bytesPerRow }, { texture }, [texelsPerRow, rows]);
  }
  if (rest > 0) {
    const from = { buffer, offset: offset + rows * bytesPerRow, bytesPerRow };
    encoder.copyBufferToTexture(from, { texture, origin: { x: 0, y: rows } }, [rest, 1]);
  }
  return texture.createView();
}
