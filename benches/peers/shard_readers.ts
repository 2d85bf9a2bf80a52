/**
 * Reading the same shards by libraries of the npm registry: rivals that `src/bench/shard_reading.ts` runs.
 * deno run --no-lock --no-config --allow-read benches/peers/shard_readers.ts TAR PLAIN.parquet SNAPPY.parquet --seconds 5
 *
 * Each prints a line of JSON with the seconds of every round but the first.
 */

/** Not literals in imports, so that the libraries are no dependencies of the program that this file lies beside. */
const libraries = {
  tarStream: "npm:tar-stream@3.1.7",
  modernTar: "npm:modern-tar@0.7.2",
  hyparquet: "npm:hyparquet@1.31.5",
  fileStreams: "node:fs",
};
const [tar, plain, snappy, , seconds] = Deno.args;

/** The parts of the libraries that are used, as they declare them. */
interface FileStreams {
  createReadStream(path: string, options: { highWaterMark: number }): { pipe(to: unknown): void };
}
interface TarStream {
  extract(): AsyncIterable<AsyncIterable<Uint8Array>>;
}
interface ModernTar {
  createTarDecoder(): TransformStream<Uint8Array, { body: ReadableStream<Uint8Array> }>;
}
interface Hyparquet {
  asyncBufferFromFile(path: string): Promise<unknown>;
  parquetRead(options: {
    file: unknown;
    columns: string[];
    utf8: boolean;
    onChunk: (chunk: { columnData: ArrayLike<Uint8Array> }) => void;
  }): Promise<void>;
}

/** Rounds for so many seconds, three at least, of which the first does not count. */
async function race(by: string, stage: string, run: () => Promise<void>): Promise<void> {
  const rounds: number[] = [];
  try {
    const start = performance.now();
    while (rounds.length < 3 || performance.now() - start < 1000 * Number(seconds)) {
      const before = performance.now();
      await run();
      rounds.push((performance.now() - before) / 1000);
    }
    print({ by, stage, seconds: rounds.slice(1) });
  } catch (error) {
    print({ note: `${by}: ${error instanceof Error ? error.message : error}` });
  }
}

function print(line: Readonly<Record<string, unknown>>): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}

const nameOf = (library: string) => library.replace(/^npm:/, "").replace("@", " ");

async function load<T>(library: string): Promise<T | null> {
  try {
    return await import(library);
  } catch (error) {
    print({ note: `${nameOf(library)}: ${error instanceof Error ? error.message : error}` });
    return null;
  }
}

const files = await load<FileStreams>(libraries.fileStreams);
const tarStream = await load<TarStream>(libraries.tarStream);
if (files && tarStream) {
  await race(nameOf(libraries.tarStream), "tar", async () => {
    const extract = tarStream.extract();
    files.createReadStream(tar, { highWaterMark: 2 ** 20 }).pipe(extract);
    for await (const entry of extract) {
      for await (const piece of entry) void piece;
    }
  });
}

const modernTar = await load<ModernTar>(libraries.modernTar);
if (modernTar) {
  await race(nameOf(libraries.modernTar), "tar", async () => {
    const file = await Deno.open(tar);
    for await (const entry of file.readable.pipeThrough(modernTar.createTarDecoder())) {
      for await (const piece of entry.body) void piece;
    }
  });
}

const hyparquet = await load<Hyparquet>(libraries.hyparquet);
for (const [path, stage] of [[plain, "parquet plain"], [snappy, "parquet snappy"]]) {
  if (!hyparquet) break;
  await race(nameOf(libraries.hyparquet), stage, async () => {
    const file = await hyparquet.asyncBufferFromFile(path);
    let images = 0;
    const onChunk = ({ columnData }: { columnData: ArrayLike<Uint8Array> }) => images += columnData.length;
    await hyparquet.parquetRead({ file, columns: ["image"], utf8: false, onChunk });
    if (images === 0) throw new Error("found no images");
  });
}
