/** A small data set with everything in it that a check finds. */
import { summarize } from "../../src/check/check.ts";
import type { CheckReport } from "../../src/check/check_report.ts";
import { type CheckedSet, openCheckedSet } from "../../src/check/check_set.ts";
import { type ScanEvent, scanImages, type ScanOptions } from "../../src/check/scan.ts";
import { encodePng } from "../../src/formats/png.ts";
import { formatBytes, imageBytes } from "../data/support.ts";

/** A PNG of one colour. */
export function flatPng(width: number, height: number, level: number): Uint8Array {
  return encodePng({ data: new Uint8Array(width * height * 3).fill(level), width, height, channels: 3 });
}

/** A PNG of 2 x 1 pixels that is like no other number's. */
export function numberedPng(number: number): Uint8Array {
  const data = Uint8Array.of(0, number >> 8, number & 255, 255, number & 255, number >> 8);
  return encodePng({ data, width: 2, height: 1, channels: 3 });
}

/** Writes `folder/pets`: training and validation images of two classes. */
export async function writePets(folder: string): Promise<string> {
  const root = `${folder}/pets`;
  const put = async (name: string, bytes: Uint8Array) => {
    await Deno.mkdir(`${root}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${root}/${name}`, bytes);
  };
  const jpeg = await imageBytes("rgb.jpg");
  await put("train/cat/a.jpg", jpeg);
  await put("train/cat/b.png", await imageBytes("rgb8.png"));
  await put("train/cat/cut.jpg", jpeg.subarray(0, 300));
  await put("train/cat/notes.txt", new Uint8Array(3));
  await put("train/dog/a again.jpg", jpeg);
  await put("train/dog/bands.tif", await formatBytes("bands16.tif"));
  await put("train/dog/cut.jpg", jpeg.subarray(0, 400));
  await put("train/dog/plain.png", flatPng(300, 20, 77));
  await put("train/dog/wrong.jpg", await formatBytes("animated.gif"));
  await put("val/cat/a.jpg", jpeg);
  await put("val/cat/turned.jpg", await imageBytes("exif_6.jpg"));
  await put("val/cat/web.jpg", new TextEncoder().encode("<!DOCTYPE html>"));
  return root;
}

/** Scans a set with one worker; what happens is put into `events`. */
export async function scan(
  set: CheckedSet,
  options: Partial<ScanOptions> = {},
  events: ScanEvent[] = [],
): Promise<{ isComplete: boolean; done: number; report: () => CheckReport; forget: () => Promise<void> }> {
  const result = await scanImages({
    source: set.source,
    workers: 1,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return {
    ...result,
    report: () => summarize(set, result.records, ["DATA"]).report,
    forget: () => result.forget(),
  };
}

/** Opens and scans. */
export async function checked(roots: readonly string[]): Promise<CheckReport> {
  return (await scan(await openCheckedSet(roots))).report();
}
