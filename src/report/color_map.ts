/**
 * Colours for numbers: from nearly black over purple, red and orange to pale yellow, perceptually even. Computed in OKLab
 * (Ottosson 2020, "A perceptual color space for image processing"): lightness rises all the way, so that the order survives
 * in gray and for the colour-blind, and equal steps of the number are equal steps of colour.
 */
import type { Color } from "./canvas.ts";

/** A colour in OKLab. */
type Lab = readonly [lightness: number, a: number, b: number];

/** Colours of the table. */
const entries = 256;
/** Points along the path that the table is taken from. */
const fine = 4096;

/** OKLab to linear sRGB; parts outside of 0 to 1 cannot be shown. */
function toLinear([lightness, a, b]: Lab): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

/** A linear part of sRGB as a byte. */
function toByte(linear: number): number {
  const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, value)));
}

/** The path, t from 0 to 1: lightness and hue in straight lines, as colourful as the screen and a soft bow allow. */
function pathAt(t: number): Lab {
  const lightness = 0.17 + 0.8 * t;
  const hue = (285 + 180 * t) * Math.PI / 180;
  const [x, y] = [Math.cos(hue), Math.sin(hue)];
  const isShown = (chroma: number) =>
    toLinear([lightness, chroma * x, chroma * y]).every((part) => part >= 0 && part <= 1);
  let [low, high] = [0, 0.4];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (isShown(middle)) low = middle;
    else high = middle;
  }
  const chroma = Math.min(low, 0.03 + 0.15 * Math.sin(Math.PI * t) ** 0.9);
  return [lightness, chroma * x, chroma * y];
}

/** 256 colours at equal distances along the path. */
function makeTable(): Color[] {
  const points = Array.from({ length: fine + 1 }, (_, i) => pathAt(i / fine));
  const reached = [0];
  for (let i = 1; i <= fine; i++) {
    const [from, to] = [points[i - 1], points[i]];
    reached.push(reached[i - 1] + Math.hypot(...to.map((value, j) => value - from[j])));
  }
  return Array.from({ length: entries }, (_, i): Color => {
    const wanted = reached[fine] * i / (entries - 1);
    const at = reached.findIndex((length) => length >= wanted * (1 - 1e-12));
    const [red, green, blue] = toLinear(points[at]);
    return [toByte(red), toByte(green), toByte(blue)];
  });
}

let table: readonly Color[] | undefined;

/** The colour of a number from 0 (dark) to 1 (light); numbers beyond are taken for the nearer end, NaN for 0. */
export function colorOf(value: number): Color {
  table ??= makeTable();
  return table[Math.round((entries - 1) * Math.min(1, Math.max(0, value || 0)))];
}
