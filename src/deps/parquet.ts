/**
 * Parquet files: the writer without its file functions, which are Node's. Pure JavaScript, without install scripts; its one
 * dependency is hyparquet, the reader by the same authors, for the format's constants.
 */
export { ByteWriter, ParquetWriter } from "npm:hyparquet-writer@0.17.0/src/index.js";
