/** A vision transformer of two small blocks under the names of the official code, timm or Hugging Face, on the disk. */
import { type StoredTensor } from "../../src/formats/dtypes.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { Fixture } from "./fixtures.ts";

/** What `tinyVit` has besides the encoder. */
export interface TinyVitOptions {
  /** Rows of a head. */
  readonly classes?: number;
  /** Whether a norm after average pooling stands for the last norm. */
  readonly pools?: boolean;
}

/** The encoder of mae_a as the official code and timm have it. */
export async function tinyVit(
  { classes = 0, pools = false }: TinyVitOptions = {},
): Promise<Map<string, StoredTensor>> {
  const fixture = await Fixture.read("mae_a.safetensors");
  const state = new Map([...fixture.under("init/")].filter(([name]) => !/^(decoder_|mask_)/.test(name)));
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i) / 10);
  if (pools) {
    for (const part of ["weight", "bias"]) {
      state.set(`fc_norm.${part}`, state.get(`norm.${part}`) as StoredTensor);
      state.delete(`norm.${part}`);
    }
  }
  if (classes > 0) {
    state.set("head.weight", { dtype: "F32", shape: [classes, 48], data: values(classes * 48) });
    state.set("head.bias", { dtype: "F32", shape: [classes], data: values(classes) });
  }
  return state;
}

/** Writes tensors as a safetensors file. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, StoredTensor>): Promise<void> {
  await writeSafetensors(path, [...tensors].map(([name, tensor]) => ({ name, ...tensor })));
}

/** Writes a JSON file. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, JSON.stringify(value));
}
