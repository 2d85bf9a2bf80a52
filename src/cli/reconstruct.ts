/** `mae reconstruct` */

import type { MaskConfig } from "../config/types.ts";
import { lossText, meanScores, psnrText, settingTitles } from "../report/reconstructions.ts";
import type { ReconstructedImages } from "../train/pictures/reconstruct_images.ts";
import type { ReconstructImagesOptions } from "../train/pictures/reconstruction_plan.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { directoryOf, joinPath, refuseExisting } from "../util/files.ts";
import project from "../../deno.json" with { type: "json" };
import type { Arguments, Command, Flag } from "./command.ts";
import { plural } from "./format.ts";
import { fromFlag, headsFlag, required, sizeOf, wordOf } from "./frozen.ts";
import { listAll } from "./images.ts";
import { shellWord } from "./invocation.ts";
import { Progress } from "./progress.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";
import { backendOf, countOf } from "./values.ts";

const FIGURE = "reconstructions.png";
/** Images drawn unless more are asked for. */
const COUNT = 24;
const samplings = ["random", "block", "grid"] as const satisfies readonly MaskConfig["sampling"][];

const from: Flag = {
  ...fromFlag,
  help:
    "the masked autoencoder: a run of mae pretrain, or a checkpoint of any kind with its decoder; required",
};

const flags: readonly Flag[] = [
  from,
  { name: "out", value: "PATH", help: `the figure, NAME.png, or a folder for it; ${FIGURE} by default` },
  { name: "html", value: "FILE", help: "the page; beside the figure under its name by default" },
  { name: "no-html", help: "write no page" },
  { name: "force", help: "replace files that are there" },
  {
    name: "mask-ratio",
    value: "LIST",
    help: "shares of patches to remove, as 0.75,0.85,0.95; the checkpoint's, or 0.75, by default",
  },
  {
    name: "sampling",
    value: "LIST",
    help: `how they are chosen: ${samplings.join(", ")}, or several; random by default`,
  },
  { name: "seed", value: "LIST", help: "seeds of the masks, as 0,1,2; 0 by default" },
  {
    name: "image-size",
    value: "N",
    help: "side of the pictures in pixels, or HxW; the checkpoint's by default",
  },
  { name: "fit", value: "NAME", help: "crop the centre, or stretch; crop by default" },
  {
    name: "target",
    value: "NAME",
    help: "what the model predicts, pixels or normalized patches; the checkpoint's by default",
  },
  {
    name: "count",
    value: "N",
    help: `most images drawn, taken from all over those given; ${COUNT} by default`,
  },
  headsFlag,
  { name: "decoder-heads", value: "N", help: "attention heads of the decoder, likewise" },
  { name: "backend", value: "NAME", help: "auto, webgpu or cpu" },
  { name: "quiet", help: "print only warnings and results" },
];

