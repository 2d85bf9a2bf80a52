import { listImageNetValidation } from "../../src/sources/imagenet.ts";
import { listLabelledImages } from "../../src/sources/labelled_images.ts";
import { namesOf } from "../../src/sources/source.ts";
import { listEvaluationImages } from "../../src/train/evaluate/evaluation_images.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { fixturePath } from "../support/fixtures.ts";
import { inFolder } from "../data/support.ts";

const classes = ["n01440764", "n02100735", "n02119789"];
const image = (number: number) => `ILSVRC2012_val_${String(number).padStart(8, "0")}`;

/** Training folders, and four validation images in one folder. */
async function makeImageNet(folder: string): Promise<void> {
  for (const name of classes) {
    await Deno.mkdir(`${folder}/train/${name}`, { recursive: true });
    await Deno.writeFile(`${folder}/train/${name}/${name}_1.JPEG`, new Uint8Array(0));
  }
  await Deno.mkdir(`${folder}/val`);
  for (let i = 1; i <= 4; i++) await Deno.writeFile(`${folder}/val/${image(i)}.JPEG`, new Uint8Array(0));
  await Deno.writeTextFile(`${folder}/val/notes.sh`, "");
}

async function addKit(folder: string, truth = "3\n1\n2\n1\n"): Promise<void> {
  const data = `${folder}/ILSVRC2012_devkit_t12/data`;
  await Deno.mkdir(data, { recursive: true });
  await Deno.copyFile(fixturePath("imagenet/meta.mat"), `${data}/meta.mat`);
  await Deno.writeTextFile(`${data}/ILSVRC2012_validation_ground_truth.txt`, truth);
}

const solution = [
  "ImageId,PredictionString",
  `${image(2)},n02119789 85 1 499 272 `,
  `${image(4)},n02119789 1 2 3 4 n02119789 5 6 7 8 `,
  `${image(1)},n01440764 85 1 499 272 `,
  `${image(3)},n02100735 0 0 5 5 `,
].join("\n");

Deno.test("ImageNet's validation images have the classes of the development kit", () =>
  inFolder(async (folder) => {
    await makeImageNet(folder);
    await addKit(folder);
    const found = await listLabelledImages(folder, { seed: 0 });
    assertEquals([found.classes, found.train.length], [classes, 3]);
    assertEquals(found.titles, ["tench, Tinca tinca", "English setter", "kit fox, Vulpes macrotis"]);
    assertEquals([...found.validation.labels], [0, 2, 1, 2]);
    assertEquals(namesOf(found.validation)[3], `${image(4)}.JPEG`);
    const evaluated = await listEvaluationImages(folder, { classes, seed: 0 });
    assertEquals([...evaluated.labels], [0, 2, 1, 2]);
    const own = await listImageNetValidation(`${folder}/val`);
    assertEquals([own?.classes, own && [...own.labels]], [classes, [0, 2, 1, 2]]);
    assertEquals(await listImageNetValidation(`${folder}/train`), undefined);
  }));

Deno.test("ImageNet as Kaggle has it: images deep inside, classes in a table at the top", () =>
  inFolder(async (folder) => {
    await makeImageNet(`${folder}/ILSVRC/Data/CLS-LOC`);
    await Deno.writeTextFile(`${folder}/LOC_val_solution.csv`, solution);
    const { classes: names, validation, titles } = await listLabelledImages(folder, { seed: 0 });
    assertEquals([names, [...validation.labels], titles], [classes, [0, 2, 1, 2], undefined]);
    await Deno.writeTextFile(
      `${folder}/LOC_synset_mapping.txt`,
      "n01440764 tench, Tinca tinca\nn02100735 setter\n",
    );
    const named = await listLabelledImages(folder, { seed: 0 });
    assertEquals(named.titles, ["tench, Tinca tinca", "setter", "n02119789"]);
    assertEquals((await listEvaluationImages(folder, { classes, seed: 0 })).length, 4);
  }));

Deno.test("ImageNet's validation images without classes, or with others, are refused in one sentence", () =>
  inFolder(async (folder) => {
    await makeImageNet(folder);
    const refused = async (sentence: string, known?: readonly string[]) => {
      const error = await assertRejects(() => listImageNetValidation(`${folder}/val`, known), InputError);
      assertEquals(error.message.replaceAll(folder, "F"), sentence);
    };
    await refused(
      '"F/val" holds ImageNet\'s validation images without their classes: put the development kit (ILSVRC2012_devkit_t12) ' +
        "or LOC_val_solution.csv into a folder above them",
    );
    const kit = "F/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt";
    await addKit(folder, "3\n1\n2\n");
    await refused(`"${kit}" says no class of "F/val/${image(4)}.JPEG"`);
    await addKit(folder, "3\n1\n7\n1\n");
    await refused(`"${kit}" line 3 has 7, which is no class of meta.mat`);
    await addKit(folder);
    await refused(
      `"${kit}" says that "F/val/${
        image(1)
      }.JPEG" is of the class "n01440764", which is none of the 2 that are known` +
        '; did you mean "n01440765"?',
      ["n01440765", "n02119789"],
    );
  }));
