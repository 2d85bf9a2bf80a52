import { Stretch } from "../../../src/train/run/rates.ts";
import { assertEquals } from "../../deps.ts";

Deno.test("Stretch measures from its beginning", () => {
  let time = 5000;
  const stretch = new Stretch(10, 3, () => time);
  time += 8000;
  assertEquals(stretch.rates(14, 5), { seconds: 8, secondsPerStep: 2, wholePerStep: 2, dataWait: 0.25 });
  time += 2000;
  assertEquals(stretch.rates(15, 13), { seconds: 10, secondsPerStep: 2, wholePerStep: 2, dataWait: 1 });
});

Deno.test("Stretch leaves pauses out of the time of a step", () => {
  let time = 0;
  const stretch = new Stretch(0, 0, () => time);
  time = 12_000;
  stretch.pause(3);
  stretch.pause(1);
  assertEquals(stretch.rates(4, 2), { seconds: 12, secondsPerStep: 2, wholePerStep: 3, dataWait: 0.25 });
});

Deno.test("Stretch gives finite numbers where no time has passed and no step was made", () => {
  const stretch = new Stretch(0, 0, () => 0);
  const { seconds, secondsPerStep, dataWait } = stretch.rates(0, 0);
  assertEquals([seconds, secondsPerStep, dataWait].every(Number.isFinite), true);
  assertEquals(dataWait, 0);
});
