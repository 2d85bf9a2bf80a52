/** What the program uses of hyparquet-writer. */

/** One element of a Parquet schema, in the words of the format. */
export interface SchemaElement {
  /** Name of the column or group. */
  name: string;
  /** Physical type; absent for a group. */
  type?: "BYTE_ARRAY" | "FLOAT";
  /** What the physical type stands for. */
  converted_type?: "UTF8" | "LIST";
  /** Whether values may be missing, or be several. */
  repetition_type?: "REQUIRED" | "REPEATED";
  /** Elements of a group. */
  num_children?: number;
}

/** Some rows of a column. */
export interface ColumnSource {
  /** Name of the column. */
  name: string;
  /** A value per row. */
  data: readonly unknown[];
  /** Compression, if not the file's. */
  codec?: "UNCOMPRESSED" | "SNAPPY";
  /** How values are stored; without it a dictionary where that is smaller. */
  encoding?: "PLAIN";
  /** Whether least and greatest values are stored. */
  statistics?: boolean;
}

/** Bytes that are being written. */
export declare class ByteWriter {
  /** Bytes written so far, those included that were taken away. */
  offset: number;
  /** Bytes at hand; 0 when they were taken away. */
  index: number;
  /** The bytes at hand, not copied. */
  getBytes(): Uint8Array<ArrayBuffer>;
}

/** A file that is written group by group. */
export declare class ParquetWriter {
  /** Starts the file. */
  constructor(options: {
    writer: ByteWriter;
    schema: SchemaElement[];
    createdBy?: string;
    kvMetadata?: { key: string; value?: string }[];
  });
  /** Writes rows, in groups of so many. */
  write(rows: { columnData: ColumnSource[]; rowGroupSize?: number }): void | Promise<void>;
  /** Ends the file. */
  finish(): void | Promise<void>;
}
