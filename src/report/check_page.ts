/** The report of a check as a page of HTML in one file, with small pictures of what stands out. */

import type { CheckReport, EqualImages, SizedImage } from "../check/check_report.ts";
import { formatBytes } from "../gpu/guards.ts";
import { classSection, countRows, distributionRow, factsTable, table } from "./check_page_parts.ts";
import { encodePng, type Picture } from "../formats/png.ts";
import { checkPageStyle } from "./check_page_style.ts";
import { dataUri, type Html, html, pageText } from "./html.ts";

/** Most pixels of a thumbnail's side. */
export const THUMBNAIL_SIDE = 96;
/** Thumbnails of each kind; together at most 60. */
const Pictured = { duplicates: 16, extremes: 4, uniform: 14, odd: 14 } as const;
/** Broken and misnamed files that the page names. */
const MOST_NAMED = 200;
/** Paths of equal images that are named. */
const MOST_PATHS = 6;

/** What the page shows. */
export interface CheckPage {
  /** The report. */
  readonly report: CheckReport;
  /** Pictures by the paths of the images; at most {@linkcode THUMBNAIL_SIDE} pixels a side. */
  readonly thumbnails: ReadonlyMap<string, Picture>;
  /** Where all of the report can be read, for what the page leaves out. */
  readonly full?: string;
}

/** The paths of the images that the page pictures, each once. */
export function picturedPaths({ duplicates, uniform, odd_colors, ...report }: CheckReport): string[] {
  const paths = [
    ...duplicates.files.slice(0, Pictured.duplicates).map(({ paths }) => paths[0]),
    ...extremesOf(report).flatMap(([, images]) => images.map(({ path }) => path)),
    ...uniform.files.slice(0, Pictured.uniform).map(({ path }) => path),
    ...odd_colors.files.slice(0, Pictured.odd).map(({ path }) => path),
  ];
  return [...new Set(paths)];
}

/** What lies at the ends, where images differ in size. */
function extremesOf({ extremes, sizes }: Pick<CheckReport, "extremes" | "sizes">): [string, SizedImage[]][] {
  if (sizes === null) return [];
  const { width, height } = sizes;
  if (width.min === width.max && height.min === height.max) return [];
  const few = (images: readonly SizedImage[]) => images.slice(0, Pictured.extremes);
  return [
    ["Smallest", few(extremes.smallest)],
    ["Largest", few(extremes.largest)],
    ["Widest", few(extremes.widest)],
    ["Tallest", few(extremes.tallest)],
  ];
}

const number = (value: number): string => value.toLocaleString("en");
const images = (count: number): string => `${number(count)} ${count === 1 ? "image" : "images"}`;

/** The page. It loads nothing and runs no script. All text is escaped: names of files may hold anything. */
export async function checkPage({ report, thumbnails, full = "check.json" }: CheckPage): Promise<string> {
  const pictures = new Pictures(thumbnails);
  const body = html`
    <header>
      <h1>Check of <bdi>${report.sources.join(", ")}</bdi></h1>
      <p>${summaryOf(report)}</p>
    </header>
    <main>
    ${[
      brokenSection(report, full),
      duplicateSection(report, pictures, full),
      sizeSection(report, pictures),
      pictureSection(
        "Nearly one colour",
        "No channel deviates from its mean by more than two of 255 levels.",
        report.uniform.images,
        report.uniform.files.slice(0, Pictured.uniform).map(({ path, deviation }) =>
          pictures.card(path, `deviation ${deviation}`)
        ),
      ),
      pictureSection(
        "Other channels than most",
        `Most images are ${Object.keys(report.colors)[0]}.`,
        report.odd_colors.images,
        report.odd_colors.files.slice(0, Pictured.odd).map(({ path, colors, channels }) =>
          pictures.card(path, colors === "bands" ? `${channels} bands` : colors)
        ),
      ),
      misnamedSection(report, full),
      kindSection(report),
      classSection(report),
    ]}</main>
  `;
  return await pageText({ title: `Check of ${report.sources.join(", ")}`, body, style: checkPageStyle });
}

function summaryOf({ images: all, readable, bytes, broken, duplicates, others }: CheckReport): string {
  const parts = [
    `${images(all)}, ${number(readable)} of them readable, ${formatBytes(bytes)}`,
    broken.images === 0 ? "none is broken" : `${number(broken.images)} broken`,
    duplicates.images === 0
      ? "no two are equal"
      : `${number(duplicates.images)} equal to another one, in ${number(duplicates.groups)} ${
        duplicates.groups === 1 ? "set" : "sets"
      }`,
    ...(others === 0 ? [] : [`${number(others)} other files passed over`]),
  ];
  return `${parts.join("; ")}.`;
}

/** Cards with a picture, where there is one. */
class Pictures {
  constructor(private readonly thumbnails: ReadonlyMap<string, Picture>) {}

  card(path: string, caption: string): Html {
    return html`
      <li>
        <figure>${this.#image(path)}<figcaption>
      <bdi>${path}</bdi><span>${caption}</span></figcaption></figure>
      </li>
    `;
  }

