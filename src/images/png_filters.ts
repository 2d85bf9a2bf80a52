/** Undoing PNG's row filters (W3C PNG, third edition, section 9). */
import { BrokenImageError } from "./image.ts";

/** Restores one row in place. `above` is the restored row above (zeros for the first), `reach` the bytes of a pixel. */
export function unfilterRow(filter: number, row: Uint8Array, above: Uint8Array, reach: number): void {
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = reach; i < row.length; i++) row[i] += row[i - reach];
      return;
    case 2:
      for (let i = 0; i < row.length; i++) row[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < reach && i < row.length; i++) row[i] += above[i] >> 1;
      for (let i = reach; i < row.length; i++) row[i] += (row[i - reach] + above[i]) >> 1;
      return;
    case 4:
      for (let i = 0; i < reach && i < row.length; i++) row[i] += above[i];
      for (let i = reach; i < row.length; i++) row[i] += paeth(row[i - reach], above[i], above[i - reach]);
      return;
    default:
      throw new BrokenImageError(`damaged PNG: a row has filter ${filter}, which does not exist`);
  }
}

/** Of left, above and above-left the one nearest to left + above − above-left. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}
