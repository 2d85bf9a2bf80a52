/** Which parameters are decayed and how fast they learn, as the official pre-training and fine-tuning group them. */

/** Settings shared by the parameters of one group. */
export interface ParameterGroup {
  /** Decoupled weight decay. */
  readonly weightDecay: number;
  /** Multiplies the learning rate. */
  readonly lrScale: number;
  /** The parameters. */
  readonly names: readonly string[];
}

/**
 * Weight decay for everything but 1-D parameters and biases; class and mask tokens are decayed (the official
 * pre-training calls timm's `add_weight_decay`, which only looks at shape and name).
 */
export function pretrainGroups(
  parameters: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  weightDecay: number,
): ParameterGroup[] {
  const decayed: string[] = [];
  const kept: string[] = [];
  for (const [name, { shape }] of parameters) {
    (shape.length <= 1 || name.endsWith(".bias") ? kept : decayed).push(name);
  }
  return [
    { weightDecay: 0, lrScale: 1, names: kept },
    { weightDecay, lrScale: 1, names: decayed },
  ];
}

/** How fine-tuning spreads learning rate and decay over a vision transformer. */
export interface LayerDecay {
  /** Weight decay of everything that is decayed. */
  readonly weightDecay: number;
  /** What the learning rate is multiplied with from one layer to the one before it; 1 for the same everywhere. */
  readonly layerDecay: number;
  /** Blocks of the whole encoder, frozen ones included. */
  readonly depth: number;
}

/**
 * The official fine-tuning's groups (BEiT's layer-wise learning-rate decay): class token, positions and patch embedding
 * are layer 0, block i is layer i + 1, norms after the blocks and the head the last; a layer's learning rate is multiplied
 * with layerDecay^(last − layer). 1-D parameters, class token and positions are not decayed.
 * @param parameters trainable parameters by official name
 */
export function layerDecayGroups(
  parameters: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  { weightDecay, layerDecay, depth }: LayerDecay,
): ParameterGroup[] {
  const groups = new Map<string, { weightDecay: number; lrScale: number; names: string[] }>();
  for (const [name, { shape }] of parameters) {
    const layer = layerOf(name, depth);
    const kept = shape.length <= 1 || name === "cls_token" || name === "pos_embed";
    const key = `${layer} ${kept}`;
    let group = groups.get(key);
    if (!group) {
      const lrScale = layerDecay ** (depth + 1 - layer);
      groups.set(key, group = { weightDecay: kept ? 0 : weightDecay, lrScale, names: [] });
    }
    group.names.push(name);
  }
  return [...groups.values()];
}

function layerOf(name: string, depth: number): number {
  if (name === "cls_token" || name === "pos_embed" || name.startsWith("patch_embed.")) return 0;
  const block = /^blocks\.(\d+)\./.exec(name);
  return block ? Number(block[1]) + 1 : depth + 1;
}
