/**
 * A line font, so that pictures can carry text without a font file. A glyph is strokes separated by `|`; a stroke is items
 * separated by spaces: `x,y` is a point, `cx,cy,rx,ry,from,to` an arc of an ellipse (degrees, 0 is right, 90 is down).
 *
 * Units: 20 to the font size, y from the top of the capitals at 0 down to the baseline at 14; small letters start at 4,
 * descenders end at 18.5.
 */

const BASELINE = 14;
const UNITS = 20;
const LETTER_GAP = 4.2;
const SPACE_WIDTH = 2.6;
const ARC_STEP = 12; // degrees
const UNKNOWN = "0,0 8,0 8,14 0,14 0,0";

// deno-fmt-ignore
const GLYPHS: Readonly<Record<string, string>> = {
  A: "0,14 5.5,0 11,14|2,9 9,9",
  B: "0,7 5,7 5,3.5,3.5,3.5,90,-90 0,0 0,14 5.5,14 5.5,10.5,3.5,3.5,90,-90",
  C: "6.5,7,6.5,7,-46,-314",
  D: "0,0 0,14 3.5,14 3.5,7,6.8,7,90,-90 0,0",
  E: "8,0 0,0 0,14 8,14|0,7 7,7",
  F: "8,0 0,0 0,14|0,7 7,7",
  G: "6.5,7,6.5,7,-46,-325 11.8,7.6 7.4,7.6",
  H: "0,0 0,14|10,0 10,14|0,7 10,7",
  I: "0,0 0,14",
  J: "6,0 6,10.2 3,10.2,3,3.8,0,165",
  K: "0,0 0,14|8.8,0 0,8.8|3.4,5.5 9.3,14",
  L: "0,0 0,14 7.5,14",
  M: "0,14 0,0 6,10 12,0 12,14",
  N: "0,14 0,0 10,14 10,0",
  O: "6.5,7,6.5,7,0,360",
  P: "0,14 0,0 5,0 5,4,4,4,-90,90 0,8",
  Q: "6.5,7,6.5,7,0,360|8.2,10.2 12.4,15",
  R: "0,14 0,0 5,0 5,3.8,3.8,3.8,-90,90 0,7.6|5,7.6 9,14",
  S: "4.5,3.5,4,3.5,-30,-270 4.5,10.5,4.5,3.5,-90,152",
  T: "0,0 10,0|5,0 5,14",
  U: "0,0 0,9 5,9,5,5,180,0 10,0",
  V: "0,0 5.5,14 11,0",
  W: "0,0 4,14 8,2 12,14 16,0",
  X: "0,0 10,14|10,0 0,14",
  Y: "0,0 5,7.5 10,0|5,7.5 5,14",
  Z: "0,0 9,0 0,14 9,14",
  a: "4.3,9,4.3,5,0,360|8.6,4 8.6,14",
  b: "0,0 0,14|4.3,9,4.3,5,0,360",
  c: "4.3,9,4.3,5,-48,-312",
  d: "4.3,9,4.3,5,0,360|8.6,0 8.6,14",
  e: "0,8.8 8.6,8.8 4.3,9,4.3,5,0,-312",
  f: "5,3,2.6,3,-70,-180 2.4,14|0,4.4 5,4.4",
  g: "4.3,9,4.3,5,0,360|8.6,4 8.6,14.5 4.5,14.5,4.1,4,0,150",
  h: "0,0 0,14|0,8 4,8,4,4,180,360 8,14",
  i: "0,4 0,14|0,0.2 0,0.8",
  j: "2.5,4 2.5,15.5 0,15.5,2.5,3,0,85|2.5,0.2 2.5,0.8",
  k: "0,0 0,14|7,4 0,10.3|2.8,7.8 7.5,14",
  l: "0,0 0,11.6 2.4,11.6,2.4,2.4,180,90",
  m: "0,4 0,14|0,7.25 3.25,7.25,3.25,3.25,180,360 6.5,14|6.5,7.25 9.75,7.25,3.25,3.25,180,360 13,14",
  n: "0,4 0,14|0,8 4,8,4,4,180,360 8,14",
  o: "4.4,9,4.4,5,0,360",
  p: "0,4 0,18.5|4.3,9,4.3,5,0,360",
  q: "4.3,9,4.3,5,0,360|8.6,4 8.6,18.5",
  r: "0,4 0,14|0,8.2 3.8,8.2,3.8,4.2,180,292",
  s: "3.3,6.5,3,2.5,-30,-270 3.3,11.5,3.3,2.5,-90,152",
  t: "2.4,0.8 2.4,11.6 4.8,11.6,2.4,2.4,180,85|0,4.4 5,4.4",
  u: "0,4 0,10 4,10,4,4,180,0|8,4 8,14",
  v: "0,4 4.2,14 8.4,4",
  w: "0,4 3.2,14 6.4,5 9.6,14 12.8,4",
  x: "0,4 7.6,14|7.6,4 0,14",
  y: "0,4 4.2,14|8.4,4 2.4,18.3 0.6,18.3",
  z: "0,4 7,4 0,14 7,14",
  "0": "4.25,7,4.25,7,0,360",
  "1": "1.2,2.8 5,0 5,14",
  "2": "4.2,4.1,4,4.1,190,402 0.2,14 8.4,14",
  "3": "4.2,3.5,3.7,3.5,205,450 4.2,10.5,4.2,3.5,270,515",
  "4": "6.4,14 6.4,0 0,10 8.6,10",
  "5": "7.6,0 1.3,0 0.7,6.4 4,9.4,4.4,4.6,220,508",
  "6": "4.25,9.6,4.25,4.4,0,360|7,9.6,7,9.6,180,262",
  "7": "0,0 8.4,0 3,14",
  "8": "4.25,3.4,3.6,3.4,0,360|4.25,10.4,4.25,3.6,0,360",
  "9": "4.25,4.4,4.25,4.4,0,360|1.5,4.4,7,9.6,0,82",
  "!": "0,0 0,9.5|0,13.4 0,14",
  '"': "0,0 0,4|3,0 3,4",
  "#": "3,1 1.5,13|8,1 6.5,13|0.5,5 9.5,5|0,9 9,9",
  $: "4.5,4,3.9,3,-30,-270 4.5,10,4.2,3,-90,152|4.5,-1 4.5,15",
  "%": "2.5,3.2,2.5,3.2,0,360|10,10.8,2.5,3.2,0,360|10.4,0 2.1,14",
  "&": "9.8,14 1.9,4.4 4.2,2.9,2.7,2.9,150,400 3.8,10.3,3.8,3.7,240,20 9.6,8",
  "'": "0,0 0,4",
  "(": "5.5,7,5.5,9.5,235,125",
  ")": "-3.1,7,5.5,9.5,-55,55",
  "*": "3.5,1 3.5,8|0.5,2.75 6.5,6.25|6.5,2.75 0.5,6.25",
  "+": "4.5,4 4.5,13|0,8.5 9,8.5",
  ",": "1,13 0,16.5",
  "-": "0,9 5,9",
  ".": "0,13.4 0,14",
  "/": "6,-0.5 0,15",
  ":": "0,5 0,5.6|0,13.4 0,14",
  ";": "1,5 1,5.6|1,13 0,16.5",
  "<": "8,4 0,8.5 8,13",
  "=": "0,6.5 9,6.5|0,10.5 9,10.5",
  ">": "0,4 8,8.5 0,13",
  "?": "3.7,3.7,3.7,3.7,190,405 3.8,9.6|3.8,13.4 3.8,14",
  "@": "7,7.5,3,3.3,0,360|10,4.3 10,8.5 12,8.5,2,2.3,180,0 7,7.5,7,7.5,8,-310",
  "[": "3,-0.5 0,-0.5 0,15.5 3,15.5",
  "\\": "0,-0.5 6,15",
  "]": "0,-0.5 3,-0.5 3,15.5 0,15.5",
  "^": "0,5 3.5,0 7,5",
  _: "0,16.5 9,16.5",
  "`": "0,0 2,3",
  "{": "4,1.5,2,2,270,180 0.2,5,1.8,2,0,90 0.2,9,1.8,2,-90,0 4,12.5,2,2,180,90",
  "|": "0,-0.5 0,15.5",
  "}": "0,1.5,2,2,-90,0 3.8,5,1.8,2,180,90 3.8,9,1.8,2,270,180 0,12.5,2,2,0,90",
  "~": "2.25,9,2.25,2,180,360 6.75,9,2.25,2,180,0",
  "×": "0,4.5 7.5,12.5|7.5,4.5 0,12.5",
};

