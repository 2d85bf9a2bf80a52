import type { Size } from "../../src/config/types.ts";
import {
  drawReconstructions,
  type MaskSetting,
  meanScores,
  type ReconstructionRow,
  scoreText,
  settingTitles,
} from "../../src/report/reconstructions.ts";
import { assert, assertEquals, assertThrows } from "../deps.ts";
import { count, flat } from "./support.ts";

function row(size: Size, base: number, label: string, settings = 1): ReconstructionRow {
  const views = Array.from({ length: settings }, (_, s) => ({
    masked: flat(size, base + 1 + 3 * s),
    reconstruction: flat(size, base + 2 + 3 * s),
    pasted: flat(size, base + 3 + 3 * s),
  }));
  return { label, size, original: flat(size, base), views };
}

const setting = (ratio: number, sampling: MaskSetting["sampling"] = "random", seed = 0): MaskSetting => ({
  ratio,
  sampling,
  seed,
});

/** Soft edges of letters may have the same gray, so a few more are allowed. */
function assertShown(found: number, pixels: number, value: number): void {
  assert(found >= pixels && found < pixels + 60, `${found} pixels of ${value}, not ${pixels}`);
}

Deno.test("drawReconstructions() shows every pixel of every picture, enlarged", () => {
  const rows = [row([32, 32], 140, "été.png, loss 0.4"), row([16, 48], 150, ""), row([300, 200], 160, "")];
  const text = { title: "vit, step 6", notes: ["a"], footer: "b" };
  const canvas = drawReconstructions(rows, { settings: [setting(0.75)], ...text });
  for (let column = 0; column < 4; column++) {
    for (const [value, pixels] of [[140, 192 * 192], [150, 64 * 192], [160, 300 * 200]]) {
      assertShown(count(canvas, value + column), pixels, value + column);
    }
  }
});

Deno.test("drawReconstructions() shows every setting beside the original", () => {
  const settings = [setting(0.75), setting(0.85), setting(0.95)];
  const canvas = drawReconstructions([row([96, 96], 140, "a.png", 3)], { settings });
  for (let value = 140; value < 150; value++) assertShown(count(canvas, value), 192 * 192, value);
  assertEquals(canvas.width, 2 * 28 + 10 * 192 + 3 * 32 + 6 * 12);
  const tooSmall = { ...row([96, 96], 140, "a.png"), original: flat([5, 5], 0) };
  assertThrows(() => drawReconstructions([tooSmall], { settings: [setting(0.75)] }), RangeError, "75 bytes");
});

Deno.test("settingTitles() says what differs and no more", () => {
  const cases: [MaskSetting[], string[]][] = [
    [[setting(0.75)], ["75%"]],
    [[setting(0.75), setting(0.9375)], ["75%", "93.75%"]],
    [[setting(0.5), setting(0.5, "block")], ["50%, random", "50%, block"]],
    [[setting(0.5, "grid", 1), setting(0.5, "grid", 2)], ["50%, seed 1", "50%, seed 2"]],
    [[setting(0.5), setting(0.75, "block", 3)], ["50%, random, seed 0", "75%, block, seed 3"]],
  ];
  for (const [settings, titles] of cases) assertEquals(settingTitles(settings), titles);
});

Deno.test("scores are means over the rows that have them", () => {
  assertEquals(scoreText({ loss: 0.41234, psnr: 18.25 }), "loss 0.4123, PSNR 18.3 dB");
  assertEquals(scoreText({ loss: 0, psnr: null }), "loss 0.0000, PSNR exact");
  assertEquals(scoreText({}), "");
  const scored = (loss: number, psnr: number | null) => {
    const { views: [view], ...rest } = row([4, 4], 1, "");
    return { ...rest, views: [{ ...view, loss, psnr }] };
  };
  assertEquals(meanScores([scored(1, 10), scored(2, null), scored(6, 30)], [setting(0.5)]), [
    { loss: 3, psnr: 20 },
  ]);
  assertEquals(meanScores([row([4, 4], 1, "")], [setting(0.5)]), [{ loss: null, psnr: null }]);
});
