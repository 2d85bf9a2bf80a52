/** Which parameters are decayed, as the official pre-training groups them. */

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
