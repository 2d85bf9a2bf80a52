/** Golden numbers of the official code; where they come from stands in tests/fixtures/README.md. */
import type { tf as Tf } from "../../src/deps/tfjs.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { type StoredTensor, toFloat32 } from "../../src/formats/dtypes.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";

/** Path of a file in tests/fixtures. */
export function fixturePath(name: string): string {
  return decodeURIComponent(new URL(`../fixtures/${name}`, import.meta.url).pathname);
}

/** Tensors of one fixture. */
export class Fixture {
  constructor(readonly name: string, readonly tensors: Map<string, StoredTensor>) {}

  static async read(name: string): Promise<Fixture> {
    return new Fixture(name, await readSafetensors(fixturePath(name)));
  }

  get(key: string): StoredTensor {
    const tensor = this.tensors.get(key);
    if (!tensor) throw new Error(`${this.name} has no ${key}`);
    return tensor;
  }

  has(key: string): boolean {
    return this.tensors.has(key);
  }

  values(key: string): Float32Array {
    return toFloat32(this.get(key));
  }

  tensor(key: string): Tf.Tensor {
    return tf.tensor(this.values(key), [...this.get(key).shape]);
  }

  /** Tensors whose names start with the prefix, under the rest of their names. */
  under(prefix: string): Map<string, StoredTensor> {
    return new Map(
      [...this.tensors].filter(([name]) => name.startsWith(prefix)).map((
        [name, t],
      ) => [name.slice(prefix.length), t]),
    );
  }
}

/** The JSON beside a fixture. */
export async function fixtureJson(name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(fixturePath(name)));
}

/** The key third of a qkv bias has a gradient of zero but for rounding, which AdamW blows up: see the README. */
export function withoutKeyBias(name: string, values: Float32Array): Float32Array {
  if (!name.endsWith("attn.qkv.bias")) return values;
  const third = values.length / 3;
  return Float32Array.from([...values.slice(0, third), ...values.slice(2 * third)]);
}
