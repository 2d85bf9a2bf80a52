import { parseSet } from "../../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../../src/config/pretrain.ts";
import type { FrozenEvent } from "../../../src/train/run/events.ts";
import { evaluateNeighbours } from "../../../src/train/features/neighbours.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { writeClasses, writeTinyCheckpoint } from "../labelled_support.ts";

const here = { backend: "cpu", workers: 0 } as const;

Deno.test("evaluateNeighbours() tells classes apart that differ, from folders or a split", () =>
  inFolder(async (folder) => {
    await writeClasses(`${folder}/data/train`, 6);
    await writeClasses(`${folder}/data/val`, 4, 2);
    await Deno.writeTextFile(`${folder}/data/val/gray/3.png`, "no picture");
    await writeTinyCheckpoint(`${folder}/checkpoint`);
    const from = `${folder}/checkpoint`;
    const events: FrozenEvent[] = [];
    const result = await evaluateNeighbours({ from }, {
      ...here,
      data: `${folder}/data`,
      ks: [1, 3],
      onEvent: (event) => events.push(event),
    });
    const { classes, trainImages, images, brokenFiles, accuracies } = result;
    assertEquals([classes, trainImages, images, brokenFiles], [3, 18, 11, 1]);
    assertEquals(accuracies.map(({ k, top5 }) => [k, top5]), [[1, null], [3, null]]);
    for (const { top1 } of accuracies) assert(top1 > 0.8, `${top1}`);
    assert(events.some((event) => event.kind === "warning" && event.message.includes("val/gray/3.png")));

    const split = await evaluateNeighbours({ from }, {
      ...here,
      data: `${folder}/data/train`,
      split: 0.5,
      ks: [3],
    });
    assertEquals([split.trainImages, split.images], [9, 9]);
    const sentence = (options: object) =>
      assertRejects(
        () => evaluateNeighbours({ from }, { ...here, data: `${folder}/data`, ...options }),
        InputError,
      ).then(({ message }) => message);
    assertEquals(
      await sentence({ ks: [3, 19], onEvent: () => assert(false, "something was done before") }),
      `--k 19 is more than the 18 training images of "${folder}/data"; give --k 18 or less`,
    );
    assert((await sentence({ split: 0.5 })).startsWith("--split is 0.5, but"));
    assert((await sentence({ data: `${folder}/data/train/dark`, split: 0.5 })).includes("labels come from"));
    assert((await sentence({ ks: [3], imageSize: [10, 10] })).includes("no whole number of patches"));
  }));

Deno.test("evaluateNeighbours() measures the encoder that a configuration begins with", () =>
  inFolder(async (folder) => {
    await writeClasses(`${folder}/data`, 6);
    const random = resolvePretrainConfig([
      `data.train=${folder}/data`,
      "model.encoder={width: 8, depth: 1, heads: 2, mlp_ratio: 2}",
      "model.decoder={width: 4, depth: 1, heads: 1, mlp_ratio: 2}",
      "model.image_size=12",
      "model.patch_size=4",
      "run.seed=5",
    ].map(parseSet));
    const result = await evaluateNeighbours({ random }, {
      ...here,
      data: `${folder}/data`,
      split: 0.5,
      ks: [3],
    });
    assert(
      result.encoder.startsWith("Encoder with the random weights of seed 5: 1 block, 8 wide"),
      result.encoder,
    );
    assertEquals(result.images, 9);
  }));
