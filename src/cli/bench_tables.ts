/** What `mae bench` found, as tables for people. */

import type {
  ConfigReport,
  KernelReport,
  Machine,
  PeerReport,
  RateReport,
  SplitReport,
  StepReport,
} from "../bench/report.ts";
import { formatBytes } from "../gpu/guards.ts";
import { count, plural, rate } from "./format.ts";
import { columnsOf, printable } from "./terminal.ts";

/** Where it ran and what that machine can do. */
export function machineTable({ mae, deno, system, cores, adapter, peaks }: Machine): string {
  const { f32, f16, buffers, textures, family } = peaks;
  const bandwidth = [
    `${rate(buffers)} GB/s from buffer to buffer`,
    ...(textures === null ? [] : [`${rate(textures)} through textures`]),
  ];
  const halves = f16 === null ? "" : `, ${rate(f16)} in half precision`;
  return `Machine\n${
    columnsOf([
      ["program", `mae ${mae}, Deno ${deno}, ${system}, ${plural(cores, "logical core")}`],
      ["adapter", `${printable(adapter.description)}${adapter.software ? " (software)" : ""}`],
      ["features", adapter.features.join(", ") || "none"],
      ["kernels", `for ${family}`],
      ["arithmetic", `${rate(f32)} GFLOP/s${halves}`],
      ["memory", bandwidth.join(", ")],
    ])
  }`;
}

/** Everything about one configuration. */
export function configTables(report: ConfigReport): string {
  const { step, peers, finetune, finetunePeers, features, featuresPeers, kernels } = report;
  const parts = [
    title(report),
    ...(step ? wholeTables("Training step", step, peers) : []),
    ...(finetune ? wholeTables("Fine-tuning step", finetune, finetunePeers) : []),
    ...(features ? wholeTables("Features", features, featuresPeers) : []),
    ...(kernels ? [kernelTable(kernels)] : []),
  ];
  return parts.join("\n\n");
}

/** What was measured as a whole, beside rivals and kernel by kernel. */
function wholeTables(name: string, step: StepReport, peers?: readonly PeerReport[]): string[] {
  return [stepTable(name, step), ...(peers ? [peerTable(name, peers)] : []), splitTable(name, step.split)];
}

function title(
  { name, imageSize, patchSize, encoder, decoder, batch, precision, remat }: ConfigReport,
): string {
  const stack = ({ width, depth, heads }: typeof encoder) => `${width}x${depth}x${heads}`;
  const side = ([height, width]: readonly [number, number]) =>
    height === width ? `${height}` : `${height}x${width}`;
  return `${name}: ${side(imageSize)}/${side(patchSize)}, encoder ${stack(encoder)}, decoder ${
    stack(decoder)
  }, batch ${batch}, ${precision}${remat ? ", remat" : ""}`;
}

function stepTable(name: string, step: StepReport): string {
  const { imagesPerSecond, millisecondsPerStep, gflops, share, parameters, operations, overF32 } = step;
  const beside = overF32 === undefined ? "" : `; ${rate(overF32)} times the rate in f32`;
  return `${name}: ${rate(imagesPerSecond)} images/s, ${milliseconds(millisecondsPerStep)} (median of ${
    plural(step.steps, "step")
  }), ${memoryText(step)}
${count(parameters)} parameters, ${rate(operations / 1e9)} GFLOP a step: ${rate(gflops)} GFLOP/s, ${
    percentage(share)
  } of the peak${beside}`;
}

function splitTable(name: string, split: SplitReport | null): string {
  if (split === null) return "This device gives no times of single kernels.";
  const { kernels, outside, spread, millisecondsPerStep, profiledMillisecondsPerStep } = split;
  const small = kernels.filter(({ share }) => share < 0.005);
  const rows = [
    ...kernels.filter(({ share }) => share >= 0.005),
    ...(small.length === 0 ? [] : [sumOf(`${plural(small.length, "other kind")}`, small)]),
  ].map((group) => [group.name, `${group.dispatches}`, fixed(group.milliseconds), percentage(group.share)]);
  return `${name}, time by kernel, of ${milliseconds(millisecondsPerStep)} a step (${
    milliseconds(profiledMillisecondsPerStep)
  } with every kernel timed)\n${
    table(["", "dispatches", "ms", "share"], [
      ...rows,
      ["outside kernels", "", fixed(outside.milliseconds), percentage(outside.share)],
    ])
  }${spread < mostSpread ? "" : `\n${restless(spread)}`}`;
}

/** Above this the shares of a split are doubtful. */
const mostSpread = 0.05;

function restless(spread: number): string {
  return `  Doubtful: equal steps before and after differed by ${
    percentage(spread)
  }; another program may be busy.`;
}

type Group = SplitReport["kernels"][number];

function sumOf(name: string, groups: readonly Group[]): Group {
  const add = (value: (group: Group) => number) => groups.reduce((sum, group) => sum + value(group), 0);
  return {
    name,
    dispatches: add((group) => group.dispatches),
    milliseconds: add((group) => group.milliseconds),
    share: add((group) => group.share),
  };
}

function peerTable(name: string, peers: readonly PeerReport[]): string {
  const rows = peers.map(({ peer, variant, imagesPerSecond, ratio, note }) => [
    `${peer} ${printable(variant)}`.trim(),
    imagesPerSecond === null ? "-" : rate(imagesPerSecond),
    ratio === null ? "-" : rate(ratio),
    printable(note),
  ]);
  return `${name}, rivals\n${table(["", "images/s", "ours over it", ""], rows)}`;
}

function kernelTable(kernels: readonly KernelReport[]): string {
  const compared = kernels.some(({ peerRate }) => peerRate !== undefined);
  const rows = kernels.map((kernel) => {
    const { peerRate } = kernel;
    return [
      kernel.name,
      kernel.sizes,
      `${kernel.count}`,
      fixed(kernel.milliseconds),
      `${rate(kernel.rate)} ${kernel.bound === "arithmetic" ? "GFLOP/s" : "GB/s"}`,
      percentage(kernel.share),
      ...(compared ? [peerRate === undefined ? "" : rate(peerRate)] : []),
    ];
  });
  const total = kernels.reduce((sum, { count, milliseconds }) => sum + count * milliseconds, 0);
  const head = ["kernel", "sizes", "a step", "ms", "rate", "of peak", ...(compared ? ["PyTorch"] : [])];
  return `Kernels by themselves, ${milliseconds(total)} a step\n${table(head, rows)}`;
}

/** Columns under a head; those that hold numbers are aligned to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const numeric = head.map((_, i) => rows.every((row) => /^(-|<? ?-?[\d.]+( .*)?)?$/.test(row[i])));
  return columnsOf(all.map((row) => row.map((cell, i) => numeric[i] ? cell.padStart(widths[i]) : cell)));
}

function milliseconds(value: number): string {
  return `${fixed(value)} ms`;
}

/** Three digits, never an exponent. */
function fixed(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : `${+value.toPrecision(3)}`;
}

function percentage(share: number): string {
  return `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %`;
}

function memoryText({ peakBytes, residentBytes }: RateReport): string {
  return `${formatBytes(peakBytes)} on the device, process ${formatBytes(residentBytes)}`;
}
