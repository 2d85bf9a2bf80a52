/** Rows of tables in text: CSV, TSV and JSON Lines, one at a time, with the line that each stands on. */
import { parseCsv } from "../deps/csv.ts";
import { InputError, messageOf } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { eachLine } from "./text_lines.ts";

/** How a table is written. */
export type TableFormat = "csv" | "tsv" | "jsonl";

/** The format that a file's name says, or undefined for another kind of file. */
export function tableFormatOf(path: string): TableFormat | undefined {
  const [, ending] = /\.(csv|tsv|jsonl|ndjson)$/i.exec(path) ?? [];
  const word = ending?.toLowerCase();
  return word === "csv" || word === "tsv" ? word : word === undefined ? undefined : "jsonl";
}

/** Quoted text over more lines than this is a quote that was forgotten. */
const LONGEST_RECORD = 2 ** 20;

/** Text of one record, perhaps with a quote that is still open, and the line on which it begins. */
interface CsvRecord {
  readonly text: string;
  readonly line: number;
}

/**
 * Calls `visit` with the cells of every row of a CSV or TSV file, the header among them, and the line on which it begins. Cells
 * may be quoted (RFC 4180), also over several lines; empty lines are passed over. A CSV file whose first line has no comma may
 * be separated by semicolons or tabs.
 * @param name what the bytes are called, for refusals
 * @throws {InputError} naming the line when quotes do not match
 */
export async function eachCsvRow(
  bytes: ByteSource,
  format: "csv" | "tsv",
  name: string,
  visit: (cells: readonly string[], line: number) => void,
): Promise<void> {
  let separator: string | undefined = format === "tsv" ? "\t" : undefined;
  const open: { record?: CsvRecord } = {};
  await eachLine(bytes, name, (text, line) => {
    const record = open.record ? { ...open.record, text: `${open.record.text}\n${text}` } : { text, line };
    separator ??= [",", ";", "\t"].find((one) => text.includes(one)) ?? ",";
    open.record = undefined;
    if (!record.text.includes('"')) {
      if (text !== "") visit(text.split(separator), line);
    } else if (quotes(record.text) % 2 === 0) visit(quotedCells(record, separator, name), record.line);
    else if (record.text.length > LONGEST_RECORD) throw unmatched(name, record.line);
    else open.record = record;
  });
  if (open.record) throw unmatched(name, open.record.line);
}

function quotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

function quotedCells(record: CsvRecord, separator: string, name: string): string[] {
  try {
    return parseCsv(record.text, { separator })[0];
  } catch {
    throw unmatched(name, record.line);
  }
}

function unmatched(name: string, line: number): InputError {
  return new InputError(
    `"${name}" line ${line} has quotes that do not match: a cell with a quote in it is written "like ""this"""`,
  );
}

/**
 * Calls `visit` with the object of every line of a JSON Lines file, and the line's number; empty lines are passed over.
 * @param name what the bytes are called, for refusals
 * @throws {InputError} naming the line that is no JSON object
 */
export async function eachJsonRow(
  bytes: ByteSource,
  name: string,
  visit: (row: Readonly<Record<string, unknown>>, line: number) => void,
): Promise<void> {
  await eachLine(bytes, name, (text, line) => {
    if (text.trim() === "") return;
    const row = parsed(text, name, line);
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new InputError(
        `"${name}" line ${line} is no JSON object such as {"path": "a.jpg", "label": "cat"}`,
      );
    }
    visit(Object.fromEntries(Object.entries(row)), line);
  });
}

function parsed(text: string, name: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`"${name}" line ${line} is no JSON: ${messageOf(error)}`);
  }
}
