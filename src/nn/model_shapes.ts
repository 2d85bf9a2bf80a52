/** The parameters of a model of the official code, by its sizes. */
import type { Architecture, StackSizes } from "./architecture.ts";

/** What a model has besides its encoder. */
export interface ModelParts {
  /** Rows of the head; null without one. */
  readonly classes: number | null;
  /** Norms after the last block. */
  readonly norms: readonly ("norm" | "fc_norm")[];
  /** Where mask tokens enter. */
  readonly maskTokens: "decoder" | "encoder";
}

type Entry = readonly [name: string, shape: readonly number[]];

/** Shapes by official name, in the official order. Without positions in the architecture theirs is unknown, and empty. */
export function modelShapes(
  { encoder, decoder, patchSize, channels, patches }: Architecture,
  { classes, norms, maskTokens }: ModelParts,
): Map<string, readonly number[]> {
  const { width } = encoder;
  const places = (wide: number) => patches === null ? [] : [1, 1 + patches, wide];
  const values = patchSize[0] * patchSize[1] * channels;
  return new Map<string, readonly number[]>([
    ["cls_token", [1, 1, width]],
    ["pos_embed", places(width)],
    ...(decoder
      ? [
        ["mask_token", [1, 1, maskTokens === "encoder" ? width : decoder.width]] as const,
        ["decoder_pos_embed", places(decoder.width)] as const,
      ]
      : []),
    ["patch_embed.proj.weight", [width, channels, ...patchSize]],
    ["patch_embed.proj.bias", [width]],
    ...blocks("blocks", encoder),
    ...norms.flatMap((name) => affine(name, width)),
    ...(decoder
      ? [
        ...linear("decoder_embed", width, decoder.width),
        ...blocks("decoder_blocks", decoder),
        ...affine("decoder_norm", decoder.width),
        ...linear("decoder_pred", decoder.width, values),
      ]
      : []),
    ...(classes === null ? [] : linear("head", width, classes)),
  ]);
}

function blocks(prefix: string, { width, depth, hidden }: StackSizes): Entry[] {
  return Array.from({ length: depth }, (_, i) => [
    ...affine(`${prefix}.${i}.norm1`, width),
    ...linear(`${prefix}.${i}.attn.qkv`, width, 3 * width),
    ...linear(`${prefix}.${i}.attn.proj`, width, width),
    ...affine(`${prefix}.${i}.norm2`, width),
    ...linear(`${prefix}.${i}.mlp.fc1`, width, hidden),
    ...linear(`${prefix}.${i}.mlp.fc2`, hidden, width),
  ]).flat();
}

function linear(name: string, inputs: number, outputs: number): Entry[] {
  return [[`${name}.weight`, [outputs, inputs]], [`${name}.bias`, [outputs]]];
}

function affine(name: string, width: number): Entry[] {
  return [[`${name}.weight`, [width]], [`${name}.bias`, [width]]];
}
