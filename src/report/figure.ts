/** The reconstruction figure, after figures 2 to 4 of the paper: one row per image, one column per view of it. */

import type { Size } from "../config/types.ts";
import { Canvas, type Color, type TextStyle } from "./canvas.ts";
import { shortenText, wrapText } from "./font.ts";

const DARK: Color = [24, 24, 27];
const GRAY: Color = [113, 113, 122];
const TITLE: TextStyle = { size: 22, color: DARK, bold: true };
const NOTE: TextStyle = { size: 15, color: GRAY };
const CAPTION: TextStyle = { size: 16, color: DARK };
const LABEL: TextStyle = { size: 14, color: GRAY };
const LINE_HEIGHT = 1.45; // of the font size
const MARGIN = 28;
const GAP = 12;
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
}

/** The words of a figure. */
export interface FigureText {
  /** Bold, at the top. */
  readonly title?: string;
  /** Below the title, each on its own line. */
  readonly notes?: readonly string[];
  /** At the bottom. */
  readonly footer?: string;
}

/** One image of a batch with what the model made of it. */
export interface ReconstructionRow {
  /** Written small beneath the row; empty for none. */
  readonly label: string;
  /** Height and width of the pictures in pixels. */
  readonly size: Size;
  /** `[H, W, 3]` RGB. */
  readonly original: Uint8Array;
  /** The original with its removed patches in gray, `[H, W, 3]` RGB. */
  readonly masked: Uint8Array;
  /** The model's prediction for all patches, `[H, W, 3]` RGB. */
  readonly reconstruction: Uint8Array;
  /** The prediction with the visible patches pasted from the original, `[H, W, 3]` RGB. */
  readonly pasted: Uint8Array;
}

/** Words and mask ratio of a reconstruction figure. */
export interface ReconstructionText extends FigureText {
  /** Share of patches removed, for the caption of the second column. */
  readonly maskRatio: number;
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
  readonly columnWidths: readonly number[];
  readonly title: readonly string[];
  readonly notes: readonly string[];
  readonly footer: readonly string[];
  readonly captions: readonly (readonly string[])[];
  readonly captionHeight: number;
  readonly rowHeights: readonly number[];
  readonly width: number;
  readonly height: number;
}

function layOut(columns: readonly string[], rows: readonly FigureRow[], text: FigureText): Layout {
  const columnWidths = columns.map((_, c) =>
    Math.max(
      96,
      ...rows.filter(({ pictures }) => c < pictures.length).map(({ size }) => size[1] * enlargement(size)),
    )
  );
  const picturesWidth = columnWidths.reduce((sum, width) => sum + width + GAP, -GAP);
  const inner = Math.max(MIN_TEXT_WIDTH, picturesWidth);
  const title = wrapText(text.title ?? "", TITLE.size, inner);
  const notes = (text.notes ?? []).flatMap((note) => wrapText(note, NOTE.size, inner));
  const footer = wrapText(text.footer ?? "", NOTE.size, inner);
  const captions = columns.map((caption, c) => wrapText(caption, CAPTION.size, columnWidths[c]));
  const captionHeight = Math.max(0, ...captions.map(({ length }) => length)) * lineHeight(CAPTION);
  const rowHeights = rows.map(({ size, label }) =>
    size[0] * enlargement(size) + (label === "" ? 0 : lineHeight(LABEL) + 4)
  );
  const top = title.length * lineHeight(TITLE) + notes.length * lineHeight(NOTE);
  const height = 2 * MARGIN + top + (top > 0 ? GAP : 0) + captionHeight + 6 +
    rowHeights.reduce((sum, rowHeight) => sum + rowHeight + GAP, -GAP) +
    (footer.length > 0 ? GAP + 4 + footer.length * lineHeight(NOTE) : 0);
  const width = inner + 2 * MARGIN;
  return { columnWidths, title, notes, footer, captions, captionHeight, rowHeights, width, height };
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
  y += layout.captionHeight;
  let x = MARGIN;
  layout.captions.forEach((lines, c) => {
    const top = y - lines.length * lineHeight(CAPTION);
    writeLines(canvas, lines, x + layout.columnWidths[c] / 2, top, { ...CAPTION, align: "center" });
    x += layout.columnWidths[c] + GAP;
  });
  y += 6;
  rows.forEach((row, r) => {
    drawRow(canvas, row, layout.columnWidths, y);
    y += layout.rowHeights[r] + GAP;
  });
  writeLines(canvas, layout.footer, MARGIN, y + 4, NOTE);
  return canvas;
}

function drawRow(
  canvas: Canvas,
  { label, size, pictures }: FigureRow,
  columnWidths: readonly number[],
  y: number,
) {
  const [height, width] = size;
  const scale = enlargement(size);
  let x = MARGIN;
  pictures.forEach((pixels, c) => {
    if (pixels.length !== height * width * 3) {
      throw new RangeError(
        `A picture of ${height} x ${width} pixels has ${pixels.length} bytes instead of 3 each`,
      );
    }
    const indent = Math.floor((columnWidths[c] - width * scale) / 2);
    canvas.draw(pixels, width, height, x + indent, y, scale);
    x += columnWidths[c] + GAP;
  });
  const fitting = shortenText(label, LABEL.size, canvas.width - 2 * MARGIN);
  canvas.text(fitting, MARGIN, y + height * scale + 4 + LABEL.size, LABEL);
}

/**
 * The figure of masked autoencoding: original, masked, reconstruction, reconstruction with the visible patches pasted.
 *
 * @param rows images of a batch, usually six to eight
 * @param text what the figure says; it should say how a normalised target was denormalised
 * @throws {RangeError} where a picture does not match its size
 */
export function drawReconstructions(rows: readonly ReconstructionRow[], text: ReconstructionText): Canvas {
  const percent = Math.round(text.maskRatio * 1000) / 10;
  const columns = ["original", `masked ${percent}%`, "reconstruction", "reconstruction + visible"];
  const figureRows = rows.map(({ label, size, original, masked, reconstruction, pasted }) => ({
    label,
    size,
    pictures: [original, masked, reconstruction, pasted],
  }));
  return drawFigure(columns, figureRows, text);
}
