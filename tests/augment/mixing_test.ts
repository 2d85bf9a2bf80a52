import { type MixConfig, officialMix } from "../../src/config/finetune_types.ts";
import { cutBox, cutSides, drawMix, mixStream, shareBeside, softLabels } from "../../src/augment/mixing.ts";
import { noMix } from "../../src/ops/pixels/pixel_changes.ts";
import { assert, assertAlmostEquals, assertEquals } from "../deps.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";

interface Recorded {
  num_classes: number;
  label_smoothing: number;
  cases: Record<string, { lam: number; boxes: { box_yl_yh_xl_xh: number[]; lam: number }[] }>;
  bbox_rule: { lam: number; H: number; W: number; cut_h: number; cut_w: number }[];
}

Deno.test("softLabels() gives timm's soft labels, bit for bit", async () => {
  const golden = await fixtureJson("mixup.json") as unknown as Recorded;
  const fixture = await Fixture.read("mixup.safetensors");
  const labels = fixture.get("y").data as Int32Array;
  for (const name of ["mixup", "cutmix_inside", "cutmix_clipped"]) {
    const { lam, boxes } = golden.cases[name];
    const share = boxes[0]?.lam ?? lam;
    const found = softLabels(labels, golden.num_classes, golden.label_smoothing, share);
    assertEquals(found, fixture.values(`${name}/target`), name);
  }
});

Deno.test("softLabels() without smoothing or mixing is one-hot, and rows add up to 1", () => {
  assertEquals(softLabels([2, 0], 3, 0, 1), Float32Array.of(0, 0, 1, 1, 0, 0));
  const rows = softLabels([0, 1, 4], 5, 0.1, 0.3);
  for (let n = 0; n < 3; n++) {
    assertAlmostEquals(rows.subarray(n * 5, n * 5 + 5).reduce((sum, value) => sum + value, 0), 1, 1e-6);
  }
});

Deno.test("cutSides(), cutBox() and shareBeside() follow timm's rule", async () => {
  const golden = await fixtureJson("mixup.json") as unknown as Recorded;
  for (const { lam, H, W, cut_h, cut_w } of golden.bbox_rule) {
    assertEquals(cutSides([H, W], lam), [cut_h, cut_w]);
  }
  // Sides 7 and 9 lose their odd pixel; around (2, 9) the box leaves the image above and to the right.
  const box = cutBox([8, 10], 0.1, 2, 9);
  assertEquals(box, { top: 0, left: 5, height: 5, width: 5 });
  assertAlmostEquals(shareBeside([8, 10], box), 1 - 25 / 80, 1e-15);
  for (const { lam, boxes } of Object.values(golden.cases)) {
    if (!Array.isArray(boxes) || boxes.length !== 1 || Array.isArray(lam)) continue;
    const [top, bottom, left, right] = boxes[0].box_yl_yh_xl_xh;
    const recorded = { top, left, height: bottom - top, width: right - left };
    assertAlmostEquals(shareBeside([8, 10], recorded), boxes[0].lam, 1e-15);
  }
});

Deno.test("drawMix() switches between the two, mixes all batches, and repeats itself", () => {
  let cuts = 0, shares = 0;
  for (let i = 0; i < 2000; i++) {
    const mix = drawMix(officialMix, [32, 32], mixStream(7, i));
    assertEquals(drawMix(officialMix, [32, 32], mixStream(7, i)), mix);
    assert(mix.share >= 0 && mix.share <= 1);
    if (mix.box !== null) {
      cuts++;
      assertEquals(mix.share, shareBeside([32, 32], mix.box));
    } else shares += mix.share;
  }
  assert(cuts > 920 && cuts < 1080, `${cuts} of 2000 by CutMix`);
  assertAlmostEquals(shares / (2000 - cuts), 0.5, 0.03);
});

Deno.test("drawMix() can be one of the two, seldom, or off", () => {
  const draw = (change: Partial<MixConfig>) =>
    Array.from({ length: 300 }, (_, i) => drawMix({ ...officialMix, ...change }, [16, 16], mixStream(1, i)));
  assert(draw({ cutmix: 0 }).every(({ box, share }) => box === null && share < 1));
  assert(draw({ mixup: 0 }).every(({ box }) => box !== null));
  assert(draw({ mixup: 0, cutmix: 0 }).every((mix) => mix === noMix));
  const mixed = draw({ probability: 0.3 }).filter((mix) => mix !== noMix).length;
  assert(mixed > 60 && mixed < 120, `${mixed} of 300`);
});
