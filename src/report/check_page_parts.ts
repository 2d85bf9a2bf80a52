/** Tables of the page of a check. */

import type { CheckReport, ClassCount, Distribution } from "../check/check_report.ts";
import { type Html, html, type HtmlValue } from "./html.ts";

/** Classes that are listed from either end, where there are many. */
const MOST_CLASSES = 40;
/** Pixels of the longest bar. */
const BAR = 160;

const number = (value: number): string => value.toLocaleString("en");

/** A table with a heading for each column; the first cell of a row is its heading. */
export function table(heads: readonly string[], rows: readonly (readonly HtmlValue[])[]): Html {
  return html`
    <div class="scroll">
      <table>
        <thead>
          <tr>${heads.map((head) => head === "" ? html`<td></td>` : html`<th scope="col">${head}</th>`)}</tr>
        </thead>
        <tbody>
    ${rows.map(([first, ...cells]) =>
      html`
        <tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
      `
    )}</tbody>
      </table>
    </div>
  `;
}

/** Numbers of images with bars. */
export function countRows(
  head: string,
  counts: readonly (readonly [word: string, images: number])[],
): Html {
  const most = counts.reduce((largest, [, images]) => Math.max(largest, images), 1);
  return table(
    [head, "images", ""],
    counts.map(([word, images]) => [html`<bdi>${word}</bdi>`, number(images), bar(images / most)]),
  );
}

/** The same for an object. */
export function factsTable(head: string, counts: Readonly<Record<string, number>>): Html {
  return countRows(head, Object.entries(counts));
}

/** A bar; it says nothing that the number beside it does not. */
function bar(share: number): Html {
  const width = share > 0 ? Math.max(1, Math.round(share * BAR)) : 0;
  return html`
    <svg width="${BAR}" height="10" aria-hidden="true">
      <rect width="${width}" height="10" rx="2" />
    </svg>
  `;
}

/** How a number is spread. */
export function distributionRow(name: string, { min, p5, median, p95, max }: Distribution): string[] {
  return [name, ...[min, p5, median, p95, max].map((value) => String(+value.toPrecision(value < 1 ? 2 : 5)))];
}

/** Classes with their images; of many the largest and the smallest. */
export function classSection({ classes, parts }: CheckReport): Html | string {
  if (classes === null) return "";
  const { list, unlabelled, imbalance, missing } = classes;
  const order = [...list].sort((a, b) => b.images - a.images);
  const left = order.length - 2 * MOST_CLASSES;
  const shown = left > 0 ? [...order.slice(0, MOST_CLASSES), ...order.slice(-MOST_CLASSES)] : order;
  const facts = [
    imbalance === 1
      ? "All have as many images."
      : `The largest has ${imbalance} times as many images as the smallest.`,
    ...(left > 0 ? [`The ${MOST_CLASSES} largest and the ${MOST_CLASSES} smallest:`] : []),
    ...(unlabelled === 0 ? [] : [`${number(unlabelled)} images have no class.`]),
    ...(missing.length === 0 ? [] : [
      `Missing: ${missing.slice(0, 5).map(({ name, part }) => `${name} in ${part}`).join(", ")}${
        missing.length > 5 ? " and others" : ""
      }.`,
    ]),
  ];
  const most = order[0].images;
  const row = ({ name, images, parts: own }: ClassCount): HtmlValue[] => [
    html`<bdi>${name}</bdi>`,
    ...(parts.length > 1 ? own.map(number) : []),
    number(images),
    bar(images / most),
  ];
  const heads = ["class", ...(parts.length > 1 ? parts.map((part) => part.name) : []), "images", ""];
  return html`
    <section>
      <h2>Classes: ${number(list.length)}</h2>
      <p>${facts.join(" ")}</p>
    ${table(heads, shown.map(row))}</section>
  `;
}
