/** The numbers and pictures of a run on disk: `metrics.jsonl`, and the same for TensorBoard. */
import type { Picture } from "../../formats/png.ts";
import { EventWriter } from "../../formats/tensorboard.ts";
import { MetricsLog, type MetricsRecord } from "../../report/metrics.ts";
import { InputError, messageOf, RunError } from "../../util/errors.ts";
import type { RunFolder } from "./run_folder.ts";

/**
 * Both logs, open for appending. A write that fails ends the run: numbers are never lost silently. The event file is made
 * with its first event, so that resuming a finished run leaves none behind.
 */
export class RunLog {
  #closed = false;
  #board: Promise<EventWriter> | undefined;

  private constructor(
    private readonly metrics: MetricsLog,
    private readonly openBoard: () => Promise<EventWriter>,
  ) {}

  /**
   * Opens the logs of a run.
   * @param resumeAtStep for a run that goes on: what was logged of later steps is dropped
   * @throws {InputError} where a new run meets the metrics of another
   * @throws {RunError} where a file cannot be opened
   */
  static async open(folder: RunFolder, resumeAtStep?: number): Promise<RunLog> {
    const metrics = await saying(() => MetricsLog.open(folder.metrics, { resumeAtStep }));
    return new RunLog(metrics, () => EventWriter.open(folder.events, { resumeAtStep }));
  }

  #events(): Promise<EventWriter> {
    return this.#board ??= this.openBoard();
  }

  /** Appends a record to both. Throws `RunError` where the disk refuses. */
  async write(record: MetricsRecord): Promise<void> {
    const { loss, lr, grad_norm, images_per_second, data_wait, skipped_steps, peak_bytes } = record;
    await saying(async () => {
      const board = await this.#events();
      board.scalars(record.step, {
        "train/loss": loss,
        "train/lr": lr,
        "train/grad_norm": grad_norm,
        "train/images_per_second": images_per_second,
        "train/data_wait": data_wait,
        "train/skipped_steps": skipped_steps,
        "train/peak_bytes": peak_bytes,
        ...validationScalars(record),
      });
      await this.metrics.append(record);
      await board.flush();
    });
  }

  /** Shows a picture in TensorBoard. Throws `RunError` where the disk refuses. */
  async image(step: number, tag: string, picture: Picture): Promise<void> {
    await saying(async () => {
      const board = await this.#events();
      board.image(step, tag, picture);
      await board.flush();
    });
  }

  /** Flushes the metrics to the disk. Throws `RunError` where it refuses. */
  sync(): Promise<void> {
    return saying(() => this.metrics.sync());
  }

  /** Closes both. Throws `RunError` where the disk refused a write. Does nothing the second time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await saying(async () => {
      const board = this.#board?.then((board) => board.close());
      const results = await Promise.allSettled([this.metrics.close(), board]);
      for (const result of results) if (result.status === "rejected") throw result.reason;
    });
  }
}

/** `val_top1` as `val/top1`, and so on; `knn_top1` as `val/knn_top1`. */
function validationScalars(record: MetricsRecord): Record<string, number | null> {
  return Object.fromEntries(
    Object.entries(record).filter(([name]) => /^(val|knn)_/.test(name))
      .map(([name, value]) => [`val/${name.replace("val_", "")}`, value]),
  );
}

/** Adds the way out to an error of the disk; a wrong file or a wrong number has none. */
async function saying<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof InputError || error instanceof RangeError) throw error;
    throw new RunError(
      `${messageOf(error)}; checkpoints are intact, free some space and continue with --resume`,
      { cause: error },
    );
  }
}
