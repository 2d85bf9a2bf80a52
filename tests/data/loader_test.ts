import type { PixelValues } from "../../src/config/types.ts";
import { type ImageBatch, type Loader, type LoaderOptions, openLoader } from "../../src/data/loader.ts";
import { listImages } from "../../src/sources/image_folder.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "../deps.ts";
import { imageBytes, inFolder, maeAugment, writeImages } from "./support.ts";

async function optionsFor(folder: string, changes: Partial<LoaderOptions> = {}): Promise<LoaderOptions> {
  return {
    source: await listImages(folder),
    imageSize: [12, 16],
    channels: 3,
    augment: maeAugment,
    exif: "ignore",
    batchSize: 4,
    accumulate: 2,
    repeat: 1,
    seed: 7,
    workers: 0,
    ...changes,
  };
}

/** A batch whose pixels are copied out of the ring. */
interface KeptBatch {
  readonly pixels: PixelValues;
  readonly indices: number[];
  readonly epoch: number;
  readonly step: number;
}

function keep({ pixels, indices, epoch, step }: ImageBatch): KeptBatch {
  return { pixels: pixels.slice(), indices: [...indices], epoch, step };
}

async function take(loader: Loader, count: number): Promise<KeptBatch[]> {
  const batches: KeptBatch[] = [];
  while (batches.length < count) batches.push(keep(await loader.next()));
  return batches;
}

/** Opens a loader, takes batches, closes it. */
async function batchesOf(options: LoaderOptions, count: number): Promise<KeptBatch[]> {
  const loader = await openLoader(options);
  try {
    return await take(loader, count);
  } finally {
    await loader.close();
  }
}

Deno.test("openLoader() gives the same batches with any number of workers", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 21);
    await Deno.writeTextFile(`${folder}/007.png`, "not an image");
    const reference = await batchesOf(await optionsFor(folder), 12);
    assertEquals(reference.map(({ epoch }) => epoch), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assertEquals(reference.map(({ step }) => step), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    assertEquals(reference[0].pixels.length, 4 * 12 * 16 * 3);
    for (const workers of [1, 2]) {
      assertEquals(
        await batchesOf(await optionsFor(folder, { workers }), 12),
        reference,
        `${workers} workers`,
      );
    }
  });
});

Deno.test("openLoader() resumes at a step with the batches of a run that never stopped", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 21);
    const whole = await batchesOf(await optionsFor(folder), 10);
    for (const startStep of [1, 3]) {
      const resumed = await batchesOf(
        await optionsFor(folder, { startStep, workers: startStep % 2 }),
        10 - 2 * startStep,
      );
      assertEquals(resumed, whole.slice(2 * startStep));
    }
  });
});

Deno.test("openLoader() gives several processes the batches of one, each its part", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 13);
    const whole = await batchesOf(await optionsFor(folder, { batchSize: 4, accumulate: 1 }), 5);
    const part = async (index: number) =>
      await batchesOf(
        await optionsFor(folder, { batchSize: 2, accumulate: 1, part: { index, count: 2 } }),
        5,
      );
    const [first, second] = [await part(0), await part(1)];
    whole.forEach(({ pixels, indices, epoch, step }, i) => {
      assertEquals([first[i].epoch, second[i].step], [epoch, step]);
      assertEquals([...first[i].indices, ...second[i].indices], indices);
      assertEquals([...first[i].pixels, ...second[i].pixels], [...pixels]);
    });
  });
});

Deno.test("openLoader() draws each image once an epoch, anew each time, and by its seed", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    const batches = await batchesOf(await optionsFor(folder, { batchSize: 8, accumulate: 1 }), 2);
    for (const { indices } of batches) assertEquals([...indices].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
    const crops = batches.map(({ indices, pixels }) => {
      const slot = indices.indexOf(0);
      return pixels.slice(slot * 576, (slot + 1) * 576);
    });
    assertNotEquals(crops[0], crops[1]);
    const other = await batchesOf(await optionsFor(folder, { batchSize: 8, accumulate: 1, seed: 8 }), 1);
    assertNotEquals(other[0].pixels, batches[0].pixels);
  });
});

Deno.test("openLoader() repeats a small data set until a step is full", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 3);
    const options = await optionsFor(folder, { batchSize: 7, accumulate: 1, repeat: "auto" });
    const loader = await openLoader(options);
    const { indices } = await loader.next();
    assertEquals([loader.samples, loader.repeat, loader.stepsPerEpoch], [3, 3, 1]);
    assertEquals(new Set(indices).size, 3);
    await loader.close();
    await assertRejects(() => openLoader({ ...options, repeat: 2 }), InputError, "One step takes 7 images");
  });
});

