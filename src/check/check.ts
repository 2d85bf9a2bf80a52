/** From the records of a scan to the report of a check: what there is, how much of it, and what stands out. */
import {
  type CheckReport,
  type ClassCount,
  type EqualImages,
  type Listed,
  REPORT_KIND,
  type SizedImage,
} from "./check_report.ts";
import type { CheckedSet } from "./check_set.ts";
import { type DuplicateGroup, findDuplicates, listDuplicates } from "./duplicates.ts";
import type { ImageFormat } from "../images/image_facts.ts";
import type { ProbeRecord } from "../data/probe.ts";
import type { ScanRecords } from "./scan_records.ts";
import { distributionOf, Firsts, Tally, Top } from "./tally.ts";

/** Broken images, and equal ones, that a report lists. */
const MOST_LISTED = 100_000;
/** Other images that it lists, of each kind. */
const MOST_ODD = 1000;
/** Images at each end. */
const MOST_EXTREME = 6;
/** Deviation in levels of 255 up to which an image counts as one of a single colour. */
export const UNIFORM_DEVIATION = 2;

const FORMAT_OF_ENDING: Readonly<Record<string, ImageFormat>> = {
  jpg: "JPEG",
  jpeg: "JPEG",
  png: "PNG",
  webp: "WebP",
  avif: "AVIF",
  gif: "GIF",
  tif: "TIFF",
  tiff: "TIFF",
};

/** A report, and where its images lie. */
export interface CheckFindings {
  /** The report. */
  readonly report: CheckReport;
  /** Numbers in the source of images that may be pictured, by their paths. */
  readonly samples: ReadonlyMap<string, number>;
}

/** Images that can be pictured, of each kind. */
const MOST_PICTURED = 60;

/** What the values of an image's pixels are, in words. */
function colorsOf({ colors, channels }: ProbeRecord): string {
  return colors === "bands" ? `${channels} band${channels === 1 ? "" : "s"}` : colors;
}

/** The same, where a palette's colours are colours like others. */
function kindOf(record: ProbeRecord): string {
  return record.colors === "palette" ? "RGB" : colorsOf(record);
}

/** Counts what can be counted in one pass. */
class Counts {
  readonly formats = new Tally();
  readonly colors = new Tally();
  readonly kinds = new Tally();
  readonly depths = new Tally();
  readonly reasons = new Tally();
  readonly broken = new Firsts(MOST_LISTED);
  readonly uniform = new Firsts(MOST_ODD);
  readonly misnamed = new Firsts(MOST_ODD);
  readonly smallest = new Top(MOST_EXTREME);
  readonly largest = new Top(MOST_EXTREME);
  readonly widest = new Top(MOST_EXTREME);
  readonly tallest = new Top(MOST_EXTREME);
  readonly #widths: Float64Array;
  readonly #heights: Float64Array;
  readable = 0;
  bytes = 0;
  animated = 0;
  turned = 0;

  constructor(private readonly set: CheckedSet, private readonly records: ScanRecords) {
    this.#widths = new Float64Array(records.length);
    this.#heights = new Float64Array(records.length);
    for (let sample = 0; sample < records.length; sample++) this.#add(sample);
  }

  #add(sample: number): void {
    const record = this.records.at(sample);
    if (!record.readable) {
      this.broken.add(sample);
      this.reasons.add((this.records.reasonOf(sample) ?? "").replace(/\d+/g, "…"));
      return;
    }
    const { width, height, format } = record;
    this.#widths[this.readable] = width;
    this.#heights[this.readable++] = height;
    this.bytes += record.bytes;
    if (record.animated) this.animated++;
    if (record.turned) this.turned++;
    this.formats.add(format);
    this.colors.add(colorsOf(record));
    this.kinds.add(kindOf(record));
    this.depths.add(String(record.depth));
    this.smallest.add(sample, -width * height);
    this.largest.add(sample, width * height);
    this.widest.add(sample, width / height);
    this.tallest.add(sample, height / width);
    if (record.deviation <= UNIFORM_DEVIATION) this.uniform.add(sample);
    const name = this.set.source.name(sample);
    const said = FORMAT_OF_ENDING[name.slice(name.lastIndexOf(".") + 1).toLowerCase()];
    if (said !== undefined && said !== format) this.misnamed.add(sample);
  }

  /** How sizes are spread; null where there are none. */
  sizes(): CheckReport["sizes"] {
    const count = this.readable;
    if (count === 0) return null;
    const widths = this.#widths.subarray(0, count), heights = this.#heights.subarray(0, count);
    const aspects = widths.map((width, i) => width / heights[i]);
    const bins = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const bin = Math.floor(Math.log2(Math.min(widths[i], heights[i])));
      bins.set(bin, (bins.get(bin) ?? 0) + 1);
    }
    const first = Math.min(...bins.keys()), last = Math.max(...bins.keys());
    return {
      width: distributionOf(widths),
      height: distributionOf(heights),
      aspect: distributionOf(aspects),
      shorter_side: Array.from({ length: last - first + 1 }, (_, i) => ({
        from: 2 ** (first + i),
        to: 2 ** (first + i + 1),
        images: bins.get(first + i) ?? 0,
      })),
    };
  }
}

