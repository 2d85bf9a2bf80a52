/** How many bytes a second are read from shards that the system holds in memory; and what others do with the same files. */
import { localShards } from "../sources/shard_files.ts";
import { readSampleSync } from "../sources/sample_bytes.ts";
import { ShardWriter } from "../pack/shard_writer.ts";
import { openParquetShards } from "../sources/parquet_source.ts";
import type { ImageSource } from "../sources/source.ts";
import { openTarShards } from "../sources/tar_source.ts";
import type { SchemaElement } from "../deps/parquet.ts";
import { openBytes } from "../formats/byte_source.ts";
import { writeRowGroups } from "../formats/parquet.ts";
import { TarReader } from "../formats/tar.ts";
import { joinPath } from "../util/files.ts";
import { Random } from "../util/random.ts";
import { peerFile } from "./peers.ts";
import { runProgram } from "./programs.ts";
import { median } from "./timing.ts";

/**
 * `tar`: every entry from front to back; `tar samples`: every image by its place, in random order, as data workers read it;
 * `parquet`: every image of a file without compression or with Snappy, in memory that workers share.
 */
export type ShardStage = "tar" | "tar samples" | "parquet plain" | "parquet snappy";

/** What somebody takes for a stage. */
export interface ShardRate {
  /** `ours`, or the rival's name and version. */
  readonly by: string;
  /** The stage. */
  readonly stage: ShardStage;
  /** Bytes of images a second: the median over rounds through the file. */
  readonly bytesPerSecond: number;
  /** The fastest round. */
  readonly fastest: number;
}

/** Shards of the same images. */
export interface ShardWork {
  /** A tar file, and Parquet files of either kind. */
  readonly paths: Readonly<Record<"tar" | "plain" | "snappy", string>>;
  /** Images in each. */
  readonly samples: number;
  /** Bytes of all images. */
  readonly bytes: number;
}

/** Mean length of an image: ImageNet's. */
const IMAGE_BYTES = 110_000;
/** Images of a row group, as the Hugging Face hub has it. */
const GROUP = 100;

/** Noise in the place of images: as little as a JPEG can be compressed. */
function imagesOf(bytes: number): Uint8Array[] {
  const random = new Random(1);
  const noise = new Uint8Array(4 * IMAGE_BYTES);
  for (let i = 0; i < noise.length; i++) noise[i] = random.integer(256);
  return Array.from({ length: Math.max(2, Math.round(bytes / IMAGE_BYTES)) }, () => {
    const length = IMAGE_BYTES / 2 + random.integer(IMAGE_BYTES);
    const start = random.integer(noise.length - length);
    return noise.subarray(start, start + length);
  });
}

const SCHEMA: SchemaElement[] = [
  { name: "table", num_children: 1 },
  { name: "image", type: "BYTE_ARRAY", repetition_type: "REQUIRED" },
];

async function writeParquetShard(
  path: string,
  images: readonly Uint8Array[],
  codec: "UNCOMPRESSED" | "SNAPPY",
): Promise<void> {
  const groups = Array.from({ length: Math.ceil(images.length / GROUP) }, (_, group) => {
    const data = images.slice(group * GROUP, (group + 1) * GROUP);
    const column = { name: "image", data, codec, encoding: "PLAIN", statistics: false } as const;
    return { rows: data.length, columns: [column] };
  });
  await writeRowGroups(path, { schema: SCHEMA }, groups);
}

/** Writes shards of about so many bytes into a folder. Throws `RunError` where the file system fails. */
export async function writeShardWork(folder: string, bytes: number): Promise<ShardWork> {
  const images = imagesOf(bytes);
  await using writer = await ShardWriter.start(folder, "bench-000000.tar");
  for (const [i, image] of images.entries()) {
    await writer.add({ key: String(i).padStart(9, "0"), ending: "jpg", bytes: image, label: i % 1000 });
  }
  await writer.finish();
  const paths = {
    tar: joinPath(folder, "bench-000000.tar"),
    plain: joinPath(folder, "plain.parquet"),
    snappy: joinPath(folder, "snappy.parquet"),
  };
  await writeParquetShard(paths.plain, images, "UNCOMPRESSED");
  await writeParquetShard(paths.snappy, images, "SNAPPY");
  const total = images.reduce((sum, { length }) => sum + length, 0);
  return { paths, samples: images.length, bytes: total };
}

