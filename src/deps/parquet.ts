/**
 * Parquet files: the writer without its file functions, which are Node's. Pure JavaScript, without install scripts; its one
 * dependency is hyparquet, the reader by the same authors, for the format's constants.
 */
// @ts-types="./hyparquet_writer.d.ts"
export { ByteWriter, ParquetWriter } from "npm:hyparquet-writer@0.17.0/src/index.js";
export type { ColumnSource, SchemaElement } from "./hyparquet_writer.d.ts";
