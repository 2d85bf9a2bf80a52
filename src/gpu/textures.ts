/**
 * Copies of tensors in textures, which software adapters read several times faster than buffers. Such a copy runs on one
 * thread of the driver while the others wait, so what a texture still holds from an earlier launch is not copied again:
 * the two products of a linear layer's way back share the gradient, the two kernels of attention's share everything.
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
  /** Values that the texture is to have room for, a multiple of 4. Those behind the first `count` are 0. */
  readonly room: number;
  /** 4, or 2 in half precision. */
  readonly bytesPerValue: number;
}

/** A texture and what it holds. Commands run in order: the next copy into it waits for the kernels that read it. */
interface Slot {
  readonly texture: GPUTexture;
  readonly view: GPUTextureView;
  buffer: GPUBuffer | null;
  offset: number;
  version: number;
  /** Values from the first on beyond which it holds zeros. */
  filled: number;
  /** The launch that read it last. */
  launch: number;
}

/** How often a buffer has been given new contents, as far as this process knows. */
const versions = new WeakMap<GPUBuffer, number>();

/**
 * Says that a buffer is written. Whoever takes one from the pool writes it, and so does a kernel in place or a copy; whatever
 * else this program may one day write to must say so too.
 */
export function contentsChange(buffer: GPUBuffer): void {
  versions.set(buffer, versionOf(buffer) + 1);
}

function versionOf(buffer: GPUBuffer): number {
  return versions.get(buffer) ?? 0;
}

/** The textures of one device, kept for the launches to come. */
class Textures {
  readonly device: GPUDevice;
  /** Bytes of all of them; they only grow. */
  bytes = 0;
  readonly #slots = new Map<string, Slot[]>();
  #zeros: GPUBuffer | null = null;
  #launch = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Whatever comes next is copied. */
  forget(): void {
    for (const slots of this.#slots.values()) for (const slot of slots) slot.buffer = null;
  }

  /** One view per source, for one launch: different sources lie in different textures. */
  viewsOf(sources: readonly TextureSource[], encoder: () => GPUCommandEncoder): GPUTextureView[] {
    this.#launch++;
    // First what is there, so that no copy takes the place of what the same launch could have used.
    const found = sources.map((source) => this.#holding(source));
    return sources.map((source, i) => {
      const slot = found[i] ?? this.#holding(source) ?? this.#fill(source, encoder());
      return slot.view;
    });
  }

  #holding(source: TextureSource): Slot | undefined {
    const { buffer, offset } = source;
    const slot = this.#slotsOf(source).find((slot) =>
      slot.buffer === buffer && slot.offset === offset && slot.version === versionOf(buffer)
    );
    if (slot) slot.launch = this.#launch;
    return slot;
  }

  /** Equal sizes share textures, so that what lies beyond the end stays 0. */
  #slotsOf({ room, bytesPerValue }: Pick<TextureSource, "room" | "bytesPerValue">): Slot[] {
    const key = `${room}_${bytesPerValue}`;
    let slots = this.#slots.get(key);
    if (!slots) this.#slots.set(key, slots = []);
    return slots;
  }

  /** Copies into the texture that was read longest ago, or into a new one where this launch reads all there are. */
  #fill(source: TextureSource, encoder: GPUCommandEncoder): Slot {
    const slots = this.#slotsOf(source);
    const oldest = slots
      .filter(({ launch }) => launch < this.#launch)
      .reduce<Slot | undefined>((a, b) => a && a.launch < b.launch ? a : b, undefined);
    const slot = oldest ?? this.#make(source);
    if (!oldest) slots.push(slot);
    copy(encoder, source, slot.texture);
    if (slot.filled > source.count) this.#clear(encoder, source, slot);
    slot.filled = source.count;
    slot.buffer = source.buffer;
    slot.offset = source.offset;
    slot.version = versionOf(source.buffer);
    slot.launch = this.#launch;
    return slot;
  }

  /** Writes zeros from the end of what was copied to the end of what the texture held before. */
  #clear(
    encoder: GPUCommandEncoder,
    { count, bytesPerValue }: TextureSource,
    { texture, filled }: Slot,
  ): void {
    const bytesPerRow = texelsPerRow * 4 * bytesPerValue;
    const [x, y] = [count / 4 % texelsPerRow, Math.floor(count / 4 / texelsPerRow)];
    const rows = Math.ceil(filled / 4 / texelsPerRow) - y;
    const buffer = this.#zerosOf(rows * bytesPerRow);
    encoder.copyBufferToTexture({ buffer, bytesPerRow }, { texture, origin: { x, y } }, [
      texelsPerRow - x,
      1,
    ]);
    if (rows === 1) return;
    const below = { texture, origin: { x: 0, y: y + 1 } };
    encoder.copyBufferToTexture({ buffer, bytesPerRow }, below, [texelsPerRow, rows - 1]);
  }

  /** A buffer of so many zeros at least; a smaller one lives on for as long as commands use it. */
  #zerosOf(bytes: number): GPUBuffer {
    if (!this.#zeros || this.#zeros.size < bytes) {
      this.bytes += bytes - (this.#zeros?.size ?? 0);
      this.#zeros = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_SRC });
    }
    return this.#zeros;
  }

  #make({ room, bytesPerValue }: TextureSource): Slot {
    const height = Math.ceil(room / 4 / texelsPerRow);
    const texture = this.device.createTexture({
      size: [texelsPerRow, height],
      format: bytesPerValue === 2 ? "rgba16float" : "rgba32float",
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
    this.bytes += texelsPerRow * height * 4 * bytesPerValue;
    return { texture, view: texture.createView(), buffer: null, offset: 0, version: 0, filled: 0, launch: 0 };
  }
}

function copy(encoder: GPUCommandEncoder, source: TextureSource, texture: GPUTexture): void {
  const { buffer, offset, count, bytesPerValue } = source;
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
}

const textures = new WeakMap<GPUDevice, Textures>();

/** Bytes of all textures of a device; they are kept for the next launch of the same size. */
export function textureBytes(device: GPUDevice): number {
  return textures.get(device)?.bytes ?? 0;
}

/** Makes the next launches copy all that they read, as in a step where it is new: for measuring them again and again. */
export function forgetCopies(device: GPUDevice): void {
  textures.get(device)?.forget();
}

/**
 * Records the copies that one launch needs, and returns what to bind, source by source.
 * @param encoder called before each copy; no pass is open in what it returns
 */
export function copiedToTextures(
  device: GPUDevice,
  sources: readonly TextureSource[],
  encoder: () => GPUCommandEncoder,
): GPUTextureView[] {
  let made = textures.get(device);
  if (!made) textures.set(device, made = new Textures(device));
  return made.viewsOf(sources, encoder);
}