/** A point of a glyph in font units, relative to the left end of the glyph's baseline. */
export type GlyphPoint = readonly [x: number, y: number];

interface Glyph {
  readonly strokes: readonly (readonly GlyphPoint[])[];
  readonly width: number;
}

const parsed = new Map<string, Glyph>();

function arcPoints([cx, cy, rx, ry, from, to]: readonly number[]): GlyphPoint[] {
  const steps = Math.ceil(Math.abs(to - from) / ARC_STEP);
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = (from + (to - from) * i / steps) * Math.PI / 180;
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle) - BASELINE];
  });
}

function parseGlyph(path: string): Glyph {
  const strokes = path.split("|").map((stroke) =>
    stroke.split(" ").flatMap((item): GlyphPoint[] => {
      const numbers = item.split(",").map(Number);
      return numbers.length === 2 ? [[numbers[0], numbers[1] - BASELINE]] : arcPoints(numbers);
    })
  );
  return { strokes, width: Math.max(...strokes.flat().map(([x]) => x)) };
}

function glyphOf(character: string): Glyph {
  let glyph = parsed.get(character);
  if (glyph === undefined) {
    glyph = character === " "
      ? { strokes: [], width: SPACE_WIDTH }
      : parseGlyph(Object.hasOwn(GLYPHS, character) ? GLYPHS[character] : UNKNOWN);
    parsed.set(character, glyph);
  }
  return glyph;
}

