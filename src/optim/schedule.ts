/** The learning rate over training, as in the official code: set per iteration at the fractional epoch. */

/** A schedule's settings. */
export interface Schedule {
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Learning rate at the end. */
  readonly minLearningRate: number;
  /** Epochs, fractions allowed, in which the rate rises from 0. */
  readonly warmupEpochs: number;
  /** Epochs in all. */
  readonly epochs: number;
}

/** Linear scaling rule: base rate × effective batch / 256. */
export function scaledLearningRate(baseRate: number, effectiveBatch: number): number {
  return baseRate * effectiveBatch / 256;
}

/** Linear warm-up from 0, then half a cosine down to the minimum. A group's scale multiplies the result. */
export function learningRateAt(epoch: number, schedule: Schedule): number {
  const { learningRate, minLearningRate, warmupEpochs, epochs } = schedule;
  if (epoch < warmupEpochs) return learningRate * epoch / warmupEpochs;
  const progress = (epoch - warmupEpochs) / (epochs - warmupEpochs);
  return minLearningRate + (learningRate - minLearningRate) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
