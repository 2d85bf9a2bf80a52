/** `mae evaluate` and `mae predict` on a classifier that was just trained. */
import { main } from "../../src/cli/main.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { assert, assertEquals, assertMatch } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";
import { tinyFinetuning, tune, withShapes } from "../train/finetune_support.ts";

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program on the CPU, and takes the folder out of what it says. */
async function mae(folder: string, ...args: string[]): Promise<Printed> {
  const terminal = new RecordingTerminal();
  const code = await main([...args, "--backend", "cpu"], terminal);
  const plain = (text: string) => text.replaceAll(folder, "TMP");
  return { code, out: plain(terminal.text), err: plain(terminal.errors.join("\n")) };
}

/** Digits of a computation that differ from machine to machine as a letter each. */
function withoutDigits(text: string): string {
  return text.replace(/\d+\.\d+/g, (number) => number.replace(/\d/g, "x"));
}

Deno.test(
  "mae evaluate and mae predict need no more than the run",
  withShapes(async (folder) => {
    await tune(tinyFinetuning(folder, "run", "optim.epochs=8", "mix.probability=0"));
    const run = `${folder}/run`;
    const report = await mae(
      folder,
      "evaluate",
      run,
      "--out",
      `${folder}/report`,
      "--json",
      `${folder}/a/b.json`,
    );
    assertEquals([report.code, report.err], [0, ""]);
    await assertSnapshot(
      "cli",
      "evaluate",
      withoutDigits(report.out).replace(/after \d+ steps/, "after N steps"),
    );
    const text = await Deno.readTextFile(`${folder}/report/evaluation.json`);
    assertEquals(await Deno.readTextFile(`${folder}/a/b.json`), text);
    const figures = JSON.parse(text);
    assertEquals([figures.images, figures.classes.length, figures.confusion.length, figures.data], [
      12,
      3,
      3,
      `${folder}/data/val`,
    ]);
    const stored = JSON.parse(await Deno.readTextFile(`${run}/checkpoints/best/state.json`));
    assertEquals([figures.top1, figures.loss], [stored.evaluation.top1, stored.evaluation.loss]);
    const picture = await decodeImage(await Deno.readFile(`${folder}/report/confusion.png`), {
      channels: 3,
      exif: "ignore",
    });
    assert(picture.width > 200 && picture.height > 200);

    const train = await mae(folder, "evaluate", run, "--split", "train", "--batch-size", "7");
    assertMatch(train.out, /images +18\n/);

    const image = `${folder}/data/val/red/01.png`;
    await Deno.writeTextFile(`${folder}/data/val/red/00.png`, "no image");
    const predictions = await mae(
      folder,
      "predict",
      "--from",
      run,
      image,
      `${folder}/data/val/red`,
      "--top",
      "2",
    );
    assertEquals(predictions.code, 1); // one of them is broken
    assertEquals(
      predictions.err,
      "Skipping TMP/data/val/red/00.png: not an image; JPEG, PNG, WebP, AVIF, GIF and TIFF can be read",
    );
    await assertSnapshot("cli", "predict", withoutDigits(predictions.out).replace(/(?<=% {2})\w+/g, "CLASS"));
    const json = await mae(folder, "predict", "--from", `${run}/checkpoints/best`, image, "--json");
    assertEquals(json.code, 0);
    const { path, classes } = JSON.parse(json.out);
    assertEquals([path, classes.length, classes[0].name], ["TMP/data/val/red/01.png", 3, "red"]);
    assert(classes[0].probability > 0.5);

    // What is missing is treated like what is broken.
    await Deno.mkdir(`${folder}/empty`);
    const missing = [`${folder}/data/val/rde`, image, `${folder}/empty`];
    const rest = await mae(folder, "predict", "--from", run, ...missing, "--json");
    assertEquals([rest.code, JSON.parse(rest.out).path], [1, "TMP/data/val/red/01.png"]);
    assertMatch(
      rest.err,
      /^Skipping TMP\/data\/val\/rde: There is no image or folder ".*"; did you mean "TMP\/data\/val\/red"\?\nSkipping TMP\/empty: There are no images under /,
    );
    const none = await mae(folder, "predict", "--from", run, `${folder}/nowhere`, `${folder}/empty`);
    assertEquals([none.code, none.err], [2, 'mae: There is no image or folder "TMP/nowhere"']);
  }),
);
