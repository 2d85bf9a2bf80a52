/** Writing tables as Parquet files. Format: https://parquet.apache.org/docs/file-format. */
import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from "../deps/parquet.ts";
import { replaceFile } from "./output_file.ts";

/** A column of text, none of it missing. */
export interface TextColumn {
  /** Tells the kinds of columns apart. */
  readonly kind: "text";
  /** Its name. */
  readonly name: string;
  /** The text of each row. */
  readonly values: readonly string[];
}

/** A column of lists of single-precision numbers, all of one length. */
export interface VectorColumn {
  /** Tells the kinds of columns apart. */
  readonly kind: "vectors";
  /** Its name. */
  readonly name: string;
  /** Numbers of a row. */
  readonly width: number;
  /** [rows, width] */
  readonly values: Float32Array;
}

/** Numbers that are encoded at once. */
const groupValues = 2 ** 20;

/**
 * Writes a table and replaces the old file atomically. Equal tables give equal bytes.
 * @param metadata free text, by name
 * @throws {RangeError} when columns differ in their number of rows
 * @throws {RunError} where the file cannot be written
 */
export async function writeParquet(
  path: string,
  columns: readonly (TextColumn | VectorColumn)[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const rows = rowsOf(columns[0]);
  if (columns.some((column) => rowsOf(column) !== rows)) {
    throw new RangeError("The columns of a table differ in their number of rows");
  }
  const widest = Math.max(1, ...columns.map((column) => column.kind === "vectors" ? column.width : 1));
  const groupRows = Math.max(1, Math.floor(groupValues / widest));
  const kvMetadata = Object.entries(metadata).map(([key, value]) => ({ key, value }));
  const groups = Array.from({ length: Math.ceil(rows / groupRows) }, (_, group) => group * groupRows);
  await writeRowGroups(
    path,
    { schema: schemaOf(columns), createdBy: "mae", kvMetadata },
    groups.values().map((first) => {
      const count = Math.min(groupRows, rows - first);
      return { rows: count, columns: columns.map((column) => part(column, first, count)) };
    }),
  );
}

/** Rows of a file that are written together. */
export interface WrittenGroup {
  /** Number of rows. */
  readonly rows: number;
  /** Their values, by column. */
  readonly columns: ColumnSource[];
}

/**
 * Writes a Parquet file, one row group at a time in memory, and replaces the old one atomically.
 * @throws {RunError} where the file cannot be written
 */
export async function writeRowGroups(
  path: string,
  options: {
    readonly schema: SchemaElement[];
    readonly createdBy?: string;
    readonly kvMetadata?: { key: string; value?: string }[];
  },
  groups: Iterable<WrittenGroup>,
): Promise<void> {
  await replaceFile(path, async (put) => {
    const bytes = new ByteWriter();
    const flush = async () => {
      await put(bytes.getBytes());
      bytes.index = 0; // `offset` goes on counting
    };
    const writer = new ParquetWriter({ writer: bytes, ...options });
    for (const { rows, columns } of groups) {
      await writer.write({ columnData: columns, rowGroupSize: rows });
      await flush();
    }
    await writer.finish();
    await flush();
  });
}

function rowsOf(column: TextColumn | VectorColumn | undefined): number {
  if (column === undefined) return 0;
  return column.kind === "text" ? column.values.length : column.values.length / column.width;
}

function schemaOf(columns: readonly (TextColumn | VectorColumn)[]): SchemaElement[] {
  const repetition_type = "REQUIRED";
  return [
    { name: "table", num_children: columns.length },
    ...columns.flatMap(({ name, kind }): SchemaElement[] =>
      kind === "text" ? [{ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type }] : [
        { name, repetition_type, num_children: 1, converted_type: "LIST" },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        { name: "element", type: "FLOAT", repetition_type },
      ]
    ),
  ];
}

/** Some rows as the writer takes them. Vectors look random: neither compressing nor summing them up pays. */
function part(column: TextColumn | VectorColumn, first: number, count: number): ColumnSource {
  const { name } = column;
  if (column.kind === "text") return { name, data: column.values.slice(first, first + count) };
  const { values, width } = column;
  const data = Array.from(
    { length: count },
    (_, i) => Array.from(values.subarray((first + i) * width, (first + i + 1) * width)),
  );
  return { name, data, codec: "UNCOMPRESSED", statistics: false };
}
