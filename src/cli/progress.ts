/** Showing a run's events: a bar that is redrawn on a terminal, plain lines elsewhere. */

import type {
  EvaluationEvent,
  LinprobeEvent,
  ProgressEvent,
  StartEvent,
  StepEvent,
} from "../train/run/events.ts";
import { accuracy, count, duration, loss, percent, plural, rate } from "./format.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** Least time between two drawings of the bar, in milliseconds. */
const REDRAW_AFTER = 100;
/** Least time between two lines on the progress of longer work where nothing can be redrawn, in milliseconds. */
const TELL_AFTER = 10_000;
const LONGEST_BAR = 30;
const SHORTEST_BAR = 10;

/** Prints the events of one run. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #lastDrawn = -Infinity;
  #lastTold: number | undefined;
  #lastStep: StepEvent | undefined;
  #loggedStep: number | undefined;

  /** `quiet` leaves only warnings; `now` is a clock in milliseconds. */
  constructor(terminal: Terminal, quiet: boolean, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#quiet = quiet;
    this.#now = now;
  }

  /** Shows one event. */
  show(event: LinprobeEvent): void {
    if (event.kind === "warning") return this.#terminal.printError(`Warning: ${printable(event.message)}`);
    if (this.#quiet) return;
    switch (event.kind) {
      case "notice":
        return this.#terminal.print(printable(event.message));
      case "start":
        return this.#terminal.print(`${startLines(event)}\n`);
      case "checkpoint":
        return this.#terminal.print(`Checkpoint of step ${event.step}: ${printable(event.path)}`);
      case "evaluation":
        return this.#terminal.print(evaluationLine(event));
      case "log":
        // The line is printed with the step's own event, which follows and knows the time left.
        this.#loggedStep = event.record.step;
        return;
      case "step":
        return this.#showStep(event);
      case "progress":
        return this.#showShare(event);
    }
  }

  /** Leaves the last state of the bar on the screen as a line. */
  finish(): void {
    if (this.#quiet || !this.#terminal.interactive || this.#lastStep === undefined) return;
    this.#terminal.print(barLine(this.#lastStep, this.#terminal.columns(), this.#terminal.color));
    this.#lastStep = undefined;
  }

  #showShare({ what, share, facts = [] }: ProgressEvent): void {
    const now = this.#now();
    const line = [`${printable(what)}: ${percent(share)}`, ...facts].join(", ");
    if (this.#terminal.interactive) {
      if (share === 1) this.#terminal.showStatus("");
      else if (now - this.#lastDrawn >= REDRAW_AFTER) {
        this.#lastDrawn = now;
        const { color } = this.#terminal, columns = this.#terminal.columns();
        this.#terminal.showStatus(
          facts.length > 0
            ? drawBar(printable(what), share, facts, columns, color)
            : line.slice(0, columns - 1),
        );
      }
      return;
    }
    this.#lastTold ??= now; // quick work needs no line
    if (now - this.#lastTold < TELL_AFTER) return;
    this.#lastTold = now;
    this.#terminal.print(line);
  }

  #showStep(event: StepEvent): void {
    this.#lastStep = event;
    if (!this.#terminal.interactive) {
      if (this.#loggedStep === event.step) this.#terminal.print(plainLine(event));
      return;
    }
    const now = this.#now();
    if (now - this.#lastDrawn < REDRAW_AFTER) return;
    this.#lastDrawn = now;
    this.#terminal.showStatus(barLine(event, this.#terminal.columns(), this.#terminal.color));
  }
}

function startLines(event: StartEvent): string {
  const repeat = event.repeat === 1 ? "" : `, ${event.repeat} crops of each per epoch`;
  const resumed = event.startStep === 0 ? "" : `, going on after step ${event.startStep}`;
  return columnsOf([
    ["device", printable(event.adapter)],
    ["model", `${count(event.parameters)} parameters`],
    ["data", `${plural(event.samples, "image")}${repeat}`],
    [
      "steps",
      `${event.steps} of ${plural(event.images, "image")}, ${event.stepsPerEpoch} per epoch${resumed}`,
    ],
    ["peak lr", event.learningRate.toExponential(2)],
    ["run", printable(event.run)],
  ]);
}

/** "Validation after epoch 3: top-1 76.12 %, top-5 98.01 %, loss 0.8312, best so far". */
function evaluationLine({ epoch, top1, top5, loss: value, isBest }: EvaluationEvent): string {
  return [
    `Validation after epoch ${+epoch.toFixed(2)}: top-1 ${accuracy(top1)}`,
    ...(top5 === null ? [] : [`top-5 ${accuracy(top5)}`]),
    `loss ${loss(value)}`,
    ...(isBest ? ["best so far"] : []),
  ].join(", ");
}

/** What both forms show after the position, most wanted first. */
function facts(event: StepEvent): string[] {
  return [
    `loss ${loss(event.loss)}`,
    `${duration(event.secondsLeft)} left`,
    `${rate(event.imagesPerSecond)} images/s`,
    `lr ${event.learningRate.toExponential(2)}`,
    `epoch ${event.epoch.toFixed(2)}`,
    `data wait ${percent(event.dataWait)}`,
  ];
}

/** One line of a log: "step 20/120, loss 0.8312, 1 min 05 s left, …". */
export function plainLine(event: StepEvent): string {
  return [`step ${event.step}/${event.steps}`, ...facts(event)].join(", ");
}

/** The bar of a step, see {@linkcode drawBar}. */
export function barLine(event: StepEvent, columns: number, color: boolean): string {
  const head = `step ${event.step}/${event.steps}`;
  return drawBar(head, event.step / event.steps, facts(event), columns, color);
}

/** The bar with as many facts as fit into `columns`; on a narrow terminal the facts without the bar. */
function drawBar(
  head: string,
  share: number,
  facts: readonly string[],
  columns: number,
  color: boolean,
): string {
  const room = columns - 1; // a full last column would wrap
  const besideBar = fitting(facts, room - head.length - SHORTEST_BAR - 4);
  if (besideBar === "") {
    return `${head}  ${fitting(facts, room - head.length - 2)}`.slice(0, Math.max(0, room)).trimEnd();
  }
  const length = Math.min(LONGEST_BAR, room - head.length - besideBar.length - 4);
  const done = Math.round(length * share);
  const filled = "=".repeat(done);
  const bar = color ? `\x1b[32m${filled}\x1b[0m` : filled;
  return `${head} [${bar}${" ".repeat(length - done)}] ${besideBar}`;
}

/** The first of the facts, as many as fit. */
function fitting(facts: readonly string[], room: number): string {
  let text = "";
  for (const fact of facts) {
    const longer = text === "" ? fact : `${text}, ${fact}`;
    if (longer.length > room) break;
    text = longer;
  }
  return text;
}
