/** Shards of images. */

import { buildTarIndex, decodeTarIndex, encodeTarIndex } from "../../src/sources/tar_index.ts";
import { memoryBytes } from "../../src/formats/byte_source.ts";
import { readParquetFooter } from "../../src/formats/parquet_footer.ts";
import { decodeByteColumn, decodeNumberColumn, ParquetPageError } from "../../src/formats/parquet_pages.ts";
import { TarReader } from "../../src/formats/tar.ts";
import { TAR_BLOCK } from "../../src/formats/tar_header.ts";
import { InputError } from "../../src/util/errors.ts";
import { fixtures, type Target, texts } from "./target.ts";

const CHECKSUM = 148, CHECKSUM_END = 156;

/** Makes the checksum of every block right that could be a header, so that damage behind it is reached. */
function repairTar(bytes: Uint8Array): void {
  for (let at = 0; at + TAR_BLOCK <= bytes.length; at += TAR_BLOCK) {
    const block = bytes.subarray(at, at + TAR_BLOCK);
    if (block[0] === 0 || block[257] !== 0x75) continue;
    block.fill(0x20, CHECKSUM, CHECKSUM_END);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), CHECKSUM);
  }
}

async function readWhole(bytes: Uint8Array): Promise<void> {
  const reader = new TarReader(memoryBytes(bytes), "x.tar", { windowBytes: 2048 });
  for (let entry = await reader.next(); entry; entry = await reader.next()) await reader.read(entry);
}

/** Tar archives. */
export const tar: Target = {
  name: "tar",
  recipe: async () => ({
    seeds: await fixtures("tar/gnu.tar", "tar/pax.tar", "tar/ustar.tar", "tar/v7.tar"),
    words: texts(
      "ustar\x0000",
      "ustar  \0",
      "0",
      "x",
      "g",
      "L",
      "K",
      "S",
      "1",
      "5",
      "00000001000\0",
      "\x80",
      "\xff",
      "../",
      "22 path=",
      "11 size=9\n",
      "12 size=-1\n",
      "7777777 a=",
      "GNU.sparse.",
      "\0",
    ),
    isText: false,
    repair: repairTar,
  }),
  read: readWhole,
};

/** Decodes every column of every row group. */
async function readParquet(bytes: Uint8Array): Promise<void> {
  const { columns, rowGroups } = await readParquetFooter(memoryBytes(bytes), "x.parquet");
  for (const { chunks } of rowGroups) {
    for (const [i, chunk] of chunks.entries()) {
      const pages = bytes.subarray(chunk.offset, chunk.offset + chunk.length);
      if (columns[i].type === "BYTE_ARRAY") decodeByteColumn(pages, chunk, columns[i]);
      else if (columns[i].type.startsWith("INT")) decodeNumberColumn(pages, chunk, columns[i]);
    }
  }
}

/** Parquet files. */
export const parquet: Target = {
  name: "parquet",
  recipe: async () => ({
    seeds: await fixtures(
      ...["snappy_dictionary", "plain", "zstd_v2", "gzip_v2_plain", "brotli", "words"].map((name) =>
        `parquet/${name}.parquet`
      ),
    ),
    words: texts(
      "PAR1",
      "PARE",
      "\x15\x00",
      "\x15\x04",
      "\x19\x1c",
      "\x19\xfc",
      "\x18\x05image",
      "\xff\xff\xff\xff\x0f",
      "\x00",
      "\x80\x80\x80\x80",
    ),
    isText: false,
  }),
  read: readParquet,
  mayThrow: (error) => error instanceof ParquetPageError, // the reader of shards adds the file and the rows
};

/** Tables of tar shards, which are never refused: what is no table is made anew. */
export const tarIndex: Target = {
  name: "tar-index",
  recipe: async () => {
    const [archive] = await fixtures("tar/gnu.tar");
    const index = await buildTarIndex(memoryBytes(archive), "x.tar");
    const words = texts(
      "label_words",
      "shard_bytes",
      '"[]"',
      '"dtype":"F64"',
      '"shape":[1]',
      '"data_offsets":[0,8]',
    );
    return { seeds: [encodeTarIndex(index, TABLE_OF)], words, isText: false };
  },
  read: (bytes) => {
    const index = decodeTarIndex(bytes, TABLE_OF);
    if (index === undefined) throw new InputError("no table");
    for (let i = 0; i < index.samples; i++) index.names.at(i);
  },
};

/** Bytes of the shard that the table is of. */
const TABLE_OF = 10_240;