  equal({ paths, images: count, across_parts, across_classes }: EqualImages): Html {
    const marks = [
      ...(across_parts ? ["in several parts"] : []),
      ...(across_classes ? ["in several classes"] : []),
    ];
    const more = count - Math.min(paths.length, MOST_PATHS);
    return html`
      <li class="equal">${this.#image(paths[0])}<div>
      <h3>${images(count)}${marks.map((mark) =>
        html`
          <em>${mark}</em>
        `
      )}</h3>
      <ul>${paths.slice(0, MOST_PATHS).map((path) => html`<li><bdi>${path}</bdi></li>\n`)}${more > 0
        ? html`<li>and ${number(more)} more</li>`
        : ""}</ul></div></li>
    `;
  }

  /** The picture says nothing that its caption does not: it has no text of its own. */
  #image(path: string): Html | string {
    const picture = this.thumbnails.get(path);
    if (picture === undefined) return "";
    const { width, height } = picture;
    // Tiny ones are shown enlarged, by whole numbers, to be seen at all.
    const scale = Math.max(1, Math.floor(THUMBNAIL_SIDE / 2 / Math.max(width, height)));
    return html`<img src="${dataUri(encodePng(picture))}" alt="" width="${scale * width}" height="${
      scale * height
    }">`;
  }
}

function more(count: number, shown: number, full: string): Html | string {
  return count > shown ? html`<p>The others are listed in <bdi>${full}</bdi>.</p>` : "";
}

function brokenSection({ broken }: CheckReport, full: string): Html | string {
  if (broken.images === 0) return "";
  const files = broken.files.slice(0, MOST_NAMED);
  return html`
    <section>
      <h2>Broken: ${number(broken.images)}</h2>
      <p>They cannot be read, or only in part. Training replaces them by other images.</p>
    ${broken.reasons.length < broken.images
      ? countRows("reason", broken.reasons.slice(0, 20).map(({ reason, images }) => [reason, images]))
      : ""}${table(
        ["file", "reason"],
        files.map(({ path, reason }) => [html`<bdi>${path}</bdi>`, html`<bdi>${reason}</bdi>`]),
      )}${more(broken.images, files.length, full)}</section>
  `;
}

function duplicateSection({ duplicates }: CheckReport, pictures: Pictures, full: string): Html | string {
  const { groups, images: copies, across_parts, across_classes, files } = duplicates;
  if (groups === 0) return "";
  const shown = files.slice(0, Pictured.duplicates);
  const sets = (count: number, one: string, many: string) =>
    count === 1 ? `One set ${one}` : `${number(count)} sets ${many}`;
  const warnings = [
    ...(across_parts === 0
      ? []
      : [`${sets(across_parts, "lies", "lie")} in several parts: what is tested with was seen in training.`]),
    ...(across_classes === 0
      ? []
      : [`${sets(across_classes, "has", "have")} several labels, of which at most one can be right.`]),
  ];
  return html`
    <section>
      <h2>Equal images: ${number(groups)} ${groups === 1 ? "set" : "sets"}</h2>
      <p>The same bytes; ${number(copies)} could go. ${warnings.join(" ")}</p>
      <ul class="cards">${shown.map((group) => pictures.equal(group))}</ul>
    ${more(groups, shown.length, full)}</section>
  `;
}

function sizeSection(report: CheckReport, pictures: Pictures): Html | string {
  const { sizes, turned } = report;
  if (sizes === null) return "";
  return html`
    <section>
      <h2>Sizes</h2>
      <p>In pixels, as a viewer shows the images${turned === 0
        ? ""
        : `; ${images(turned)} turned or mirrored by their orientation`}.</p>
    ${table(["", "least", "5 %", "median", "95 %", "most"], [
      distributionRow("width", sizes.width),
      distributionRow("height", sizes.height),
      distributionRow("width / height", sizes.aspect),
    ])}${countRows(
      "shorter side",
      sizes.shorter_side.map(({ from, to, images }) =>
        [from === to - 1 ? String(from) : `${from} to ${to - 1}`, images] as const
      ),
    )}${extremesOf(report).map(([title, list]) =>
      html`
        <h3>${title}</h3>
        <ul class="cards">${list.map(({ path, width, height }) =>
          pictures.card(path, `${width} x ${height}`)
        )}</ul>
      `
    )}</section>
  `;
}

function pictureSection(title: string, words: string, count: number, cards: readonly Html[]): Html | string {
  if (count === 0) return "";
  const others = count - cards.length;
  return html`
    <section>
      <h2>${title}: ${number(count)}</h2>
      <p>${words}${others > 0 ? ` The first ${cards.length}:` : ""}</p>
      <ul class="cards">${cards}</ul>
    </section>
  `;
}

function misnamedSection({ misnamed }: CheckReport, full: string): Html | string {
  if (misnamed.images === 0) return "";
  const files = misnamed.files.slice(0, MOST_NAMED);
  return html`
    <section>
      <h2>Endings of other formats: ${number(misnamed.images)}</h2>
      <p>They are read by what they hold, here; other programs may go by the name.</p>
    ${table(["file", "format"], files.map(({ path, format }) => [html`<bdi>${path}</bdi>`, format]))}${more(
      misnamed.images,
      files.length,
      full,
    )}</section>
  `;
}

function kindSection({ formats, colors, depths, animated }: CheckReport): Html | string {
  if (Object.keys(formats).length === 0) return "";
  return html`
    <section>
      <h2>Kinds</h2>
      ${animated === 0
        ? ""
        : html`<p>${images(animated)} with further frames, of which the first is read.</p>`}
      <div class="tables">
    ${factsTable("format", formats)}${factsTable("channels", colors)}${factsTable("bits", depths)}</div>
    </section>
  `;
}
