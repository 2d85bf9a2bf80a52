import { classifierInfoOf } from "../../../src/train/checkpoint/classifier_info.ts";
import { assertEquals } from "../../deps.ts";

Deno.test("classifierInfoOf() gives back what was stored, titles of classes only where each has one", () => {
  const info = {
    classes: ["n01440764", "n02100735"],
    imageSize: [32, 32],
    channels: 3,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
    cropShare: 0.875,
    exif: "apply",
    pooling: "average",
  };
  const read = (more: unknown) => classifierInfoOf(JSON.parse(JSON.stringify({ ...info, titles: more })));
  assertEquals(read(undefined), classifierInfoOf(info));
  assertEquals(read(undefined)?.titles, undefined);
  assertEquals(read(["tench", "setter"])?.titles, ["tench", "setter"]);
  for (const wrong of [["tench"], ["tench", 3], "tench"]) assertEquals(read(wrong)?.titles, undefined);
});
