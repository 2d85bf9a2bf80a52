/** Reading Parquet files, to see what was written. */
import { parquetMetadata, parquetReadObjects } from "npm:hyparquet@1.31.5";

/** A table that was read. */
export interface Table {
  /** One object per row. */
  readonly rows: Record<string, unknown>[];
  /** Groups that the rows are in. */
  readonly groups: number;
  /** Free text, by name. */
  readonly metadata: Record<string, string | undefined>;
}

/** Reads a whole file. */
export async function readParquet(path: string): Promise<Table> {
  const { buffer } = new Uint8Array(await Deno.readFile(path));
  const { row_groups, key_value_metadata = [] } = parquetMetadata(buffer);
  return {
    rows: await parquetReadObjects({ file: buffer }),
    groups: row_groups.length,
    metadata: Object.fromEntries(key_value_metadata.map(({ key, value }) => [key, value])),
  };
}
