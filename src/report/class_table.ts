/** How a classifier does on each class, from its confusion matrix. */

/** One class. */
export interface ClassRow {
  /** Its name. */
  readonly name: string;
  /** Images of it. */
  readonly images: number;
  /** Share of them that were taken for it; null where there are none. */
  readonly recall: number | null;
  /** Share of the images taken for it that are of it; null where there are none. */
  readonly precision: number | null;
  /** The class it is most often mistaken for, and how often; null where it never is. */
  readonly confusion: { readonly name: string; readonly images: number } | null;
}

/**
 * A row for each class, in order.
 * @param confusion how many images of class t were taken for class p, at t · classes + p
 */
export function classTable(confusion: ArrayLike<number>, classes: readonly string[]): ClassRow[] {
  const count = classes.length;
  const share = (part: number, whole: number) => whole === 0 ? null : part / whole;
  return classes.map((name, own) => {
    let [images, taken, worst] = [0, 0, -1];
    for (let other = 0; other < count; other++) {
      const mistaken = confusion[own * count + other];
      images += mistaken;
      taken += confusion[other * count + own];
      const isWorse = worst < 0 || mistaken > confusion[own * count + worst];
      if (other !== own && mistaken > 0 && isWorse) worst = other;
    }
    const right = confusion[own * count + own];
    return {
      name,
      images,
      recall: share(right, images),
      precision: share(right, taken),
      confusion: worst < 0 ? null : { name: classes[worst], images: confusion[own * count + worst] },
    };
  });
}
