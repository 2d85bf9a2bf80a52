/** Images with the same bytes, in memory of some 13 bytes for each image. */
import type { ScanRecords } from "./scan_records.ts";

/** A set of equal images. */
export interface DuplicateGroup {
  /** Their numbers, ascending. */
  readonly samples: readonly number[];
  /** How many there are; more than `samples` where not all are listed. */
  readonly count: number;
}

/** Which images are equal. */
export interface Duplicates {
  /** Sets of equal images. */
  readonly groups: number;
  /** Images that are equal to an earlier one. */
  readonly copies: number;
  /** For each image the first that is equal to it, most often itself. */
  readonly first: Uint32Array;
}

/** Finds the images that are equal, by the hashes of their bytes; broken ones are equal to none. */
export function findDuplicates(records: ScanRecords): Duplicates {
  const { length } = records;
  const first = new Uint32Array(length);
  const hasCopies = new Uint8Array(length);
  // A table of samples by their hash, empty places holding 0; never more than half full.
  const mask = 2 ** Math.ceil(Math.log2(2 * length + 2)) - 1;
  const table = new Uint32Array(mask + 1);
  let groups = 0, copies = 0;
  for (let sample = 0; sample < length; sample++) {
    first[sample] = sample;
    if (!records.at(sample).readable) continue;
    let place = records.hashWord(sample, 0) & mask;
    while (table[place] !== 0 && !records.areEqual(table[place] - 1, sample)) place = (place + 1) & mask;
    if (table[place] === 0) {
      table[place] = sample + 1;
      continue;
    }
    const original = table[place] - 1;
    first[sample] = original;
    copies++;
    if (hasCopies[original] === 0) groups++;
    hasCopies[original] = 1;
  }
  return { groups, copies, first };
}

/**
 * Sets of equal images in the order of their first ones.
 * @param most images listed, over all sets; the others are only counted, and left out with their set where none fits
 * @param isWanted which sets, by their first image
 */
export function listDuplicates(
  { first }: Duplicates,
  most: number,
  isWanted: (first: number) => boolean,
): DuplicateGroup[] {
  const groups = new Map<number, { samples: number[]; count: number }>();
  let listed = 0;
  for (let sample = 0; sample < first.length; sample++) {
    if (first[sample] === sample || !isWanted(first[sample])) continue;
    let group = groups.get(first[sample]);
    if (group === undefined) {
      if (listed + 2 > most) continue;
      listed++;
      group = { samples: [first[sample]], count: 1 };
      groups.set(first[sample], group);
    }
    group.count++;
    if (listed < most) {
      group.samples.push(sample);
      listed++;
    }
  }
  return [...groups.values()].sort((a, b) => a.samples[0] - b.samples[0]);
}