/** Finds equal images, and says of each set whether it reaches over parts or classes. */
function duplicatesOf(
  set: CheckedSet,
  records: ScanRecords,
): { summary: Omit<CheckReport["duplicates"], "files">; groups: DuplicateGroup[]; crossing: Uint8Array } {
  const found = findDuplicates(records);
  const crossing = new Uint8Array(records.length);
  for (const [sample, first] of found.first.entries()) {
    if (set.partOf[sample] !== set.partOf[first]) crossing[first] |= ACROSS_PARTS;
    if (set.labels[sample] !== set.labels[first]) crossing[first] |= ACROSS_CLASSES;
  }
  const grave = listDuplicates(found, MOST_LISTED, (first) => crossing[first] !== 0);
  const left = MOST_LISTED - grave.reduce((sum, { samples }) => sum + samples.length, 0);
  const groups = grave.concat(listDuplicates(found, left, (first) => crossing[first] === 0));
  const count = (flag: number) => crossing.reduce((sum, flags) => sum + ((flags & flag) === 0 ? 0 : 1), 0);
  return {
    summary: {
      groups: found.groups,
      images: found.copies,
      across_parts: count(ACROSS_PARTS),
      across_classes: count(ACROSS_CLASSES),
    },
    groups,
    crossing,
  };
}

const ACROSS_PARTS = 1, ACROSS_CLASSES = 2;

/** How images are spread over classes and parts. */
function classesOf({ classes, labels, parts, partOf }: CheckedSet): CheckReport["classes"] {
  if (classes.length === 0) return null;
  const counts = classes.map(() => parts.map(() => 0));
  let unlabelled = 0;
  for (const [sample, label] of labels.entries()) {
    if (label < 0) unlabelled++;
    else counts[label][partOf[sample]]++;
  }
  const list: ClassCount[] = classes.map((name, number) => ({
    name,
    images: counts[number].reduce((sum, count) => sum + count, 0),
    parts: counts[number],
  }));
  const sizes = list.map(({ images }) => images);
  const imbalance = sizes.reduce((a, b) => Math.max(a, b)) / sizes.reduce((a, b) => Math.min(a, b));
  const isLabelled = parts.map((_, part) => list.some(({ parts: own }) => own[part] > 0));
  const missing = list.flatMap(({ name, parts: own }) =>
    own.flatMap((images, part) => images === 0 && isLabelled[part] ? [{ name, part: parts[part] }] : [])
  );
  return { list, unlabelled, imbalance: +imbalance.toFixed(2), missing: missing.slice(0, MOST_ODD) };
}

/** Images whose pixels have other values than most. */
function oddColors(records: ScanRecords, usual: string | undefined): Firsts {
  const odd = new Firsts(MOST_ODD);
  for (let sample = 0; sample < records.length; sample++) {
    const record = records.at(sample);
    if (record.readable && kindOf(record) !== usual) odd.add(sample);
  }
  return odd;
}

/** Names images, and remembers the numbers of the first ones. */
class Namer {
  readonly samples = new Map<string, number>();

  constructor(private readonly set: CheckedSet, private readonly records: ScanRecords) {}

  name(sample: number): string {
    return this.set.source.path(sample);
  }

  /** Images that may be pictured. */
  listed<Facts>(found: Firsts, factsOf: (record: ProbeRecord, sample: number) => Facts): Listed<
    { path: string } & Facts
  > {
    return {
      images: found.count,
      files: found.items.map((sample, i) => {
        const path = this.name(sample);
        if (i < MOST_PICTURED) this.samples.set(path, sample);
        return { path, ...factsOf(this.records.at(sample), sample) };
      }),
    };
  }

  sized(top: Top): SizedImage[] {
    return top.items.map((sample) => {
      const { width, height } = this.records.at(sample);
      const path = this.name(sample);
      this.samples.set(path, sample);
      return { path, width, height };
    });
  }

  equal({ samples, count }: DuplicateGroup, flags: number, place: number): EqualImages {
    if (place < MOST_PICTURED) this.samples.set(this.name(samples[0]), samples[0]);
    return {
      images: count,
      paths: samples.map((sample) => this.name(sample)),
      across_parts: (flags & ACROSS_PARTS) !== 0,
      across_classes: (flags & ACROSS_CLASSES) !== 0,
    };
  }
}

/** Puts together what a complete scan has found out. */
export function summarize(set: CheckedSet, records: ScanRecords, sources: readonly string[]): CheckFindings {
  const counts = new Counts(set, records);
  const { summary, groups, crossing } = duplicatesOf(set, records);
  const odd = oddColors(records, counts.kinds.entries[0]?.[0]);
  const partImages = set.parts.map(() => 0);
  for (const part of set.partOf) partImages[part]++;
  const namer = new Namer(set, records);
  const report: CheckReport = {
    kind: REPORT_KIND,
    sources,
    images: set.source.length,
    readable: counts.readable,
    bytes: counts.bytes,
    others: set.source.others,
    parts: set.parts.map((name, part) => ({ name, images: partImages[part] })),
    formats: counts.formats.counts,
    colors: counts.colors.counts,
    depths: counts.depths.counts,
    animated: counts.animated,
    turned: counts.turned,
    sizes: counts.sizes(),
    extremes: {
      smallest: namer.sized(counts.smallest),
      largest: namer.sized(counts.largest),
      widest: namer.sized(counts.widest),
      tallest: namer.sized(counts.tallest),
    },
    broken: {
      reasons: counts.reasons.entries.map(([reason, images]) => ({ reason, images })),
      ...namer.listed(counts.broken, (_, sample) => ({ reason: records.reasonOf(sample) ?? "" })),
    },
    misnamed: namer.listed(counts.misnamed, ({ format }) => ({ format })),
    duplicates: {
      ...summary,
      files: groups.map((group, i) => namer.equal(group, crossing[group.samples[0]], i)),
    },
    uniform: namer.listed(counts.uniform, ({ deviation }) => ({ deviation: +deviation.toFixed(2) })),
    odd_colors: namer.listed(odd, ({ colors, channels }) => ({ colors, channels })),
    classes: classesOf(set),
  };
  return { report, samples: namer.samples };
}
