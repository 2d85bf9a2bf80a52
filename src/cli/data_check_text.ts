/** The report of a check as text. */

import type { CheckReport, Distribution } from "../check/check_report.ts";
import { accuracy, plural, storage } from "./format.ts";
import { columnsOf, printable } from "./terminal.ts";

/** Files of a kind that are named; of the others the number is told. */
const NAMED = 10;
/** Sets of equal images that are named. */
const SETS = 5;

/** All that the report says, shortened. */
export function reportText(report: CheckReport): string {
  const { broken, misnamed, uniform, odd_colors } = report;
  return [
    columnsOf(facts(report)),
    named("Broken", broken.images, broken.files.map(({ path, reason }) => [path, reason])),
    equalText(report),
    named(
      "Ending of another format",
      misnamed.images,
      misnamed.files.map((file) => [file.path, file.format]),
    ),
    named("Nearly one colour", uniform.images, uniform.files.map(({ path }) => [path])),
    named(
      "Other channels than most",
      odd_colors.images,
      odd_colors.files.map(({ path, colors, channels }) => [
        path,
        colors === "bands" ? plural(channels, "band") : colors,
      ]),
    ),
    classText(report),
  ].filter((part) => part !== "").join("\n\n");
}

function facts(report: CheckReport): string[][] {
  const { images, readable, bytes, broken, duplicates, sizes, parts, others } = report;
  return [
    ["images", `${images}${parts.length > 1 ? `: ${shares(parts.map((p) => [p.name, p.images]))}` : ""}`],
    ["readable", `${readable}, ${storage(bytes)}`],
    ["broken", broken.images === 0 ? "none" : `${broken.images} (${accuracy(broken.images / images)})`],
    ["equal", equalFact(duplicates)],
    ...(readable === 0 ? [] : [
      ["formats", shares(Object.entries(report.formats))],
      ["channels", shares(Object.entries(report.colors))],
      ["depth", shares(Object.entries(report.depths).map(([bits, count]) => [`${bits} bits`, count]))],
    ]),
    ...(sizes === null ? [] : [
      ["width", spreadText(sizes.width)],
      ["height", spreadText(sizes.height)],
      ["width/height", spreadText(sizes.aspect)],
    ]),
    ...extremeRows(report),
    ...(report.turned === 0 ? [] : [["turned", `${report.turned} by their orientation`]]),
    ...(report.animated === 0 ? [] : [["animated", `${report.animated}, of which the first frame is read`]]),
    ...(others === 0 ? [] : [["passed over", plural(others, "other file")]]),
  ];
}

/** "JPEG 1200, PNG 4", the first eight. */
function shares(counts: readonly (readonly [word: string, count: number])[]): string {
  const shown = counts.slice(0, 8).map(([word, count]) => `${printable(word)} ${count}`);
  return [...shown, ...(counts.length > 8 ? [`${counts.length - 8} others`] : [])].join(", ");
}

function equalFact({ groups, images, across_parts, across_classes }: CheckReport["duplicates"]): string {
  if (groups === 0) return "none";
  return [
    `${plural(images, "copy", "copies")} in ${plural(groups, "set")}`,
    ...(across_parts === 0 ? [] : [`${across_parts} across parts`]),
    ...(across_classes === 0 ? [] : [`${across_classes} with several labels`]),
  ].join(", ");
}

function spreadText({ min, p5, median, p95, max }: Distribution): string {
  const short = (value: number) => +value.toPrecision(value < 1 ? 2 : 5);
  if (min === max) return `${short(min)}`;
  const [from, low, middle, high, to] = [min, p5, median, p95, max].map(short);
  return `${from} to ${to}; median ${middle}, nine tenths from ${low} to ${high}`;
}

function extremeRows({ extremes, sizes }: CheckReport): string[][] {
  if (sizes === null || (sizes.width.min === sizes.width.max && sizes.height.min === sizes.height.max)) {
    return [];
  }
  return ([["smallest", extremes.smallest], ["largest", extremes.largest]] as const).flatMap(
    ([name, [first]]) =>
      first === undefined ? [] : [[name, `${first.width} x ${first.height}, ${printable(first.path)}`]],
  );
}

function named(title: string, count: number, files: readonly (readonly string[])[]): string {
  if (count === 0) return "";
  const shown = files.slice(0, NAMED).map((words) => words.map(printable));
  const left = count - shown.length;
  return [`${title}: ${count}`, columnsOf(shown), ...(left > 0 ? [`  and ${left} more`] : [])].join("\n");
}

function equalText({ duplicates: { groups, files } }: CheckReport): string {
  if (groups === 0) return "";
  const sets = files.slice(0, SETS).map(({ images, paths, across_parts, across_classes }) => {
    const marks = [...(across_parts ? ["across parts"] : []), ...(across_classes ? ["several labels"] : [])];
    const shown = paths.slice(0, 4).map(printable);
    const left = images - shown.length;
    return [
      `  ${[plural(images, "image"), ...marks].join(", ")}`,
      ...shown.map((path) => `    ${path}`),
      ...(left > 0 ? [`    and ${left} more`] : []),
    ].join("\n");
  });
  const left = groups - sets.length;
  return [`Equal: ${plural(groups, "set")}`, ...sets, ...(left > 0 ? [`  and ${left} more sets`] : [])].join(
    "\n",
  );
}

function classText({ classes }: CheckReport): string {
  if (classes === null) return "";
  const { list, unlabelled, imbalance, missing } = classes;
  const order = [...list].sort((a, b) => b.images - a.images);
  const shown = order.length > 2 * SETS ? [...order.slice(0, SETS), ...order.slice(-SETS)] : order;
  const rows = shown.map(({ name, images, parts }) => [
    printable(name),
    String(images),
    ...(parts.length > 1 ? [parts.join(" + ")] : []),
  ]);
  if (order.length > shown.length) rows.splice(SETS, 0, [`… ${order.length - shown.length} others`]);
  return [
    `Classes: ${list.length}, ${
      imbalance === 1 ? "all of one size" : `the largest ${imbalance} times the smallest`
    }${unlabelled === 0 ? "" : `, ${plural(unlabelled, "image")} without one`}`,
    columnsOf(rows),
    ...(missing.length === 0
      ? []
      : [`  Missing: ${
        missing.slice(0, NAMED).map(({ name, part }) => `${name} in ${part}`).map(printable).join(", ")
      }`]),
  ].join("\n");
}
