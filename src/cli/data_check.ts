/** `mae data check` */

import type { CheckReport } from "../check/check_report.ts";
import type { CheckedSet } from "../check/check_set.ts";
import type { ScanEvent, ScanResult } from "../check/scan.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { joinPath, pathExists, writeFileAtomic } from "../util/files.ts";
import type { Arguments, Command } from "./command.ts";
import { reportText } from "./data_check_text.ts";
import { duration, plural, rate } from "./format.ts";
import { Progress } from "./progress.ts";
import { exitCodeOf, listenForStop, type StopSignal } from "./signals.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";
import { countOf } from "./values.ts";

/** `mae data check` */
export const check: Command = {
  name: "data check",
  summary: "look at every image of a data set: broken ones, duplicates, sizes, classes",
  argument: {
    name: "SOURCE",
    help:
      "a folder of images, searched recursively, a table, or whatever else data.train takes; several are checked " +
      "together, such as the images to train and to validate with",
    repeatable: true,
  },
  flags: [
    { name: "out", value: "DIR", help: "write check.json and the page check.html into this folder" },
    { name: "json", help: "print JSON in place of text" },
    { name: "strict", help: "exit with 1 for equal images too" },
    { name: "fresh", help: "do not go on from a scan that was cut off" },
    {
      name: "path-column",
      value: "NAME",
      help: "column of paths, where tables name it otherwise than most",
    },
    { name: "label-column", value: "NAME", help: "column of labels, likewise" },
    { name: "workers", value: "N", help: "threads that decode; one per core, at most 8, by default" },
    { name: "quiet", help: "print only warnings and results" },
  ],
  details: () =>
    `Every image is decoded to its end and hashed. A check that is interrupted goes on when the same command is given again:
what it knows lies in DIR/check.scan, or without --out in the user's cache folder. Exit code: 0 when every image can be
read, 1 when some cannot, or with --strict when some are equal. More in docs/data.md.`,
  run,
};

/** Names of what is written. */
const FILES = { json: "check.json", page: "check.html", scan: "check.scan" } as const;

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const workers = countOf(args, "workers");
  const out = args.value("out");
  const { openCheckedSet } = await import("../check/check_set.ts");
  const { automaticWorkers } = await import("../data/loader.ts");
  const { scanImages } = await import("../check/scan.ts");
  const { summarize } = await import("../check/check.ts");
  const columns = { path: args.value("path-column") ?? null, label: args.value("label-column") ?? null };
  const progress = new Progress(terminal, args.has("quiet") || args.has("json"));
  const set = await openCheckedSet(args.all, {
    columns,
    onNotice: (message) => progress.show({ kind: "notice", message }),
  });
  if (out !== undefined) await prepareFolder(out);
  const path = await scanPath(out, args.all);
  if (args.has("fresh") && path !== undefined) await Deno.remove(path).catch(() => {});

  const stop = new AbortController();
  let stoppedBy: StopSignal | undefined;
  using _listening = listenForStop((signal) => {
    stoppedBy = signal;
    stop.abort();
  });
  const result = await scanImages({
    source: set.source,
    workers: workers ?? automaticWorkers(),
    path,
    signal: stop.signal,
    onEvent: shower(progress, set.source.length),
  });
  if (!result.isComplete) {
    terminal.printError(stoppedText(result, set.source.length, path));
    return exitCodeOf(stoppedBy ?? "SIGINT");
  }
  const { report, samples } = summarize(set, result.records, args.all);
  terminal.print(args.has("json") ? JSON.stringify(report, null, 2) : `\n${reportText(report)}`);
  if (out !== undefined) {
    await writeReport(out, set, report, samples, args.has("json") ? undefined : terminal);
  }
  await result.forget();
  return exitCode(report, args.has("strict"));
}

function exitCode({ broken, duplicates }: CheckReport, strict: boolean): number {
  return broken.images > 0 || (strict && duplicates.images > 0) ? 1 : 0;
}

function stoppedText({ done }: ScanResult, length: number, path: string | undefined): string {
  const after = `Interrupted after ${done} of ${plural(length, "image")}`;
  return path === undefined ? `${after}; nothing was kept` : `${after}; the same command goes on from there`;
}

