import {
  centerCropBox,
  coveringSize,
  type CropDraws,
  type CropRanges,
  randomResizedCropBox,
  simpleRandomCropBox,
} from "../../src/augment/crop.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals } from "../deps.ts";
import { fixtureJson } from "../support/fixtures.ts";

interface Draw {
  readonly kind: "uniform" | "randint";
  readonly low: number;
  readonly high?: number;
  readonly high_exclusive?: number;
  readonly value: number;
}

interface CropCase {
  readonly width: number;
  readonly height: number;
  readonly scale: [number, number];
  readonly ratio: [number, number];
  readonly draws: Draw[];
  readonly i: number;
  readonly j: number;
  readonly h: number;
  readonly w: number;
}

/** Plays recorded draws back, checking that each is asked for with the recorded range. */
class Replay implements CropDraws {
  #next = 0;

  constructor(readonly draws: readonly Draw[]) {}

  uniform(low: number, high: number): number {
    const draw = this.#take("uniform");
    assertAlmostEquals(low, draw.low, 1e-12);
    assertAlmostEquals(high, draw.high ?? NaN, 1e-12);
    return draw.value;
  }

  integer(limit: number): number {
    const draw = this.#take("randint");
    assertEquals(draw.low, 0);
    assertEquals(limit, draw.high_exclusive);
    return draw.value;
  }

  #take(kind: string): Draw {
    const draw = this.draws[this.#next++];
    assertEquals(draw?.kind, kind);
    return draw;
  }

  assertSpent(): void {
    assertEquals(this.#next, this.draws.length);
  }
}

type CropFunction = (height: number, width: number, ranges: CropRanges, draws: CropDraws) => unknown;

async function assertReplays(key: string, crop: CropFunction, count: number): Promise<void> {
  const cases = (await fixtureJson("transforms.json"))[key] as CropCase[];
  assertEquals(cases.length, count);
  for (const { width, height, scale, ratio, draws, i, j, h, w } of cases) {
    const replay = new Replay(draws);
    const box = crop(height, width, { cropScale: scale, cropRatio: ratio }, replay);
    assertEquals(box, { top: i, left: j, height: h, width: w });
    replay.assertSpent();
  }
}

Deno.test("randomResizedCropBox() gives torchvision's boxes from the recorded draws", async () => {
  await assertReplays("pretrain_rrc_params", randomResizedCropBox, 26);
});

Deno.test("simpleRandomCropBox() gives the boxes of MAE's linear probe from the recorded draws", async () => {
  await assertReplays("linprobe_rrc_params", simpleRandomCropBox, 14);
});

Deno.test("random crops lie inside images of every shape", () => {
  for (const [height, width] of [[1, 1], [1, 300], [300, 1], [2, 3], [400, 60], [60, 400], [64, 64]]) {
    for (
      const ranges of [
        { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3] },
        { cropScale: [0.001, 0.01], cropRatio: [3, 4] },
        { cropScale: [1, 1], cropRatio: [1, 1] },
      ] as CropRanges[]
    ) {
      for (const crop of [randomResizedCropBox, simpleRandomCropBox]) {
        const box = crop(height, width, ranges, new Random(height, width));
        assert(box.height >= 1 && box.width >= 1, `empty box of ${height}x${width}`);
        assert(box.top >= 0 && box.left >= 0);
        assert(box.top + box.height <= height && box.left + box.width <= width);
      }
    }
  }
});

Deno.test("randomResizedCropBox() of scale 1 and ratio 1 takes the largest centred square", () => {
  const ranges: CropRanges = { cropScale: [1, 1], cropRatio: [1, 1] };
  const box = randomResizedCropBox(100, 151, ranges, new Random(3));
  assertEquals(box, { top: 0, left: 25, height: 100, width: 100 });
});

Deno.test("centerCropBox() rounds half pixels to even", () => {
  assertEquals(centerCropBox(37, 39, [32, 32]), { top: 2, left: 4, height: 32, width: 32 });
  assertEquals(centerCropBox(36, 54, [32, 16]), { top: 2, left: 19, height: 32, width: 16 });
});

Deno.test("coveringSize() is torchvision's Resize for squares and covers any other size", () => {
  assertEquals(coveringSize(100, 150, [36, 36]), [36, 54]);
  assertEquals(coveringSize(150, 100, [73, 73]), [109, 73]);
  assertEquals(coveringSize(100, 150, [40, 60]), [40, 60]);
  for (let height = 1; height < 60; height += 3) {
    for (let width = 1; width < 60; width += 4) {
      const [h, w] = coveringSize(height, width, [32, 48]);
      assert(h >= 32 && w >= 48 && (h === 32 || w === 48), `${height}x${width} becomes ${h}x${w}`);
    }
  }
});