Deno.test("a loader names each broken file once and fills its place", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 9);
    await Deno.writeFile(`${folder}/001.png`, new Uint8Array(0));
    await Deno.writeFile(`${folder}/004.png`, (await Deno.readFile(`${folder}/004.png`)).subarray(0, 400));
    await Deno.writeFile(`${folder}/text.jpg`, new TextEncoder().encode("a text"));
    const told: string[] = [];
    const loader = await openLoader(
      await optionsFor(folder, {
        workers: 2,
        repeat: 4,
        onBroken: ({ path, reason }) => told.push(`${path}: ${reason}`),
      }),
    );
    const batches = await take(loader, 20);
    await loader.close();
    assertEquals(told.toSorted(), [
      `${folder}/001.png: the file is empty`,
      `${folder}/004.png: truncated: the end of the PNG is missing`,
      `${folder}/text.jpg: not an image; JPEG, PNG, WebP, AVIF, GIF and TIFF can be read`,
    ]);
    assertEquals(loader.broken.map(({ path, reason }) => `${path}: ${reason}`), told);
    const used = new Set(batches.flatMap(({ indices }) => indices));
    assertEquals([...used].toSorted(), [0, 2, 3, 5, 6, 7, 8]);
    assert(batches.every(({ pixels }) => pixels.some((value) => value !== 0)));
  });
});

Deno.test("a loader fills the place of a broken file alike whether it knew of it before or not", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    for (const name of ["000", "003", "006"]) {
      await Deno.writeFile(`${folder}/${name}.png`, new Uint8Array(9));
    }
    const whole = await batchesOf(await optionsFor(folder), 8);
    // Resumed at step 2, the files are met for the first time there.
    assertEquals(await batchesOf(await optionsFor(folder, { startStep: 2 }), 4), whole.slice(4));
  });
});

Deno.test("a loader counts the places that other samples took, the same after resuming", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    await Deno.writeFile(`${folder}/003.png`, new Uint8Array(9));
    const counts = async (startStep: number, count: number, workers: number) => {
      const loader = await openLoader(await optionsFor(folder, { startStep, workers }));
      const found: number[] = [];
      for (let i = 0; i < count; i++) {
        await loader.next();
        found.push(loader.substituted);
      }
      await loader.close();
      return found;
    };
    const whole = await counts(0, 8, 0);
    assertEquals(whole[7], 4); // once an epoch, whoever else was drawn for it
    assertEquals((await counts(2, 4, 2)).map((count) => count + whole[3]), whole.slice(4));
  });
});

Deno.test("a loader that is to stop at broken images names the first of them", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    await Deno.writeTextFile(`${folder}/005.png`, "no image");
    for (const workers of [0, 2]) {
      const loader = await openLoader(await optionsFor(folder, { onError: "stop", workers }));
      const message = `${folder}/005.png: not an image`;
      const error = await assertRejects(() => take(loader, 2), RunError, message);
      assert(error.message.endsWith("data.on_error stop ends the run, skip goes on without such images"));
      await loader.close();
    }
  });
});

Deno.test("a loader ends when more images are broken than may be", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 21);
    for (const i of [2, 9, 14]) {
      await Deno.writeFile(`${folder}/0${String(i).padStart(2, "0")}.png`, new Uint8Array(9));
    }
    const five = await openLoader(await optionsFor(folder)); // 50 of the first 1,000
    await take(five, 6);
    await five.close();
    const few = await openLoader(await optionsFor(folder, { maxBadShare: 0.002, workers: 2 }));
    const error = await assertRejects(
      () => take(few, 6),
      RunError,
      `images that were looked at under "${folder}"`,
    );
    assert(/^3 of \d+ images/.test(error.message), error.message);
    assert(error.message.includes(`cannot be read, more than data.max_bad_share 0.002 allows (${folder}/0`));
    await few.close();
    const none = await openLoader(await optionsFor(folder, { maxBadShare: 0 }));
    await assertRejects(() => take(none, 6), RunError, "more than data.max_bad_share 0 allows");
    await none.close();
  });
});

