/** Statistics of an encoder's layers over several images, and the charts of them. */
import type { EncoderLayer } from "../../models/inspect_encoder.ts";
import type { TokenStatistics } from "../../models/token_statistics.ts";
import type { DepthChart } from "../../report/layer_curves.ts";

/** Statistics of the heads of one block, a value per head, means over images. */
export interface HeadStatistics {
  /** Mean attention distance of the patches in pixels. */
  readonly distance: readonly number[];
  /** Entropy of a patch token's attention, in nats. */
  readonly entropy: readonly number[];
  /** Entropy of the class token's attention, in nats. */
  readonly classEntropy: readonly number[];
  /** Share of the class token's attention that it gives itself. */
  readonly classSelf: readonly number[];
}

/** Statistics of one layer, means over images. */
export interface LayerStatistics extends TokenStatistics {
  /** 0 is the embedding, k the k-th block. */
  readonly block: number;
  /** Statistics of its heads; null for the embedding. */
  readonly attention: HeadStatistics | null;
}

/** Mean of numbers; NaN where there is none. */
function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Means over images of every layer's statistics. `images` holds the layers of each image, at least one. */
export function meanStatistics(images: readonly (readonly EncoderLayer[])[]): LayerStatistics[] {
  return images[0].map(({ attention }, block): LayerStatistics => {
    const tokens = images.map((layers) => layers[block].tokens);
    const mean = (name: keyof TokenStatistics) => meanOf(tokens.map((statistics) => statistics[name]));
    return {
      block,
      effectiveRank: mean("effectiveRank"),
      patchCosine: mean("patchCosine"),
      classCosine: mean("classCosine"),
      patchNorm: mean("patchNorm"),
      classNorm: mean("classNorm"),
      attention: attention && headStatistics(images.map((layers) => layers[block])),
    };
  });
}

function headStatistics(layers: readonly EncoderLayer[]): HeadStatistics {
  const blocks = layers.flatMap(({ attention }) => attention ?? []);
  const byHead = (rows: readonly (readonly number[])[]) =>
    rows[0].map((_, head) => meanOf(rows.map((row) => row[head])));
  return {
    distance: byHead(blocks.map(({ distance }) => distance)),
    entropy: byHead(blocks.map(({ entropy }) => entropy)),
    classEntropy: byHead(blocks.map(({ classEntropy }) => classEntropy)),
    classSelf: byHead(blocks.map(({ classToken }) => classToken.map(([itself]) => itself))),
  };
}

/**
 * The charts of `statistics.png`.
 * @param layers as `meanStatistics` gives them
 * @param sizes patches L and width D
 */
export function chartsOf(
  layers: readonly LayerStatistics[],
  { patches, width }: { readonly patches: number; readonly width: number },
): DepthChart[] {
  const tokens = (name: keyof TokenStatistics) => layers.map((layer) => layer[name]);
  const heads = (name: keyof HeadStatistics) => layers.map(({ attention }) => attention?.[name] ?? []);
  const [most, largest] = [Math.min(patches, width), Math.log(1 + patches)];
  return [
    {
      label: `effective rank of the patch tokens, ${most} at most`,
      lines: { rank: tokens("effectiveRank") },
      reach: [0],
      limit: most,
    },
    {
      label: "cosine similarity",
      lines: { "two patches": tokens("patchCosine"), "patch and class token": tokens("classCosine") },
      reach: [0, 1],
    },
    {
      label: "norm",
      lines: { "patch tokens": tokens("patchNorm"), "class token": tokens("classNorm") },
      reach: [0],
    },
    {
      label: "attention distance in pixels; pale: each head",
      lines: { distance: heads("distance") },
      reach: [0],
    },
    {
      label: `attention entropy of the patches, ${largest.toFixed(2)} nats at most`,
      lines: { entropy: heads("entropy") },
      reach: [0],
      limit: largest,
    },
    {
      label: "attention entropy of the class token",
      lines: { entropy: heads("classEntropy") },
      reach: [0],
      limit: largest,
    },
  ];
}
