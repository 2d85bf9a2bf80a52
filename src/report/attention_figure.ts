/** Attention maps over pictures: one row per picture or block, one column per head. */
import type { Size } from "../config/types.ts";
import type { Canvas } from "./canvas.ts";
import { colorOf } from "./color_map.ts";
import { drawFigure, enlargement, type FigureRow, type FigureText } from "./figure.ts";

/** One picture and where the heads of one block look in it. */
export interface AttentionRow {
  /** Written small beneath the row; empty for none. */
  readonly label: string;
  /** Height and width of the picture in pixels. */
  readonly size: Size;
  /** Height and width of a patch in pixels. */
  readonly patchSize: Size;
  /** `[H, W, 3]` RGB. */
  readonly picture: Uint8Array;
  /** `[heads][L]`: the weight of each patch, from 0. */
  readonly heads: readonly ArrayLike<number>[];
}

/** Opacity of the colours over the picture. */
const OPACITY = 0.72;
/** How bright the picture is where nothing is coloured. */
const DIMMED = 0.45;
const LEGEND_HEIGHT = 10;

/**
 * A picture in gray under the colours of a map, each patch in the colour of its weight, from 0 to the largest.
 *
 * @param picture `[H, W, 3]` RGB
 * @param map `[L]`, patches in rows from the top left, weights from 0
 * @param size height and width in pixels, multiples of the patch's
 * @param patchSize height and width of a patch
 * @param mass below 1 only the heaviest patches are coloured, as many as hold this share of all weight (Caron et al. 2021)
 * @returns `[H, W, 3]`, a new array
 * @throws {RangeError} where the sizes do not match
 */
export function overlayMap(
  picture: Uint8Array,
  map: ArrayLike<number>,
  [height, width]: Size,
  [patchHeight, patchWidth]: Size,
  mass = 1,
): Uint8Array {
  const [rows, columns] = [height / patchHeight, width / patchWidth];
  if (picture.length !== height * width * 3 || map.length !== rows * columns) {
    throw new RangeError(
      `Picture of ${picture.length} bytes and map of ${map.length} weights do not match ${height} x ${width} pixels ` +
        `in patches of ${patchHeight} x ${patchWidth}`,
    );
  }
  const weights = Array.from(map);
  const largest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  const colors = weights.map((weight) => colorOf(largest > 0 ? weight / largest : 0));
  const shown = heaviest(weights, mass);
  const result = new Uint8Array(picture.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      const patch = Math.floor(y / patchHeight) * columns + Math.floor(x / patchWidth);
      const gray = 0.2126 * picture[at] + 0.7152 * picture[at + 1] + 0.0722 * picture[at + 2];
      for (let c = 0; c < 3; c++) {
        const mixed = OPACITY * colors[patch][c] + (1 - OPACITY) * gray;
        result[at + c] = Math.round(shown[patch] ? mixed : DIMMED * gray);
      }
    }
  }
  return result;
}

/** Which weights are among the fewest that hold a share of their sum; of equal ones the first. */
function heaviest(weights: readonly number[], mass: number): boolean[] {
  const shown = weights.map(() => mass >= 1);
  let left = mass * weights.reduce((sum, weight) => sum + weight, 0);
  const order = weights.map((_, i) => i).sort((a, b) => weights[b] - weights[a] || a - b);
  for (const i of order) {
    if (left <= 0) break;
    shown[i] = true;
    left -= weights[i];
  }
  return shown;
}

/** Mean of the heads' weights per patch. */
function meanOf(heads: readonly ArrayLike<number>[]): number[] {
  return Array.from(heads[0], (_, patch) => heads.reduce((sum, head) => sum + head[patch], 0) / heads.length);
}

/** The scale of colours, as a row of its own below pictures of that size. */
function legend([, columns]: Size, scale: number): FigureRow {
  const shown = columns * scale;
  const width = Math.max(2, Math.floor(shown / enlargement([LEGEND_HEIGHT, shown])));
  const picture = new Uint8Array(LEGEND_HEIGHT * width * 3);
  for (let at = 0; at < LEGEND_HEIGHT * width; at++) picture.set(colorOf(at % width / (width - 1)), 3 * at);
  return { label: "0 to the largest of a map", size: [LEGEND_HEIGHT, width], pictures: [picture] };
}

/**
 * The figure of attention maps: the picture, the mean over heads, then each head, as colours over the picture in gray. Each
 * map has its own scale, from 0 to its largest weight. Pictures are enlarged as in other figures.
 *
 * @param rows all with the same number of heads
 * @param text title, notes and footer
 * @param mass as for `overlayMap`
 * @throws {RangeError} where a picture or map does not match its size, or there is no row
 */
export function drawAttention(rows: readonly AttentionRow[], text: FigureText = {}, mass = 1): Canvas {
  if (rows.length === 0) throw new RangeError("A figure of attention needs a picture");
  const heads = rows[0].heads.map((_, i) => `head ${i + 1}`);
  const columns = ["image", ...(heads.length > 1 ? ["mean of heads"] : []), ...heads];
  const figureRows = rows.map(({ label, size, patchSize, picture, heads }): FigureRow => {
    const maps = heads.length > 1 ? [meanOf(heads), ...heads] : heads;
    const overlays = maps.map((map) => overlayMap(picture, map, size, patchSize, mass));
    return { label, size, pictures: [picture, ...overlays] };
  });
  const [{ size }] = rows;
  return drawFigure(columns, [...figureRows, legend(size, enlargement(size))], text);
}