/** `mae reconstruct` */
export const reconstruct: Command = {
  name: "reconstruct",
  summary: "mask images, and draw what a masked autoencoder makes of them",
  argument: { name: "IMAGE", help: "an image file or a folder of images", repeatable: true },
  flags,
  details: () =>
    `The figure shows, for every ratio with every sampling with every seed: masked, reconstruction, and the reconstruction
with the visible patches of the original. The page has a slider between them. Images that are missing or cannot be
read are named and left out: the exit code is then 1, and 2 where none of them is there. More in docs/reconstruct.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const checkpoint = required(args, from, "reconstruct");
  const options = optionsOf(args);
  const files = await filesOf(args);
  let missing = 0;
  const source = await listAll(args.all, ({ path, reason }) => {
    missing++;
    terminal.printError(`Warning: Skipping ${printable(path)}: ${printable(reason)}`);
  });
  const { reconstructImages } = await import("../train/pictures/reconstruct_images.ts");
  const progress = new Progress(terminal, args.has("quiet"));
  const result = await reconstructImages(checkpoint, source, {
    ...options,
    onEvent: (event) => progress.show(event),
  });
  await write(result, files, checkpoint, commandLine(args));
  terminal.print(`\n${columnsOf(scores(result))}\n\n${columnsOf(written(result, files))}`);
  return missing + result.broken.length > 0 ? 1 : 0;
}

function optionsOf(args: Arguments): ReconstructImagesOptions {
  const target = wordOf(args, "target", ["pixels", "normalized"]);
  return {
    ratios: listOf(args, "mask-ratio", "a share above 0 and below 1", (text) => {
      const ratio = Number(text);
      return ratio > 0 && ratio < 1 ? ratio : undefined;
    }),
    samplings: listOf(
      args,
      "sampling",
      "random, block or grid",
      (text) => samplings.find((name) => name === text),
    ),
    seeds: listOf(args, "seed", "a whole number from 0", (text) => {
      const seed = Number(text);
      return text !== "" && Number.isSafeInteger(seed) && seed >= 0 ? seed : undefined;
    }),
    imageSize: sizeOf(args),
    fit: wordOf(args, "fit", ["crop", "stretch"]),
    normalizedTarget: target && target === "normalized",
    count: countOf(args, "count") ?? COUNT,
    heads: countOf(args, "heads"),
    decoderHeads: countOf(args, "decoder-heads"),
    backend: backendOf(args),
  };
}

/** `--flag a,b,c`, each part read by `parse`; undefined where the flag was not given. */
function listOf<Value>(
  args: Arguments,
  flag: string,
  allowed: string,
  parse: (text: string) => Value | undefined,
): Value[] | undefined {
  return args.value(flag)?.split(",").map((part) => {
    const value = parse(part.trim());
    if (value !== undefined) return value;
    throw new InputError(
      `--${flag} must be ${allowed}, or several with commas between, not "${part.trim()}"`,
    );
  });
}

/** Where the figure and the page go; a page that is not wanted is null. */
interface Files {
  readonly figure: string;
  readonly page: string | null;
}

async function filesOf(args: Arguments): Promise<Files> {
  const out = args.value("out") ?? FIGURE;
  const figure = /\.png$/i.test(out) ? out : joinPath(out, FIGURE);
  if (args.has("no-html") && args.has("html")) {
    throw new InputError("Give --html FILE or --no-html, not both");
  }
  const page = args.has("no-html") ? null : args.value("html") ?? figure.replace(/\.png$/i, ".html");
  if (page !== null && !/\.html?$/i.test(page)) throw new InputError(`--html ${page} must end in .html`);
  await refuseExisting("--out", figure, args.has("force"));
  if (page !== null) await refuseExisting("--html", page, args.has("force"));
  return { figure, page };
}

async function write(
  result: ReconstructedImages,
  { figure, page }: Files,
  checkpoint: string,
  command: string,
): Promise<void> {
  const { drawReconstructions } = await import("../report/reconstructions.ts");
  const { encodePng } = await import("../formats/png.ts");
  const { reconstructionText, reconstructionFacts } = await import(
    "../train/pictures/reconstruction_text.ts"
  );
  const text = reconstructionText(result, checkpoint);
  const program = `mae ${project.version}`;
  const picture = drawReconstructions(result.rows, text);
  await writeWhole(figure, encodePng(picture, { Software: program, Description: command }));
  if (page === null) return;
  const { reconstructionPage } = await import("../report/reconstruction_page.ts");
  const facts = [
    ...reconstructionFacts(result),
    ["Command", command] as const,
    ["Program", program] as const,
  ];
  await writeWhole(page, await reconstructionPage({ ...text, rows: result.rows, facts }));
}

/** Writes a file in a folder that may have to be made. */
async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const { replaceFile } = await import("../formats/output_file.ts");
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    await Deno.mkdir(directoryOf(path), { recursive: true });
  } catch (error) {
    throw new InputError(`${path} cannot be written: ${messageOf(error)}`);
  }
  await replaceFile(path, (put) => put(bytes));
}

/** Means over the images, a line for each setting. */
function scores({ rows, settings }: ReconstructedImages): string[][] {
  const titles = settingTitles(settings);
  return [
    ["removed", "loss", "PSNR"],
    ...meanScores(rows, settings).map(({ loss, psnr }, s) => [
      titles[s],
      loss === null ? "" : lossText(loss),
      psnrText(psnr),
    ]),
  ];
}

function written({ rows, broken }: ReconstructedImages, { figure, page }: Files): string[][] {
  const skipped = broken.length === 0 ? "" : `, and ${plural(broken.length, "broken file")} left out`;
  return [
    ["images", `${rows.length}${skipped}`],
    ["figure", printable(figure)],
    ...(page === null ? [] : [["page", printable(page)]]),
  ];
}

/** The command as it can be given again. */
function commandLine(args: Arguments): string {
  const given = flags.flatMap(({ name, value }) => {
    if (!args.has(name)) return [];
    return value === undefined ? [`--${name}`] : [`--${name}`, shellWord(args.value(name) ?? "")];
  });
  return ["mae reconstruct", ...given, ...args.all.map(shellWord)].join(" ");
}
