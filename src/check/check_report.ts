/** The report of a check, as it stands in `check.json`. */
import type { Colors, ImageFormat } from "../images/image_facts.ts";

/** Names the form of a report. */
export const REPORT_KIND = "mae-data-check-1";

/** How a number is spread over the readable images. */
export interface Distribution {
  /** The smallest. */
  readonly min: number;
  /** A twentieth is smaller. */
  readonly p5: number;
  /** Half are smaller. */
  readonly median: number;
  /** A twentieth is larger. */
  readonly p95: number;
  /** The largest. */
  readonly max: number;
}

/** Images of which only so many are listed. */
export interface Listed<File> {
  /** How many there are. */
  readonly images: number;
  /** The first of them. */
  readonly files: readonly File[];
}

/** An image by its path, or what else the source calls it. */
export interface NamedImage {
  /** The path. */
  readonly path: string;
}

/** An image and its size. */
export interface SizedImage extends NamedImage {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** Images with the same bytes. */
export interface EqualImages {
  /** How many there are. */
  readonly images: number;
  /** Their paths, or the first of them. */
  readonly paths: readonly string[];
  /** Whether they lie in several parts of the data set, such as training and validation. */
  readonly across_parts: boolean;
  /** Whether they have several labels. */
  readonly across_classes: boolean;
}

/** A class. */
export interface ClassCount {
  /** Its name. */
  readonly name: string;
  /** Its images, broken ones included. */
  readonly images: number;
  /** Its images in each part, in the order of `parts`. */
  readonly parts: readonly number[];
}

/** What was found out about a data set. */
export interface CheckReport {
  /** Always {@linkcode REPORT_KIND}. */
  readonly kind: typeof REPORT_KIND;
  /** What was checked, as it was given. */
  readonly sources: readonly string[];
  /** Images. */
  readonly images: number;
  /** Those that could be decoded. */
  readonly readable: number;
  /** Bytes of these. */
  readonly bytes: number;
  /** Files that were passed over for their endings. */
  readonly others: number;
  /** Parts of the data set, such as training and validation. */
  readonly parts: readonly { readonly name: string; readonly images: number }[];
  /** Readable images by format, most frequent first. */
  readonly formats: Readonly<Record<string, number>>;
  /** By what the values of a pixel mean: `RGB`, `gray`, `5 bands`. */
  readonly colors: Readonly<Record<string, number>>;
  /** By bits of a value. */
  readonly depths: Readonly<Record<string, number>>;
  /** Images with further frames, of which the first is read. */
  readonly animated: number;
  /** Images that an orientation turns or mirrors. */
  readonly turned: number;
  /** Sizes in pixels, as a viewer shows the images; null where none is readable. */
  readonly sizes: {
    readonly width: Distribution;
    readonly height: Distribution;
    /** Width over height. */
    readonly aspect: Distribution;
    /** Images by their shorter side: from `from` to below `to`. */
    readonly shorter_side: readonly { readonly from: number; readonly to: number; readonly images: number }[];
  } | null;
  /** A few images at each end, the most extreme first. */
  readonly extremes: {
    /** Fewest pixels. */
    readonly smallest: readonly SizedImage[];
    /** Most pixels. */
    readonly largest: readonly SizedImage[];
    /** Largest width over height. */
    readonly widest: readonly SizedImage[];
    /** Smallest width over height. */
    readonly tallest: readonly SizedImage[];
  };
  /** Images that cannot be read, or only in part. */
  readonly broken: Listed<NamedImage & { readonly reason: string }> & {
    /** Reasons without their numbers, most frequent first. */
    readonly reasons: readonly { readonly reason: string; readonly images: number }[];
  };
  /** Images whose names end as those of another format do. */
  readonly misnamed: Listed<NamedImage & { readonly format: ImageFormat }>;
  /** Images with the same bytes as others. */
  readonly duplicates: {
    /** Sets of equal images. */
    readonly groups: number;
    /** Images that are equal to an earlier one. */
    readonly images: number;
    /** Sets that lie in several parts of the data set. */
    readonly across_parts: number;
    /** Sets with several labels. */
    readonly across_classes: number;
    /** The sets, those across parts or classes first. */
    readonly files: readonly EqualImages[];
  };
  /** Images of nearly one colour: none deviates from its mean by more than two levels of 255. */
  readonly uniform: Listed<NamedImage & { readonly deviation: number }>;
  /** Images whose pixels have other values than most. */
  readonly odd_colors: Listed<NamedImage & { readonly colors: Colors; readonly channels: number }>;
  /** Classes; null where there are none. */
  readonly classes: {
    /** The classes in byte order. */
    readonly list: readonly ClassCount[];
    /** Images without a class. */
    readonly unlabelled: number;
    /** Images of the largest class over those of the smallest. */
    readonly imbalance: number;
    /** Classes that some part has no image of, or the first of these; parts without any labels do not count. */
    readonly missing: readonly { readonly name: string; readonly part: string }[];
  } | null;
}
