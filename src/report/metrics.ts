/** The run's numbers: `metrics.jsonl`, one JSON object per logged step. */

import { AppendFile } from "../formats/output_file.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { writeFileAtomic } from "../util/files.ts";

/** One line of `metrics.jsonl`: means since the line before it, unless it says otherwise. */
export interface MetricsRecord {
  /** Optimizer steps done. */
  readonly step: number;
  /** Epochs done, with fraction. */
  readonly epoch: number;
  /** Mean loss; null where no step was finite. */
  readonly loss: number | null;
  /** Learning rate of the last step. */
  readonly lr: number;
  /** Mean global gradient norm before clipping; null where no step was finite. */
  readonly grad_norm: number | null;
  /** Images trained on per second. */
  readonly images_per_second: number;
  /** Share of the time, from 0 to 1, that steps waited for data. */
  readonly data_wait: number;
  /** Non-finite steps skipped since the start of the run. */
  readonly skipped_steps: number;
  /** Seconds of training since the start of the run. */
  readonly seconds: number;
  /** Further numbers of the job. */
  readonly [extra: string]: number | null;
}

const NUMBERS = [
  "step",
  "epoch",
  "lr",
  "images_per_second",
  "data_wait",
  "skipped_steps",
  "seconds",
] as const;

function isRecord(value: unknown): value is MetricsRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return NUMBERS.every((name) => typeof fields.get(name) === "number") &&
    fields.has("loss") && fields.has("grad_norm") &&
    fields.values().every((field) => typeof field === "number" || field === null);
}

function parseLine(line: string): MetricsRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new InputError(`cannot read "${path}": ${messageOf(error)}`);
  }
}

/**
 * Reads a metrics file in the order of its lines. A last line that the end of the run cut short is left out.
 *
 * @throws {InputError} where there is no such file, or another line is no record
 */
export async function readMetrics(path: string): Promise<MetricsRecord[]> {
  const text = await readText(path);
  if (text === undefined) throw new InputError(`there is no file "${path}"`);
  const lines = text.split("\n");
  const records: MetricsRecord[] = [];
  for (const [index, line] of lines.entries()) {
    const isLast = index === lines.length - 1; // behind the last line feed: empty, or a line cut short
    if (line.trim() === "" || isLast) continue;
    const record = parseLine(line);
    if (record === undefined) throw new InputError(`"${path}" has no metrics record in line ${index + 1}`);
    records.push(record);
  }
  return records;
}

/** Drops what a resumed run will write again, and lines that a crash has damaged. */
async function keepUpTo(path: string, step: number): Promise<void> {
  const text = await readText(path) ?? "";
  const lines = text.split("\n").slice(0, -1);
  const kept = lines.filter((line) => (parseLine(line)?.step ?? Infinity) <= step);
  const keptText = kept.map((line) => `${line}\n`).join("");
  if (keptText !== text) await writeFileAtomic(path, keptText);
}

/** `metrics.jsonl`, open for appending. A failed write fails every later call. */
export class MetricsLog implements AsyncDisposable {
  private constructor(private readonly file: AppendFile) {}

  /**
   * Opens the file, or creates it in an existing folder.
   *
   * @param path usually `metrics.jsonl` in the run's folder
   * @param options with `resumeAtStep`, records of later steps and damaged lines are dropped; without it the file must be
   * new or empty
   * @throws {InputError} where a new run meets the records of another
   * @throws {RunError} where the file cannot be opened
   */
  static async open(path: string, options: { readonly resumeAtStep?: number } = {}): Promise<MetricsLog> {
    if (options.resumeAtStep !== undefined) {
      await keepUpTo(path, options.resumeAtStep);
    } else if ((await readText(path) ?? "") !== "") {
      throw new InputError(
        `"${path}" holds the metrics of another run; resume that run or choose another folder`,
      );
    }
    return new MetricsLog(await AppendFile.open(path));
  }

  /**
   * Appends a record; when it resolves the line survives the end of this process. JSON has no word for NaN and the
   * infinities: in a field that may be null they become null.
   *
   * @throws {RangeError} where they are in a field that may not
   * @throws {RunError} where the disk refuses
   */
  async append(record: MetricsRecord): Promise<void> {
    const wrong = NUMBERS.find((name) => !Number.isFinite(record[name]));
    if (wrong !== undefined) throw new RangeError(`Metric ${wrong} is ${record[wrong]}`);
    await this.file.write(new TextEncoder().encode(`${JSON.stringify(record)}\n`));
  }

  /** Flushes the lines to the disk, so that they survive a power cut. Throws `RunError` where it refuses. */
  sync(): Promise<void> {
    return this.file.sync();
  }

  /** Ends pending writes and closes the file. Throws `RunError` where the disk refused one. */
  close(): Promise<void> {
    return this.file.close();
  }

  /** Closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
