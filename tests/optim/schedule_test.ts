import { assertEquals } from "../deps.ts";
import { pretrainGroups } from "../../src/optim/groups.ts";
import { learningRateAt, scaledLearningRate } from "../../src/optim/schedule.ts";
import { assertClose } from "../support/compare.ts";
import { fixtureJson } from "../support/fixtures.ts";

interface ScheduleCase {
  lr: number;
  min_lr: number;
  warmup_epochs: number;
  epochs: number;
  points: [number, number, number, number][];
}

Deno.test("learningRateAt() equals the official schedule at every point", async () => {
  const cases = Object.values(await fixtureJson("lr_schedule.json"))
    .filter((entry): entry is ScheduleCase =>
      typeof entry === "object" && entry !== null && "points" in entry
    );
  assertEquals(cases.length, 5);
  for (const { lr, min_lr, warmup_epochs, epochs, points } of cases) {
    const schedule = { learningRate: lr, minLearningRate: min_lr, warmupEpochs: warmup_epochs, epochs };
    for (const [epoch, plain, half] of points) {
      assertClose([learningRateAt(epoch, schedule)], [plain], 4e-15, `epoch ${epoch}`);
      assertClose([learningRateAt(epoch, schedule) * 0.5], [half], 4e-15, `epoch ${epoch}`);
    }
  }
});

Deno.test("scaledLearningRate() follows the linear scaling rule", () => {
  assertEquals(scaledLearningRate(1.5e-4, 4096), 2.4e-3);
});

Deno.test("pretrainGroups() equals the official groups: 1-D parameters and biases are not decayed, tokens are", async () => {
  const json = await fixtureJson("mae_a.json");
  const shapes = new Map<string, { shape: number[] }>();
  const official = json.optimizer_groups as { weight_decay: number; params: string[] }[];
  for (const { weight_decay, params } of official) {
    for (const name of params) shapes.set(name, { shape: weight_decay > 0 ? [2, 2] : [2] });
  }
  const ours = pretrainGroups(shapes, 0.05);
  for (const { weight_decay, params } of official) {
    const group = ours.find((candidate) => candidate.weightDecay === weight_decay);
    assertEquals([...group?.names ?? []].sort(), [...params].sort());
  }
  assertEquals(ours[1].names.includes("cls_token") && ours[1].names.includes("mask_token"), true);
});
