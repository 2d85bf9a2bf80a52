/**
 * What a Parquet file holds and where, from its footer. Format: https://parquet.apache.org/docs/file-format and
 * https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
 */
import { InputError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import {
  countIn,
  readThrift,
  structIn,
  structsIn,
  textIn,
  textsIn,
  ThriftError,
  type ThriftStruct,
} from "./thrift_compact.ts";

/** A column of values that are not made of others. */
export interface ParquetColumn {
  /** Names from the outermost group inwards, joined by dots. */
  readonly path: string;
  /** How values are stored. */
  readonly type:
    | "BOOLEAN"
    | "INT32"
    | "INT64"
    | "INT96"
    | "FLOAT"
    | "DOUBLE"
    | "BYTE_ARRAY"
    | "FIXED_LEN_BYTE_ARRAY";
  /** Whether the bytes are text. */
  readonly isText: boolean;
  /** Definition level of a value that is there. */
  readonly maxDefinition: number;
  /** 0 where each row has one value. */
  readonly maxRepetition: number;
}

/** A column's values of a row group. */
export interface ColumnChunk {
  /** The codec's number. */
  readonly codec: number;
  /** First byte of its pages. */
  readonly offset: number;
  /** Bytes of its pages. */
  readonly length: number;
  /** Values, those that are missing included. */
  readonly values: number;
}

/** Some consecutive rows. */
export interface RowGroup {
  /** Number of rows. */
  readonly rows: number;
  /** A chunk per column. */
  readonly chunks: readonly ColumnChunk[];
}

/** The footer of a file. */
export interface ParquetFooter {
  /** Its columns. */
  readonly columns: readonly ParquetColumn[];
  /** Its row groups in their order. */
  readonly rowGroups: readonly RowGroup[];
  /** Free text by name. */
  readonly metadata: ReadonlyMap<string, string>;
}

const MAGIC = "PAR1";
const ENCRYPTED_MAGIC = "PARE";
/** Longest footer that is read: hundreds of thousands of row groups. */
const MAX_FOOTER = 256 * 2 ** 20;
/** Bytes that are read first from the end: most footers fit. */
const FIRST_READ = 64 * 2 ** 10;
const TYPES = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
] as const;
const OPTIONAL = 1, REPEATED = 2;
const UTF8 = 0, STRING = 1;
const MAX_DEPTH = 32;

/** An `InputError` that names the file. */
export function malformedParquet(shown: string, what: string): InputError {
  return new InputError(`"${shown}" is not a sound Parquet file: ${what}`);
}

const latin1 = new TextDecoder("latin1");

/** The footer's bytes. */
async function footerBytes(source: ByteSource, shown: string): Promise<Uint8Array> {
  const { size } = source;
  const refuse = (what: string) => malformedParquet(shown, what);
  if (size < 12) throw refuse(`it has ${size} bytes`);
  const tailLength = Math.min(size, FIRST_READ);
  const tail = await source.read(size - tailLength, tailLength);
  const magic = latin1.decode(tail.subarray(-4));
  if (magic === ENCRYPTED_MAGIC) throw refuse("it is encrypted");
  if (tail.length < tailLength || magic !== MAGIC) {
    throw refuse(`it does not end with ${MAGIC}; it may be cut short`);
  }
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(tail.length - 8, true);
  if (length > size - 12) throw refuse(`its footer has ${length} bytes, more than the file`);
  if (length > MAX_FOOTER) throw refuse(`its footer has ${length} bytes, and ${MAX_FOOTER} are the most`);
  if (length + 8 <= tail.length) return tail.subarray(tail.length - 8 - length, tail.length - 8);
  const bytes = await source.read(size - 8 - length, length);
  if (bytes.length < length) throw refuse("it has become shorter since it was opened");
  return bytes;
}

/** Where one is in the list of the schema's elements, which are in the order of a tree. */
interface SchemaWalk {
  readonly elements: readonly ThriftStruct[];
  readonly columns: ParquetColumn[];
  at: number;
}

