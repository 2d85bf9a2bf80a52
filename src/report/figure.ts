/** Figures of pictures in rows and columns, under captions. */

import type { Size } from "../config/types.ts";
import { Canvas, type Color, type TextStyle } from "./canvas.ts";
import { shortenText, wrapText } from "./font.ts";

const DARK: Color = [24, 24, 27];
const GRAY: Color = [113, 113, 122];
const TITLE: TextStyle = { size: 22, color: DARK, bold: true };
const NOTE: TextStyle = { size: 15, color: GRAY };
const CAPTION: TextStyle = { size: 16, color: DARK };
const CENTERED: TextStyle = { ...CAPTION, align: "center" };
const RULE: Color = [212, 212, 216];
const GROUP: TextStyle = { size: 17, color: DARK, bold: true };
const LABEL: TextStyle = { size: 14, color: GRAY };
const LINE_HEIGHT = 1.45; // of the font size
const MARGIN = 28;
const GAP = 12;
const GROUP_GAP = 32;
const CELL_TARGET = 192;
const MIN_TEXT_WIDTH = 360;

/** One row of pictures of the same size. */
export interface FigureRow {
  /** Written small beneath the row; empty for none. */
  readonly label: string;
  /** Height and width of the pictures in pixels. */
  readonly size: Size;
  /** One picture `[H, W, 3]` RGB per column; a row may have fewer. */
  readonly pictures: readonly Uint8Array[];
  /** Written small beneath the first picture of each group of columns; then the label keeps to what is left of it. */
  readonly remarks?: readonly string[];
}

/** Columns that belong together, apart from those before them. */
export interface ColumnGroup {
  /** Above their captions; empty for none. */
  readonly title: string;
  /** The first of them. */
  readonly start: number;
  /** How many they are. */
  readonly count: number;
}

/** The words of a figure. */
export interface FigureText {
  /** Bold, at the top. */
  readonly title?: string;
  /** Below the title, each on its own line. */
  readonly notes?: readonly string[];
  /** At the bottom. */
  readonly footer?: string;
  /** Groups of columns, from left to right. */
  readonly groups?: readonly ColumnGroup[];
}

/** The whole number of times that a picture is enlarged so that its longer side comes nearest to 192 pixels. */
export function enlargement([height, width]: Size): number {
  const exact = Math.max(1, CELL_TARGET / Math.max(height, width));
  const [below, above] = [Math.floor(exact), Math.ceil(exact)];
  return exact / below <= above / exact ? below : above;
}

const lineHeight = ({ size }: TextStyle): number => Math.round(size * LINE_HEIGHT);

/** Writes lines beneath each other and returns the y coordinate below the last. */
function writeLines(
  canvas: Canvas,
  lines: readonly string[],
  x: number,
  top: number,
  style: TextStyle,
): number {
  for (const line of lines) {
    canvas.text(line, x, top + style.size, style);
    top += lineHeight(style);
  }
  return top;
}

/** Where everything goes, in pixels. */
interface Layout {
  /** Left end and width of each column. */
  readonly columns: readonly Place[];
  /** The same of each group of columns, with the lines of its title. */
  readonly groups: readonly (Place & { readonly title: readonly string[]; readonly start: number })[];
  readonly title: readonly string[];
  readonly notes: readonly string[];
  readonly footer: readonly string[];
  readonly captions: readonly (readonly string[])[];
  readonly groupHeight: number;
  readonly captionHeight: number;
  readonly rowHeights: readonly number[];
  readonly width: number;
  readonly height: number;
}

interface Place {
  readonly left: number;
  readonly width: number;
}

/** Columns side by side; those that begin a group stand apart. */
function placeColumns(
  columns: readonly string[],
  rows: readonly FigureRow[],
  groups: readonly ColumnGroup[],
): Place[] {
  const places: Place[] = [];
  let left = MARGIN;
  columns.forEach((_, c) => {
    if (c > 0) left += groups.length > 1 && groups.some(({ start }) => start === c) ? GROUP_GAP : GAP;
    const widths = rows.filter(({ pictures }) => c < pictures.length)
      .map(({ size }) => size[1] * enlargement(size));
    const width = Math.max(96, ...widths);
    places.push({ left, width });
    left += width;
  });
  return places;
}

const heightOf = (lines: readonly (readonly string[])[], style: TextStyle): number =>
  Math.max(0, ...lines.map(({ length }) => length)) * lineHeight(style);