/** Replaces what the font lacks: accents are dropped, odd spaces and dashes made plain; the rest shows as a box. */
function drawable(text: string): string[] {
  const plain = text.normalize("NFD").replace(/\p{Mn}/gu, "").replace(/[\s\p{Cc}]/gu, " ")
    .replace(/[‐-―−]/gu, "-").replaceAll("…", "...");
  return [...plain];
}

/** The strokes of one character in font units, y from the baseline downwards. */
export function glyphStrokes(character: string): readonly (readonly GlyphPoint[])[] {
  return glyphOf(character).strokes;
}

/** Where each character of a line goes: its left end in pixels from that of the line, and pixels per font unit. */
export function layOutText(text: string, size: number): { character: string; x: number; scale: number }[] {
  const scale = size / UNITS;
  let x = 0;
  return drawable(text).map((character) => {
    const place = { character, x, scale };
    x += (glyphOf(character).width + LETTER_GAP) * scale;
    return place;
  });
}

/** Width in pixels of a line of text. */
export function measureText(text: string, size: number): number {
  const units = drawable(text).reduce((sum, character) => sum + glyphOf(character).width + LETTER_GAP, 0);
  return Math.max(0, units - LETTER_GAP) * size / UNITS;
}

/** Breaks a text at its spaces into lines of at most `width` pixels; a word that is wider is cut, with dots. */
export function wrapText(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && measureText(longer, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(shortenText(word, size, width));
  }
  return lines;
}

/** The text, or as much of its beginning as fits in `width` pixels together with three dots. */
export function shortenText(text: string, size: number, width: number): string {
  if (measureText(text, size) <= width) return text;
  const characters = [...text];
  while (characters.length > 0 && measureText(`${characters.join("")}...`, size) > width) characters.pop();
  return `${characters.join("").trimEnd()}...`;
}
