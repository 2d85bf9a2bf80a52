import { barLine, plainLine, Progress } from "../../src/cli/progress.ts";
import type { PretrainEvent, StepEvent } from "../../src/train/run/events.ts";
import { assert, assertEquals, assertMatch } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

function step(number: number): StepEvent {
  return {
    kind: "step",
    step: number,
    steps: 120,
    epoch: number / 12,
    loss: number < 10 ? null : 0.83125,
    learningRate: 9.8e-4,
    imagesPerSecond: 312.4,
    secondsLeft: 65,
    dataWait: 0.034,
  };
}

const log = (number: number): PretrainEvent => ({
  kind: "log",
  record: {
    step: number,
    epoch: number / 12,
    loss: 0.83125,
    lr: 9.8e-4,
    grad_norm: 1,
    images_per_second: 312.4,
    data_wait: 0.034,
    skipped_steps: 0,
    seconds: 1,
  },
});

const start: PretrainEvent = {
  kind: "start",
  run: "runs/demo",
  adapter: "llvmpipe",
  backend: "webgpu",
  parameters: 612_345,
  samples: 6,
  repeat: 64,
  stepsPerEpoch: 12,
  steps: 120,
  startStep: 24,
  learningRate: 1e-3,
  images: 32,
};

const run: readonly PretrainEvent[] = [
  start,
  { kind: "notice", message: "Hello" },
  step(1),
  { kind: "warning", message: "Skipping a.jpg: it is\x1b[2J cut short" },
  ...[9, 10, 11, 19, 20].flatMap((number) =>
    number % 10 === 0 ? [log(number), step(number)] : [step(number)]
  ),
  { kind: "checkpoint", path: "runs/demo/checkpoints/step-00000020", step: 20 },
];

Deno.test("Progress prints plain lines at log points where there is no terminal", async () => {
  const terminal = new RecordingTerminal(false);
  const progress = new Progress(terminal, false);
  for (const event of run) progress.show(event);
  progress.finish();
  assertEquals(terminal.statuses, []);
  assertEquals(terminal.errors, ["Warning: Skipping a.jpg: it is\ufffd[2J cut short"]);
  await assertSnapshot("cli", "progress_plain", terminal.text);
});

Deno.test("Progress redraws a bar at most ten times a second on a terminal", () => {
  let now = 0;
  const terminal = new RecordingTerminal(true);
  const progress = new Progress(terminal, false, () => now);
  for (let i = 1; i <= 100; i++) {
    now += 20;
    progress.show(step(i));
  }
  assertEquals(terminal.statuses.length, 20);
  progress.finish();
  assertMatch(terminal.output.at(-1) ?? "", /^step 100\/120 \[=+ +\] loss 0\.8313/);
});

Deno.test("Progress prints only warnings when quiet", () => {
  for (const interactive of [true, false]) {
    const terminal = new RecordingTerminal(interactive);
    const progress = new Progress(terminal, true);
    for (const event of run) progress.show(event);
    progress.finish();
    assertEquals([terminal.output, terminal.statuses, terminal.errors.length], [[], [], 1]);
  }
});

Deno.test("barLine() never fills the last column, and drops the least wanted facts first", () => {
  for (let columns = 1; columns <= 200; columns++) {
    const line = barLine(step(60), columns, false);
    assert(line.length < columns, `${columns} columns: ${line.length}`);
  }
  assertEquals(barLine(step(60), 40, false), "step 60/120 [=======      ] loss 0.8313");
  assertEquals(
    barLine(step(60), 150, false),
    "step 60/120 [===============               ] loss 0.8313, 1 min 05 s left, 312 images/s, lr 9.80e-4, " +
      "epoch 5.00, data wait 3 %",
  );
});

Deno.test("barLine() does without the bar where it is narrow", () => {
  assertEquals(barLine(step(60), 30, false), "step 60/120  loss 0.8313");
  assertEquals(barLine(step(60), 10, false), "step 60/1");
});

Deno.test("barLine() has colour only when it is welcome", () => {
  assertEquals(barLine(step(60), 150, false).includes("\x1b"), false);
  // deno-lint-ignore no-control-regex -- the codes of colours start with a control character
  assertEquals(barLine(step(60), 150, true).replace(/\x1b\[\d+m/g, ""), barLine(step(60), 150, false));
});

Deno.test("plainLine() shows a dash before the first loss is known", () => {
  assertMatch(plainLine(step(1)), /^step 1\/120, loss -, /);
});

Deno.test("Progress shows the share of longer work as a status, or every ten seconds as a line", () => {
  for (const interactive of [true, false]) {
    const terminal = new RecordingTerminal(interactive);
    let now = 0;
    const progress = new Progress(terminal, false, () => now);
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      progress.show({ kind: "progress", what: "features", share });
      now += 5000;
    }
    const shown = ["features: 0 %", "features: 25 %", "features: 50 %", "features: 75 %", ""];
    assertEquals(terminal.statuses, interactive ? shown : []);
    assertEquals(terminal.output, interactive ? [] : ["features: 50 %", "features: 100 %"]);
  }
});

Deno.test("Progress draws a bar for longer work of which more is to be said", () => {
  for (const interactive of [true, false]) {
    const terminal = new RecordingTerminal(interactive);
    let now = 0;
    const progress = new Progress(terminal, false, () => now);
    for (const share of [0, 0.5, 1]) {
      progress.show({ kind: "progress", what: "checked", share, facts: ["5 of 10", "2 broken"] });
      now += 10_000;
    }
    const bar = (done: number) => `checked [${"=".repeat(done)}${" ".repeat(30 - done)}] 5 of 10, 2 broken`;
    assertEquals(terminal.statuses, interactive ? [bar(0), bar(15), ""] : []);
    const lines = ["checked: 50 %, 5 of 10, 2 broken", "checked: 100 %, 5 of 10, 2 broken"];
    assertEquals(terminal.output, interactive ? [] : lines);
  }
});
