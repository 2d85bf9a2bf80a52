/** A picture to draw on: rectangles, other pictures, smooth lines and text. */

import type { Picture } from "../formats/png.ts";
import { glyphStrokes, layOutText, measureText } from "./font.ts";

/** Red, green, blue, each 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** A place in pixels, from the top left corner; pixel centres lie at halves. */
export type Point = readonly [x: number, y: number];

/** How text looks. */
export interface TextStyle {
  /** Font size in pixels; capitals are 0.7 of it tall. */
  readonly size: number;
  /** Colour of the strokes. */
  readonly color: Color;
  /** Thicker strokes. */
  readonly bold?: boolean;
  /** Which part of the text `x` is; the left end by default. */
  readonly align?: "left" | "center" | "right";
}

/** An RGB picture with methods that draw on it; whatever lies outside is cut off. */
export class Canvas implements Picture {
  /** Always RGB. */
  readonly channels = 3;
  /** `height * width * 3` bytes. */
  readonly data: Uint8Array;

  /** A canvas of one colour. */
  constructor(readonly width: number, readonly height: number, background: Color = [255, 255, 255]) {
    this.data = new Uint8Array(width * height * 3);
    this.fill(0, 0, width, height, background);
  }

  /** Fills a rectangle of whole pixels. */
  fill(left: number, top: number, width: number, height: number, color: Color): void {
    const right = Math.min(this.width, left + width);
    const bottom = Math.min(this.height, top + height);
    for (let y = Math.max(0, top); y < bottom; y++) {
      for (let x = Math.max(0, left); x < right; x++) this.data.set(color, (y * this.width + x) * 3);
    }
  }

  /** Draws an RGB picture `[height, width, 3]`, each pixel as a square of `scale` pixels. */
  draw(pixels: Uint8Array, width: number, height: number, left: number, top: number, scale: number): void {
    const right = Math.min(this.width, left + width * scale);
    const bottom = Math.min(this.height, top + height * scale);
    for (let y = Math.max(0, top); y < bottom; y++) {
      const row = Math.floor((y - top) / scale) * width;
      for (let x = Math.max(0, left); x < right; x++) {
        const from = (row + Math.floor((x - left) / scale)) * 3;
        const to = (y * this.width + x) * 3;
        for (let c = 0; c < 3; c++) this.data[to + c] = pixels[from + c];
      }
    }
  }

  /**
   * Draws connected lines with round ends and joints, smooth at the edges. All lines of one call count as one shape:
   * where they cross, nothing is drawn twice. A line of one point is a dot.
   */
  stroke(lines: readonly (readonly Point[])[], thickness: number, color: Color, opacity = 1): void {
    const reach = thickness / 2 + 1;
    const points = lines.flat();
    if (points.length === 0) return;
    let [left, top, right, bottom] = [this.width, this.height, 0, 0];
    for (const [x, y] of points) {
      left = Math.max(0, Math.min(left, Math.floor(x - reach)));
      top = Math.max(0, Math.min(top, Math.floor(y - reach)));
      right = Math.min(this.width, Math.max(right, Math.ceil(x + reach)));
      bottom = Math.min(this.height, Math.max(bottom, Math.ceil(y + reach)));
    }
    if (right <= left || bottom <= top) return;
    const mask = new Mask(left, top, right - left, bottom - top);
    for (const line of lines) {
      for (let i = 0; i < line.length; i++) {
        mask.cover(line[i], line[Math.min(i + 1, line.length - 1)], thickness);
      }
    }
    this.#blend(mask, color, opacity);
  }

  #blend(mask: Mask, color: Color, opacity: number): void {
    for (let y = 0; y < mask.height; y++) {
      for (let x = 0; x < mask.width; x++) {
        const share = mask.coverage[y * mask.width + x] * opacity;
        if (share === 0) continue;
        const at = ((mask.top + y) * this.width + mask.left + x) * 3;
        for (let c = 0; c < 3; c++) {
          this.data[at + c] = Math.round(this.data[at + c] * (1 - share) + color[c] * share);
        }
      }
    }
  }

  /** Writes one line of text with its baseline at `y`. */
  text(words: string, x: number, y: number, style: TextStyle): void {
    const { size, color, bold = false, align = "left" } = style;
    const thickness = size * (bold ? 0.125 : 0.085);
    const width = measureText(words, size);
    // Strokes stand out by half their thickness on either side; flush text keeps within its edge.
    const shift = { left: -thickness / 2, center: width / 2, right: width + thickness / 2 }[align];
    for (const { character, x: offset, scale } of layOutText(words, size)) {
      const lines = glyphStrokes(character).map((line) =>
        line.map(([gx, gy]): Point => [x - shift + offset + gx * scale, y + gy * scale])
      );
      this.stroke(lines, thickness, color);
    }
  }
}

/** How much of each pixel in a rectangle a shape covers, 0 to 1. */
class Mask {
  readonly coverage: Float32Array;

  constructor(readonly left: number, readonly top: number, readonly width: number, readonly height: number) {
    this.coverage = new Float32Array(width * height);
  }

  /** Adds the line from `a` to `b`; a pixel's coverage falls from 1 to 0 over one pixel at the line's edge. */
  cover([ax, ay]: Point, [bx, by]: Point, thickness: number): void {
    const reach = thickness / 2 + 0.5;
    const [dx, dy] = [bx - ax, by - ay];
    const lengthSquared = dx * dx + dy * dy;
    const firstX = Math.max(this.left, Math.floor(Math.min(ax, bx) - reach));
    const lastX = Math.min(this.left + this.width, Math.ceil(Math.max(ax, bx) + reach));
    const firstY = Math.max(this.top, Math.floor(Math.min(ay, by) - reach));
    const lastY = Math.min(this.top + this.height, Math.ceil(Math.max(ay, by) + reach));
    for (let y = firstY; y < lastY; y++) {
      for (let x = firstX; x < lastX; x++) {
        const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
        const along = lengthSquared === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / lengthSquared));
        const distance = Math.hypot(px - along * dx, py - along * dy);
        const at = (y - this.top) * this.width + x - this.left;
        const share = Math.min(1, Math.max(0, reach - distance), thickness);
        if (share > this.coverage[at]) this.coverage[at] = share;
      }
    }
  }
}
