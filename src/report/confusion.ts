/** The confusion matrix as a picture: a row for each true class, a column for each predicted one. */
import { Canvas, type Color, type Point, type TextStyle } from "./canvas.ts";
import { glyphStrokes, layOutText, measureText, shortenText } from "./font.ts";

const DARK: Color = [24, 24, 27];
const GRAY: Color = [113, 113, 122];
const WHITE: Color = [255, 255, 255];
const EMPTY: Color = [246, 246, 248];
/** Right and wrong at their strongest. */
const RIGHT: Color = [29, 78, 216];
const WRONG: Color = [194, 65, 12];
const TITLE: TextStyle = { size: 22, color: DARK, bold: true };
const NOTE: TextStyle = { size: 15, color: GRAY };
const MARGIN = 28;
const LONGEST_NAME = 190;
/** Classes beyond these leave no room for names that can be read. */
const MOST_NAMED = 110;

/** What a picture of a confusion matrix says besides. */
export interface ConfusionText {
  /** Bold, at the top. */
  readonly title?: string;
  /** Beneath the title. */
  readonly note?: string;
}

/** Pixels of a cell: small matrices have room for numbers, large ones for names of 11 pixels. */
function cellSize(count: number): number {
  return Math.max(count > MOST_NAMED ? 3 : 13, Math.min(56, Math.floor(900 / count)));
}

/** A colour between white and the strongest; a root lifts small shares, which are what one looks for. */
function shade(share: number, strongest: Color): Color {
  const amount = Math.sqrt(share);
  return strongest.map((value, i) => Math.round(WHITE[i] + (value - WHITE[i]) * amount)) as unknown as Color;
}

/** Writes a line of text upwards, its beginning at (x, y). */
function textUpwards(canvas: Canvas, words: string, x: number, y: number, { size, color }: TextStyle): void {
  for (const { character, x: offset, scale } of layOutText(words, size)) {
    const lines = glyphStrokes(character).map((line) =>
      line.map(([gx, gy]): Point => [x + gy * scale, y - offset - gx * scale])
    );
    canvas.stroke(lines, size * 0.085, color);
  }
}

/**
 * Draws a confusion matrix. A cell's colour is its share of the true class's images, blue on the diagonal, orange beside
 * it; its number, where there is room, is that of the images.
 *
 * @param confusion how many images of class t were taken for class p, at t · classes + p
 * @throws {RangeError} where the matrix does not match the classes
 */
export function drawConfusion(
  confusion: ArrayLike<number>,
  classes: readonly string[],
  { title = "", note = "" }: ConfusionText = {},
): Canvas {
  const count = classes.length;
  if (confusion.length !== count * count) {
    throw new RangeError(`${count} classes need ${count * count} counts, given ${confusion.length}`);
  }
  const cell = cellSize(count);
  const named = count <= MOST_NAMED;
  const name: TextStyle = { size: Math.min(15, Math.max(11, cell - 2)), color: DARK };
  const names = classes.map((one) => shortenText(one, name.size, LONGEST_NAME));
  const room = named ? Math.ceil(Math.max(...names.map((one) => measureText(one, name.size)))) + 10 : 0;
  const left = MARGIN + 24 + room;
  const top = MARGIN + (title ? 34 : 0) + (note ? 26 : 0) + 24 + room;
  const least = 2 * MARGIN + Math.max(measureText(title, TITLE.size) * 1.05, measureText(note, NOTE.size));
  const canvas = new Canvas(
    Math.max(left + count * cell + MARGIN, Math.ceil(Math.min(least, 1200))),
    top + count * cell + MARGIN,
  );
  canvas.text(shortenText(title, TITLE.size, canvas.width - 2 * MARGIN), MARGIN, MARGIN + 18, TITLE);
  canvas.text(note, MARGIN, MARGIN + (title ? 34 : 0) + 14, NOTE);
  canvas.text("taken for", left, top - room - 8, NOTE);
  textUpwards(
    canvas,
    "class",
    MARGIN + 12,
    top + Math.min(count * cell, measureText("class", NOTE.size)),
    NOTE,
  );
  if (named) drawNames(canvas, names, name, { left, top, cell });
  drawCells(canvas, confusion, count, { left, top, cell });
  return canvas;
}

/** Where the matrix stands. */
interface Place {
  readonly left: number;
  readonly top: number;
  readonly cell: number;
}

function drawNames(
  canvas: Canvas,
  names: readonly string[],
  style: TextStyle,
  { left, top, cell }: Place,
): void {
  const middle = (i: number) => (i + 0.5) * cell + style.size * 0.35;
  names.forEach((name, i) => {
    canvas.text(name, left - 8, top + middle(i), { ...style, align: "right" });
    textUpwards(canvas, name, left + middle(i), top - 8, style);
  });
}

function drawCells(
  canvas: Canvas,
  confusion: ArrayLike<number>,
  count: number,
  { left, top, cell }: Place,
): void {
  const gap = cell >= 8 ? 1 : 0;
  for (let own = 0; own < count; own++) {
    const row = Array.from({ length: count }, (_, other) => confusion[own * count + other]);
    const images = row.reduce((sum, value) => sum + value, 0);
    row.forEach((value, other) => {
      const share = images === 0 ? 0 : value / images;
      const color = value === 0 ? EMPTY : shade(share, own === other ? RIGHT : WRONG);
      const [x, y] = [left + other * cell, top + own * cell];
      canvas.fill(x, y, cell - gap, cell - gap, color);
      if (value === 0) return;
      const size = fittingSize(String(value), cell - gap - 4);
      if (size === null) return;
      const ink = share > 0.35 ? WHITE : DARK;
      canvas.text(String(value), x + (cell - gap) / 2, y + (cell - gap) / 2 + size * 0.35, {
        size,
        color: ink,
        align: "center",
      });
    });
  }
}

/** The largest font size in which a number fits into a cell; null where it could not be read. */
function fittingSize(number: string, width: number): number | null {
  for (let size = Math.min(16, width); size >= 9; size--) if (measureText(number, size) <= width) return size;
  return null;
}
