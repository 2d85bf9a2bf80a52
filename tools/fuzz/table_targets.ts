/** Tables that name images and classes. */

import { listLabelledManifest } from "../../src/sources/manifest.ts";
import { readMatStructs } from "../../src/formats/matlab.ts";
import { fixtures, JSON_WORDS, type Target, texts } from "./target.ts";

/** Lists a table as a data set, and asks where its images lie. */
async function list(bytes: Uint8Array, path: string): Promise<void> {
  await Deno.writeFile(path, bytes);
  const { source, labels, classes } = await listLabelledManifest(path);
  for (let sample = 0; sample < source.length; sample++) {
    if (classes[labels[sample]] === undefined) throw new Error(`sample ${sample} has no class`);
    source.path(sample);
    source.name(sample);
  }
}

/** Tables in CSV. */
export const csv: Target = {
  name: "csv",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        'path,label\na.jpg,cat\n"b, c.jpg","say ""dog"""\r\nc/d.png,3\n',
        "url;class\nhttps://host/a.jpg;1\n/data/b.jpg;2\n",
        "a.jpg\tcat\nb.jpg\tdog\n",
        "\ufefflabel,file\n,x\ncat,é.webp\n",
      ),
      words: texts(
        '"',
        '""',
        ",",
        ";",
        "\n",
        "\r\n",
        "\t",
        "../",
        "..\\",
        "s3://",
        "gs://",
        "file:///%zz",
        "path",
        "\0",
      ),
      isText: true,
    }),
  read: (bytes, folder) => list(bytes, `${folder}/t.csv`),
};

/** Tables in JSON Lines. */
export const jsonl: Target = {
  name: "jsonl",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        '{"path": "a.jpg", "label": "cat"}\n{"path": "b.jpg", "label": 3}\n',
        '{"id": 1, "image_url": "http://host/a.png", "class": true}\n\n{"image_url": "x", "class": ""}\n',
      ),
      words: [...JSON_WORDS, ...texts("\n", '"path":', '"label":', '"../"', "1e999")],
      isText: true,
    }),
  read: (bytes, folder) => list(bytes, `${folder}/t.jsonl`),
};

/** MATLAB's files, as ImageNet's development kit has one. */
export const mat: Target = {
  name: "mat",
  recipe: async () => ({
    seeds: await fixtures("imagenet/meta_plain.mat", "imagenet/meta.mat"),
    words: texts(
      "synsets",
      "WNID",
      "\x0e\0\0\0",
      "\x0f\0\0\0",
      "\x01\0\x04\0",
      "\xff\xff\xff\xff",
      "IM",
      "MI",
      "\0",
    ),
    isText: false,
  }),
  read: (bytes) => readMatStructs(bytes, "meta.mat", "synsets"),
};