Deno.test("a loader ends with a sentence when no file is readable", async () => {
  await inFolder(async (folder) => {
    for (let i = 0; i < 9; i++) await Deno.writeFile(`${folder}/${i}.jpg`, new Uint8Array(i));
    for (const workers of [0, 2]) {
      const loader = await openLoader(await optionsFor(folder, { workers }));
      await assertRejects(
        () => loader.next(),
        RunError,
        `None of the 9 image files under "${folder}" can be read (`,
      );
      await assertRejects(() => loader.next(), RunError, "None of the 9 image files"); // and goes on saying so
      assertEquals(loader.broken.length, 9);
      await loader.close();
    }
  });
});

Deno.test("a loader counts files that vanish after listing as broken", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    const options = await optionsFor(folder, { workers: 1 });
    await Deno.remove(`${folder}/002.png`);
    const loader = await openLoader(options);
    await take(loader, 4);
    await loader.close();
    assertEquals(loader.broken, [{ path: `${folder}/002.png`, reason: "the file has vanished" }]);
  });
});

Deno.test("a loader lends a batch until the second call after it", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 16);
    for (const workers of [0, 1]) {
      const loader = await openLoader(await optionsFor(folder, { workers }));
      let held = await loader.next();
      let copy = held.pixels.slice();
      for (let i = 0; i < 12; i++) {
        const next = await loader.next();
        assertEquals(held.pixels, copy);
        held = next;
        copy = next.pixels.slice();
      }
      assert(loader.waitSeconds > 0);
      await loader.close();
    }
  });
});

Deno.test("a loader whose worker cannot start or crashes says so and never hangs", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    const missing = new URL("./no_such_worker.js", import.meta.url);
    const absent = await openLoader(await optionsFor(folder, { workers: 2, workerUrl: missing }));
    await assertRejects(() => absent.next(), RunError, "A data worker crashed");
    await assertRejects(() => absent.next(), RunError, "A data worker crashed");
    await absent.close();

    // An error of our own, not of a file, ends the run too.
    const misused = { ...maeAugment, cropScale: undefined } as unknown as typeof maeAugment;
    const confused = await openLoader(await optionsFor(folder, { workers: 1, augment: misused }));
    await assertRejects(() => confused.next(), RunError, "Two data workers were lost over the same image");
    await confused.close();

    const faulty = `data:application/javascript,${
      encodeURIComponent("self.onmessage = () => { throw new Error('bang'); }")
    }`;
    const crashed = await openLoader(await optionsFor(folder, { workers: 1, workerUrl: faulty }));
    await assertRejects(() => crashed.next(), RunError, "bang");
    await crashed.close();
  });
});

Deno.test("a closed loader rejects calls under way and later ones", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 8);
    const silent = "data:application/javascript,self.onmessage=()=>{}"; // never answers
    const loader = await openLoader(await optionsFor(folder, { workers: 1, workerUrl: silent }));
    const waiting = assertRejects(() => loader.next(), RunError, "The data loader is closed");
    await loader.close();
    await waiting;
    await assertRejects(() => loader.next(), RunError, "The data loader is closed");
    await loader.close();
  });
});

Deno.test("a loader reads JPEG, PNG and WebP side by side, gray or in colour", async () => {
  await inFolder(async (folder) => {
    for (
      const name of [
        "gray.jpg",
        "cmyk.jpg",
        "rgba16.png",
        "alpha.webp",
        "palette2_trns_adam7.png",
        "exif_6.jpg",
      ]
    ) {
      await Deno.writeFile(`${folder}/${name}`, await imageBytes(name));
    }
    for (const channels of [1, 3, 4] as const) {
      const options = await optionsFor(folder, {
        channels,
        batchSize: 6,
        accumulate: 1,
        exif: "apply",
        workers: 1,
      });
      const loader = await openLoader(options);
      const { pixels } = await loader.next();
      assertEquals([pixels.length, loader.broken], [6 * 12 * 16 * channels, []]);
      await loader.close();
    }
  });
});

Deno.test("a loader asked for several batches at once gives them in order or refuses", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 21);
    const expected = await batchesOf(await optionsFor(folder), 3);
    const loader = await openLoader(await optionsFor(folder, { workers: 1 }));
    const answers = await Promise.allSettled([loader.next(), loader.next(), loader.next(), loader.next()]);
    const indices = answers.map((answer) =>
      answer.status === "fulfilled" ? [...answer.value.indices] : answer.reason.message
    );
    assertEquals(indices.slice(0, 2), expected.slice(0, 2).map((batch) => batch.indices));
    assertEquals(
      indices.slice(2),
      Array(2).fill("The data loader's next() was called again before it answered"),
    );
    assertEquals([...(await loader.next()).indices], expected[2].indices);
    await loader.close();
  });
});
