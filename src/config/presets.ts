/** The encoders that have a name: ViT-Tiny and ViT-Small of Touvron et al. 2021 (DeiT), the others of Dosovitskiy et al. 2021. */

import type { TransformerConfig } from "./types.ts";

/** An encoder with a name, and the patch side it is published with. */
export interface Preset extends TransformerConfig {
  /** Side of the square patches in pixels. */
  readonly patchSize: number;
}

/** The named encoders. */
export const presets: Readonly<Record<string, Preset>> = {
  vit_tiny: { width: 192, depth: 12, heads: 3, mlpRatio: 4, patchSize: 16 },
  vit_small: { width: 384, depth: 12, heads: 6, mlpRatio: 4, patchSize: 16 },
  vit_base: { width: 768, depth: 12, heads: 12, mlpRatio: 4, patchSize: 16 },
  vit_large: { width: 1024, depth: 24, heads: 16, mlpRatio: 4, patchSize: 16 },
  vit_huge: { width: 1280, depth: 32, heads: 16, mlpRatio: 4, patchSize: 14 },
};

/** The name of the preset with exactly these sizes, or `"custom"`. */
export function presetNameOf(encoder: TransformerConfig): string {
  const match = Object.entries(presets).find(([, preset]) =>
    preset.width === encoder.width && preset.depth === encoder.depth &&
    preset.heads === encoder.heads && preset.mlpRatio === encoder.mlpRatio
  );
  return match?.[0] ?? "custom";
}