/** Shows what happens. */
function shower(progress: Progress, length: number): (event: ScanEvent) => void {
  let start = performance.now(), before = 0;
  return (event) => {
    switch (event.kind) {
      case "resume": {
        before = event.images;
        start = performance.now();
        const again = event.changed === 0
          ? ""
          : `; ${event.changed} are looked at again, because files among them have changed`;
        const message = `Going on after ${plural(event.images, "image")}${again}`;
        return progress.show({ kind: "notice", message });
      }
      case "afresh":
        return progress.show({
          kind: "notice",
          message: "The data set is not what it was when a scan of it was cut off; this one begins anew",
        });
      case "warning":
        return progress.show(event);
      case "done": {
        const { images, broken } = event;
        const perSecond = (images - before) / Math.max(1e-3, (performance.now() - start) / 1000);
        const facts = [
          `${images} of ${length}`,
          `${duration((length - images) / perSecond)} left`,
          `${rate(perSecond)} images/s`,
          `${broken} broken`,
        ];
        return progress.show({ kind: "progress", what: "checked", share: images / length, facts });
      }
    }
  };
}

/** Makes the folder for the report, before any work. Throws `InputError` where it holds a file of that name that is no report. */
async function prepareFolder(out: string): Promise<void> {
  const { REPORT_KIND } = await import("../check/check_report.ts");
  try {
    await Deno.mkdir(out, { recursive: true });
  } catch (error) {
    throw new InputError(`--out ${out} cannot be made a folder: ${messageOf(error)}`);
  }
  const path = joinPath(out, FILES.json);
  if (!await pathExists(path)) return;
  const begin = (await Deno.readTextFile(path).catch(() => "")).slice(0, 200);
  if (begin.includes(REPORT_KIND)) return; // an earlier report, to be replaced
  throw new InputError(
    `--out ${out} holds a ${FILES.json} that is no report of mae data check; choose another folder`,
  );
}

/** The file of the scan; undefined where there is no place for one. */
async function scanPath(out: string | undefined, roots: readonly string[]): Promise<string | undefined> {
  if (out !== undefined) return joinPath(out, FILES.scan);
  const { cacheFolder, permitted } = await import("../util/cache_folder.ts");
  const cache = cacheFolder();
  if (cache === null || !permitted("write", cache) || !permitted("read", cache)) return undefined;
  const folder = joinPath(cache, "checks");
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch {
    return undefined; // a home that cannot be written to
  }
  const { isAbsolute } = await import("../sources/manifest_paths.ts");
  const places = roots.map((root) => isAbsolute(root) ? root : joinPath(Deno.cwd(), root));
  const key = new TextEncoder().encode(JSON.stringify(places));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", key)).subarray(0, 16);
  return joinPath(folder, `${hash.toHex()}.scan`);
}

/** Writes the report as JSON and as a page. */
async function writeReport(
  out: string,
  { source }: CheckedSet,
  report: CheckReport,
  samples: ReadonlyMap<string, number>,
  terminal: Terminal | undefined,
): Promise<void> {
  const { thumbnailOf } = await import("../check/thumbnail.ts");
  const { checkPage, picturedPaths, THUMBNAIL_SIDE } = await import("../report/check_page.ts");
  const thumbnails = new Map<string, NonNullable<Awaited<ReturnType<typeof thumbnailOf>>>>();
  for (const path of picturedPaths(report)) {
    const sample = samples.get(path);
    const picture = sample === undefined ? null : await thumbnailOf(source, sample, THUMBNAIL_SIDE);
    if (picture !== null) thumbnails.set(path, picture);
  }
  const files = [
    ["report", joinPath(out, FILES.json), `${JSON.stringify(report, null, 2)}\n`],
    ["page", joinPath(out, FILES.page), await checkPage({ report, thumbnails, full: FILES.json })],
  ] as const;
  for (const [, path, content] of files) {
    try {
      await writeFileAtomic(path, content);
    } catch (error) {
      throw new RunError(`${path} could not be written (${messageOf(error)}); give the same command again`);
    }
  }
  terminal?.print(`\n${columnsOf(files.map(([name, path]) => [name, printable(path)]))}`);
}
