/** `mae data pack` */

import type { PackEvent, PackResult } from "../pack/pack.ts";
import { InputError } from "../util/errors.ts";
import { baseName } from "../util/files.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { count, plural, storage } from "./format.ts";
import { required, wordOf } from "./frozen.ts";
import { Progress } from "./progress.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";
import { countOf } from "./values.ts";

const toFlag: Flag = {
  name: "to",
  value: "DIR",
  help: "folder for the shards: new, empty, or one of shards with the same classes",
};
const SHARD_SIZE = "1GB";

/** `mae data pack` */
export const pack: Command = {
  name: "data pack",
  summary: "write images as WebDataset shards, and read them back to be sure",
  argument: { name: "SOURCE", help: "a folder of images, searched recursively, a table of paths, or shards" },
  flags: [
    toFlag,
    {
      name: "name",
      value: "NAME",
      help: "shards are NAME-000000.tar and so on; the source's name by default",
    },
    { name: "shard-size", value: "SIZE", help: `bytes of a shard, such as 500MB; ${SHARD_SIZE} by default` },
    { name: "samples", value: "N", help: "most images of a shard" },
    { name: "on-error", value: "POLICY", help: "skip or stop at a broken image; skip by default" },
    { name: "unchecked", help: "do not decode the images to see whether they are broken" },
    { name: "unlabelled", help: "write no labels, although there are some" },
    { name: "workers", value: "N", help: "threads that decode; one per core, at most 8, by default" },
    { name: "quiet", help: "print only warnings and results" },
  ],
  details: () =>
    `Images are copied byte for byte. Labels come from a table's column, from shards, or from folders: where all images lie in
some, the first is the class. KEY.cls holds its number, classes.json the names. Every shard is read back and compared before
it gets its name; NAME-000000.index.safetensors is its table, NAME.json the list of all shards with their SHA-256. An attempt
that was cut off goes on when the same command is given again. More in docs/data.md.`,
  run,
};

/** Broken images that are named; the others are only counted. */
const NAMED = 20;

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const to = required(args, toFlag, "data pack");
  const [root = ""] = args.all;
  const options = {
    to,
    name: nameOf(args, root),
    shardBytes: parseSize(args.value("shard-size") ?? SHARD_SIZE),
    shardSamples: countOf(args, "samples"),
    onBroken: wordOf(args, "on-error", ["skip", "stop"]) ?? "skip",
    check: !args.has("unchecked"),
  };
  const workers = countOf(args, "workers");
  const { automaticWorkers } = await import("../data/loader.ts");
  const { packShards } = await import("../pack/pack.ts");
  const { openForPacking } = await import("../pack/pack_source.ts");
  const progress = new Progress(terminal, args.has("quiet"));
  const { source, labels } = await openForPacking(root, {
    unlabelled: args.has("unlabelled"),
    onNotice: (message) => progress.show({ kind: "notice", message }),
  });
  const result = await packShards({
    ...options,
    source,
    labels,
    workers: workers ?? automaticWorkers(),
    onEvent: shower(progress, source.length),
  });
  terminal.print(`\n${columnsOf(summary(result, labels?.classes))}`);
  return 0;
}

/** Shows what happens. */
function shower(progress: Progress, length: number): (event: PackEvent) => void {
  let named = 0;
  return (event) => {
    switch (event.kind) {
      case "done":
        return progress.show({ kind: "progress", what: "packed", share: event.samples / length });
      case "resume": {
        const message = `Going on after ${plural(event.shards, "finished shard")}`;
        return progress.show({ kind: "notice", message });
      }
      case "broken":
        if (named++ < NAMED) {
          const message = `${event.path} is left out: ${event.reason}`;
          progress.show({ kind: "warning", message });
        }
        if (named === NAMED + 1) progress.show({ kind: "warning", message: "Further ones are only counted" });
    }
  };
}

function summary(
  { shards, samples, bytes, broken, listing }: PackResult,
  classes?: readonly string[],
): string[][] {
  return [
    ["written", printable(listing)],
    ["shards", `${shards.length}, ${storage(bytes)}, read back and compared`],
    ["images", `${count(samples)}${broken === 0 ? "" : `, and ${plural(broken, "broken one")} left out`}`],
    ["labels", classes ? plural(classes.length, "class", "classes") : "none"],
  ];
}

function nameOf(args: Arguments, root: string): string {
  const given = args.value("name");
  const name = given ??
    (baseName(root).replace(/[^A-Za-z0-9_.-]+/g, "_").replace(/^[._-]+|[.]+$/g, "") || "images");
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(name) && name !== "classes") return name;
  throw new InputError(
    `--name must be letters, digits, "-", "_" and ".", and not "classes"; "${name}" is not`,
  );
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
/** Smallest shard: headers take 3 kB of one image. */
const LEAST = 10_000;

/** Bytes of `500MB`, `1.5 GiB` or a plain number. */
export function parseSize(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  const bytes = Math.round(Number(number) * factor);
  if (Object.hasOwn(UNITS, unit.toLowerCase()) && Number.isSafeInteger(bytes) && bytes >= LEAST) return bytes;
  throw new InputError(`--shard-size must be a size of at least 10kB, such as 500MB or 2GiB, not "${text}"`);
}
