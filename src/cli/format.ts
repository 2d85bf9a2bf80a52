/** Numbers for people. */

import { formatBytes } from "../gpu/guards.ts";

/** A duration in its two largest units: "48 s", "1 min 20 s", "2 h 05 min", "3 d 04 h". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "unknown";
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor(whole % 86400 / 3600))} h`;
}

/** A count in thousands or millions: "950", "12.3 k", "111.9 M". */
export function count(value: number): string {
  if (value < 10_000) return String(value);
  return value < 1_000_000 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`;
}

/** `one` or `many` after its number: "1 image", "6 images". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${value} ${value === 1 ? one : many}`;
}

/** A share as a whole percentage. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A share of images: a percentage with two decimals. */
export function accuracy(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** A loss: four decimals. */
export function loss(value: number | null): string {
  return value === null ? "-" : value.toFixed(4);
}

/** A rate of something per second. */
export function rate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A size of stored data: bytes, MiB or GiB. */
export function storage(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes.toLocaleString("en")} bytes` : formatBytes(bytes);
}