async function readTar(path: string): Promise<void> {
  using source = await openBytes(path, { blocking: true });
  const reader = new TarReader(source, path);
  for (let entry = await reader.next(); entry; entry = await reader.next()) await reader.read(entry);
}

async function readSamples(source: ImageSource, order: Iterable<number>): Promise<void> {
  for (const sample of order) readSampleSync(await source.locate(sample));
}

/**
 * Measures the stages in this thread by turns, each in rounds through its file, for `seconds` each and two rounds at least
 * after one that does not count.
 */
export async function measureShardReading(
  { paths, samples, bytes }: ShardWork,
  seconds: number,
): Promise<ShardRate[]> {
  const tar = await openTarShards(paths.tar, await localShards([paths.tar]), { cache: null });
  const plain = await openParquetShards(paths.plain, await localShards([paths.plain]));
  const snappy = await openParquetShards(paths.snappy, await localShards([paths.snappy]));
  const shuffled = new Random(1).permutation(samples);
  const inOrder = Array.from({ length: samples }, (_, i) => i);
  const stages: { stage: ShardStage; run: () => Promise<void> }[] = [
    { stage: "tar", run: () => readTar(paths.tar) },
    { stage: "tar samples", run: () => readSamples(tar, shuffled) },
    { stage: "parquet plain", run: () => readSamples(plain, inOrder) },
    { stage: "parquet snappy", run: () => readSamples(snappy, inOrder) },
  ];
  const rates = stages.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < 3 || performance.now() - start < 1000 * seconds * stages.length; round++) {
    for (const [k, { run }] of stages.entries()) {
      const before = performance.now();
      await run();
      if (round >= 1) rates[k].push(1000 * bytes / (performance.now() - before));
    }
  }
  return stages.map(({ stage }, k) => ({
    by: "ours",
    stage,
    bytesPerSecond: median(rates[k]),
    fastest: Math.max(...rates[k]),
  }));
}

/** A rival that reads shards. */
interface Reader {
  readonly command: string;
  readonly flags: readonly string[];
  /** Its file in benches/peers/. */
  readonly file: string;
}

const READERS: readonly Reader[] = [
  {
    command: Deno.execPath(),
    flags: ["run", "--no-lock", "--no-config", "--allow-read"],
    file: "shard_readers.ts",
  },
  { command: "python3", flags: [], file: "tar_data.py" },
];

/** What came of the rivals. */
export interface ShardRivals {
  /** Their rates. */
  readonly rates: readonly ShardRate[];
  /** Why some are missing. */
  readonly notes: readonly string[];
}

/** Has others read the same files: tar-stream, modern-tar and hyparquet under Deno, Python's tarfile and pyarrow. Needs leave to run them. */
export async function measureShardRivals({ paths, bytes }: ShardWork, seconds: number): Promise<ShardRivals> {
  const rates: ShardRate[] = [];
  const notes: string[] = [];
  for (const { command, flags, file } of READERS) {
    const program = await peerFile(file);
    if (program === null) {
      notes.push(`benches/peers/${file} is not there: run from the sources`);
      continue;
    }
    const files = [paths.tar, paths.plain, paths.snappy];
    const args = [...flags, program, ...files, "--seconds", String(seconds)];
    const { lines, failure } = await runProgram(command, args, 60 + 10 * seconds);
    rates.push(...lines.flatMap((line) => rateIn(line, bytes)));
    notes.push(...lines.flatMap(({ note }) => typeof note === "string" ? [note] : []));
    if (failure) notes.push(`${file}: ${failure}`);
  }
  return { rates, notes };
}

/** A rival prints the seconds of each round. */
function rateIn({ by, stage, seconds }: Record<string, unknown>, bytes: number): ShardRate[] {
  const known: readonly ShardStage[] = ["tar", "tar samples", "parquet plain", "parquet snappy"];
  const found = known.find((name) => name === stage);
  if (found === undefined || typeof by !== "string" || !Array.isArray(seconds) || seconds.length === 0) {
    return [];
  }
  const rates = seconds.map((round) => bytes / Number(round));
  return [{ by, stage: found, bytesPerSecond: median(rates), fastest: Math.max(...rates) }];
}
