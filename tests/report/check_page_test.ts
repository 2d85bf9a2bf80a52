/** The page of a check: what is in it, and that nothing in names of files can become markup. */
import type { CheckReport } from "../../src/check/check_report.ts";
import { checkPage, picturedPaths } from "../../src/report/check_page.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { flat } from "./support.ts";

const wicked = `<img src=x onerror=alert(1)>"'&.png`;
const spread = { min: 1, p5: 2, median: 3, p95: 4, max: 5 };
const sized = (name: string) =>
  Array.from({ length: 6 }, (_, i) => ({ path: `${name}-${i}.png`, width: 10, height: 20 }));
const many = (name: string) => Array.from({ length: 300 }, (_, i) => `${name}-${i}.png`);

/** A report with more of everything than a page shows. */
const report: CheckReport = {
  kind: "mae-data-check-1",
  sources: [wicked],
  images: 2000,
  readable: 1700,
  bytes: 5e6,
  others: 2,
  parts: [{ name: "train", images: 1000 }, { name: "val", images: 1000 }],
  formats: { JPEG: 1700 },
  colors: { RGB: 1400, gray: 300 },
  depths: { "8": 1700 },
  animated: 1,
  turned: 1,
  sizes: { width: spread, height: spread, aspect: spread, shorter_side: [{ from: 8, to: 16, images: 1700 }] },
  extremes: { smallest: sized("s"), largest: sized("l"), widest: sized("w"), tallest: sized("t") },
  broken: {
    images: 300,
    reasons: [{ reason: "truncated", images: 300 }],
    files: [wicked, ...many("b")].map((path) => ({ path, reason: "truncated" })),
  },
  misnamed: { images: 1, files: [{ path: wicked, format: "PNG" }] },
  duplicates: {
    groups: 300,
    images: 600,
    across_parts: 1,
    across_classes: 2,
    files: [wicked, ...many("d")].map((path) => ({
      images: 3,
      paths: [path, "other.png"],
      across_parts: path === wicked,
      across_classes: false,
    })),
  },
  uniform: { images: 300, files: many("u").map((path) => ({ path, deviation: 0.5 })) },
  odd_colors: { images: 300, files: many("o").map((path) => ({ path, colors: "gray", channels: 1 })) },
  classes: {
    list: many("class").map((name, i) => ({ name, images: i + 1, parts: [i + 1, 0] })),
    unlabelled: 4,
    imbalance: 300,
    missing: [{ name: "class-1.png", part: "val" }],
  },
};

const thumbnails = new Map(
  picturedPaths(report).map((
    path,
  ) => [path, { data: flat([8, 96], 90), width: 96, height: 8, channels: 3 } as const]),
);

Deno.test("checkPage() holds all in one file, with at most 60 pictures, and runs nothing", async () => {
  const text = await checkPage({ report, thumbnails });
  assertEquals(await checkPage({ report, thumbnails }), text);
  assertEquals(thumbnails.size <= 60, true);
  const images = [...text.matchAll(/<img [^>]*src="data:image\/png;base64,[^"]+"[^>]*>/g)];
  assertEquals(images.length, thumbnails.size);
  assert(images.every(([tag]) => / alt="" width="96" height="8"/.test(tag)));
  assertEquals(
    /https?:|<link|<script|@import|url\(|script-src|style="| onerror=(?!alert\(1\)&gt;)/i.exec(text)?.[0],
    undefined,
  );
  assertEquals(text.includes("<img src=x"), false);
  assertStringIncludes(text, "&lt;img src=x");
  assertStringIncludes(text, `content="light dark"`);
  assert(text.length < 400_000, `${text.length} characters`);
});

Deno.test("checkPage() has a heading for all that stands out, and says what it leaves out", async () => {
  const text = await checkPage({ report, thumbnails });
  assertEquals([...text.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, words]) => words), [
    "Broken: 300",
    "Equal images: 300 sets",
    "Sizes",
    "Nearly one colour: 300",
    "Other channels than most: 300",
    "Endings of other formats: 1",
    "Kinds",
    "Classes: 300",
  ]);
  assertMatch(text, /One set lies in several parts/);
  assertMatch(text, /2 sets have several labels/);
  assertMatch(text, /listed in <bdi>check.json<\/bdi>/);
  assertMatch(text, /The 40 largest and the 40 smallest/);
  assertMatch(text, /Missing: class-1.png in val/);
  assertEquals((text.match(/<h1>/g) ?? []).length, 1);
  assertEquals((text.match(/<th scope="row">/g) ?? []).length > 200, true);
});

Deno.test("checkPage() of a sound set of one size has no empty sections", async () => {
  const none = { images: 0, files: [] };
  const same = { min: 32, p5: 32, median: 32, p95: 32, max: 32 };
  const sound: CheckReport = {
    ...report,
    broken: { ...none, reasons: [] },
    misnamed: none,
    uniform: none,
    odd_colors: none,
    duplicates: { groups: 0, images: 0, across_parts: 0, across_classes: 0, files: [] },
    sizes: { ...report.sizes, width: same, height: same, aspect: same, shorter_side: [] },
    classes: null,
  };
  assertEquals(picturedPaths(sound), []);
  const text = await checkPage({ report: sound, thumbnails: new Map() });
  assertEquals([...text.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, words]) => words), ["Sizes", "Kinds"]);
  assertStringIncludes(text, "none is broken; no two are equal");
});