function walkSchema(
  walk: SchemaWalk,
  path: string,
  definition: number,
  repetition: number,
  depth: number,
): void {
  const element = walk.elements[walk.at++];
  if (element === undefined || depth > MAX_DEPTH) throw new ThriftError("its schema is damaged");
  const isRoot = depth === 0;
  const name = textIn(element, 4) ?? "";
  const own = isRoot ? "" : path === "" ? name : `${path}.${name}`;
  const kind = isRoot ? 0 : element.get(3);
  const maxDefinition = definition + (kind === OPTIONAL || kind === REPEATED ? 1 : 0);
  const maxRepetition = repetition + (kind === REPEATED ? 1 : 0);
  const children = countIn(element, 5) ?? 0;
  if (children > walk.elements.length) throw new ThriftError("its schema is damaged");
  for (let i = 0; i < children; i++) walkSchema(walk, own, maxDefinition, maxRepetition, depth + 1);
  if (children > 0 || isRoot) return;
  const type = TYPES[countIn(element, 1) ?? -1];
  if (type === undefined) {
    if (element.get(1) === undefined) return; // a group without fields
    throw new ThriftError(`its column "${own}" has an unknown type`);
  }
  const isText = element.get(6) === UTF8 || structIn(element, 10).has(STRING);
  walk.columns.push({ path: own, type, isText, maxDefinition, maxRepetition });
}

function chunkOf(fields: ThriftStruct, column: ParquetColumn | undefined, size: number): ColumnChunk {
  const data = structIn(fields, 3);
  const [codec, values, length, first] = [4, 5, 7, 9].map((field) => countIn(data, field));
  const damaged = (what: string) => new ThriftError(`a chunk of its column "${column?.path}" ${what}`);
  if (column === undefined || textsIn(data, 3).join(".") !== column.path) {
    throw new ThriftError("its row groups and its schema disagree");
  }
  if (fields.has(1)) throw damaged("lies in another file");
  if (codec === undefined || values === undefined || length === undefined || first === undefined) {
    throw damaged(fields.has(8) || fields.has(9) ? "is encrypted" : "is not described");
  }
  const dictionary = countIn(data, 11) ?? 0; // some writers say 0 where there is none
  const offset = dictionary > 0 ? Math.min(dictionary, first) : first;
  if (offset < 4 || offset + length > size) {
    throw damaged(`lies at bytes ${offset} to ${offset + length}, but the file has ${size}`);
  }
  return { codec, offset, length, values };
}

function groupOf(fields: ThriftStruct, columns: readonly ParquetColumn[], size: number): RowGroup {
  const rows = countIn(fields, 3);
  const chunks = structsIn(fields, 1);
  if (rows === undefined || chunks.length !== columns.length) {
    throw new ThriftError("its row groups and its schema disagree");
  }
  return { rows, chunks: chunks.map((chunk, i) => chunkOf(chunk, columns[i], size)) };
}

/**
 * Reads a file's footer.
 * @param shown what the file is called in refusals
 * @throws {InputError} with one sentence where it is no Parquet file, cut, damaged or encrypted
 */
export async function readParquetFooter(source: ByteSource, shown: string): Promise<ParquetFooter> {
  const bytes = await footerBytes(source, shown);
  try {
    const { fields } = readThrift(bytes);
    const walk: SchemaWalk = { elements: structsIn(fields, 2), columns: [], at: 0 };
    walkSchema(walk, "", 0, 0, 0);
    const { columns } = walk;
    const rowGroups = structsIn(fields, 4).map((group) => groupOf(group, columns, source.size));
    const metadata = new Map<string, string>();
    for (const entry of structsIn(fields, 5)) metadata.set(textIn(entry, 1) ?? "", textIn(entry, 2) ?? "");
    return { columns, rowGroups, metadata };
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    throw malformedParquet(
      shown,
      /^(its|a chunk) /.test(error.message) ? error.message : "its footer is damaged",
    );
  }
}