function layOut(columnNames: readonly string[], rows: readonly FigureRow[], text: FigureText): Layout {
  const columns = placeColumns(columnNames, rows, text.groups ?? []);
  const last = columns.at(-1) ?? { left: MARGIN, width: 0 };
  const inner = Math.max(MIN_TEXT_WIDTH, last.left + last.width - MARGIN);
  const title = wrapText(text.title ?? "", TITLE.size, inner);
  const notes = (text.notes ?? []).flatMap((note) => wrapText(note, NOTE.size, inner));
  const footer = wrapText(text.footer ?? "", NOTE.size, inner);
  const captions = columnNames.map((caption, c) => wrapText(caption, CAPTION.size, columns[c].width));
  const captionHeight = heightOf(captions, CAPTION);
  const groups = (text.groups ?? []).map(({ title, start, count }) => {
    const { left } = columns[start];
    const end = columns[start + count - 1];
    const width = end.left + end.width - left;
    return { left, width, start, title: wrapText(title, GROUP.size, width) };
  });
  const titlesHeight = heightOf(groups.map(({ title }) => title), GROUP);
  const groupHeight = titlesHeight === 0 ? 0 : titlesHeight + GAP;
  const rowHeights = rows.map(({ size, label, remarks = [] }) =>
    size[0] * enlargement(size) +
    ([label, ...remarks].every((words) => words === "") ? 0 : lineHeight(LABEL) + 4)
  );
  const top = title.length * lineHeight(TITLE) + notes.length * lineHeight(NOTE);
  const height = 2 * MARGIN + top + (top > 0 ? GAP : 0) + groupHeight + captionHeight + 6 +
    rowHeights.reduce((sum, rowHeight) => sum + rowHeight + GAP, -GAP) +
    (footer.length > 0 ? GAP + 4 + footer.length * lineHeight(NOTE) : 0);
  const width = inner + 2 * MARGIN;
  return {
    columns,
    groups,
    title,
    notes,
    footer,
    captions,
    groupHeight,
    captionHeight,
    rowHeights,
    width,
    height,
  };
}

/**
 * Draws rows of pictures under captions. Small pictures are enlarged by a whole number of times, pixel by pixel; large
 * ones keep their size.
 *
 * @param columns captions, one per column
 * @param rows pictures; sizes may differ from row to row
 * @param text title, notes and footer, wrapped to the width of the figure
 * @throws {RangeError} where a picture does not match its size
 */
export function drawFigure(
  columns: readonly string[],
  rows: readonly FigureRow[],
  text: FigureText = {},
): Canvas {
  const layout = layOut(columns, rows, text);
  const canvas = new Canvas(layout.width, Math.max(1, layout.height));
  let y = writeLines(canvas, layout.title, MARGIN, MARGIN, TITLE);
  y = writeLines(canvas, layout.notes, MARGIN, y, NOTE);
  if (y > MARGIN) y += GAP;
  drawGroupTitles(canvas, layout, y);
  y += layout.groupHeight + layout.captionHeight;
  layout.captions.forEach((lines, c) => {
    const { left, width } = layout.columns[c];
    writeLines(canvas, lines, left + width / 2, y - lines.length * lineHeight(CAPTION), CENTERED);
  });
  y += 6;
  rows.forEach((row, r) => {
    drawRow(canvas, row, layout, y);
    y += layout.rowHeights[r] + GAP;
  });
  writeLines(canvas, layout.footer, MARGIN, y + 4, NOTE);
  return canvas;
}

/** Each title over a thin line as wide as its columns. */
function drawGroupTitles(canvas: Canvas, { groups, groupHeight }: Layout, top: number) {
  for (const { left, width, title } of groups) {
    if (title.length === 0) continue;
    const line = top + groupHeight - GAP + 4;
    const x = left + width / 2;
    writeLines(canvas, title, x, line - 6 - title.length * lineHeight(GROUP), { ...GROUP, align: "center" });
    canvas.fill(left, line, width, 1, RULE);
  }
}

function drawRow(
  canvas: Canvas,
  { label, size, pictures, remarks = [] }: FigureRow,
  { columns, groups }: Layout,
  y: number,
) {
  const [height, width] = size;
  const scale = enlargement(size);
  pictures.forEach((pixels, c) => {
    if (pixels.length !== height * width * 3) {
      throw new RangeError(
        `A picture of ${height} x ${width} pixels has ${pixels.length} bytes instead of 3 each`,
      );
    }
    const indent = Math.floor((columns[c].width - width * scale) / 2);
    canvas.draw(pixels, width, height, columns[c].left + indent, y, scale);
  });
  const below = y + height * scale + 4 + LABEL.size;
  const write = (words: string, { left, width }: Place) =>
    canvas.text(shortenText(words, LABEL.size, width), left, below, LABEL);
  const isRemarked = remarks.some((remark) => remark !== "") && groups.length > 0;
  const end = isRemarked ? groups[0].left - GAP : canvas.width - MARGIN;
  if (end > MARGIN) write(label, { left: MARGIN, width: end - MARGIN });
  groups.forEach((group, g) => write(remarks[g] ?? "", group));
}
