/** The folder that shards are packed to, and the notes by which unfinished work is taken up again. */
import { isMapping } from "../config/layers.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { isMissing, writeFileAtomic } from "../util/files.ts";
import { readJsonObject } from "../formats/json_file.ts";
import { CLASSES_FILE } from "../sources/tar_source.ts";
import type { WrittenShard } from "./shard_writer.ts";

/** What decides the bytes of all shards. */
export interface PackPlan {
  /** What the shards are called: `NAME-000000.tar`. */
  readonly name: string;
  /** The source, as the user calls it. */
  readonly source: string;
  /** Hash of the names and labels of all samples. */
  readonly fingerprint: string;
  /** Bytes of a shard, unless one image is larger. */
  readonly shardBytes: number;
  /** Most images of a shard; null for any number. */
  readonly shardSamples: number | null;
  /** Whether images that are broken were looked for. */
  readonly checked: boolean;
}

/** How far the work has come. */
export interface PackProgress {
  /** The first sample of the source that is in no finished shard. */
  readonly next: number;
  /** The finished shards. */
  readonly shards: readonly WrittenShard[];
  /** Images left out because they are broken. */
  readonly broken: number;
}

/** The folder for one set of shards. */
export class PackTarget {
  private constructor(readonly folder: string, readonly plan: PackPlan) {}

  get #notes(): string {
    return `${this.folder}/${this.plan.name}.packing.json`;
  }

  /** The file that lists the finished shards. */
  get listing(): string {
    return `${this.folder}/${this.plan.name}.json`;
  }

  /**
   * Looks at the folder, and makes it where there is none.
   * @returns the folder, and how far an earlier attempt at the same work came
   * @throws {InputError} where it holds anything else than shards that were packed before
   */
  static async open(
    folder: string,
    plan: PackPlan,
    classes: readonly string[] | undefined,
  ): Promise<{ target: PackTarget; progress: PackProgress }> {
    const target = new PackTarget(folder, plan);
    const names = await namesIn(folder);
    if (names.includes(`${plan.name}.json`)) {
      throw new InputError(
        `--to ${folder} holds finished shards "${plan.name}-…"; name another folder, or other shards with --name`,
      );
    }
    const sets = [
      ...finishedSets(names),
      ...(names.includes(`${plan.name}.packing.json`) ? [plan.name] : []),
    ];
    const foreign = names.find((name) => !belongs(name, sets));
    if (foreign !== undefined) {
      throw new InputError(
        `--to ${folder} holds "${foreign}", which mae data pack did not write; name an empty folder or a new one`,
      );
    }
    await checkClasses(folder, names, classes);
    const progress = sets.includes(plan.name) ? await target.#resume() : { next: 0, shards: [], broken: 0 };
    try {
      await Deno.mkdir(folder, { recursive: true });
      await target.note(progress);
      if (classes) await writeFileAtomic(`${folder}/${CLASSES_FILE}`, classesText(classes));
    } catch (error) {
      throw new InputError(`--to ${folder} cannot be written to: ${messageOf(error)}`);
    }
    return { target, progress };
  }

  async #resume(): Promise<PackProgress> {
    const notes = await readJsonObject(this.#notes);
    const { plan, next, shards, broken } = notes;
    if (JSON.stringify(plan) !== JSON.stringify(this.plan)) {
      throw new InputError(
        `--to ${this.folder} holds unfinished shards "${this.plan.name}-…" of other images or other sizes; ` +
          "remove them, or name another folder",
      );
    }
    if (typeof next !== "number" || typeof broken !== "number" || !Array.isArray(shards)) {
      throw new InputError(`"${this.#notes}" is damaged; remove it and the shards beside it`);
    }
    const written = shards.filter(isWrittenShard);
    for (const { name, bytes } of written) {
      const there = await Deno.stat(`${this.folder}/${name}`).catch(() => null);
      if (there?.size === bytes) continue;
      throw new InputError(
        `--to ${this.folder} lacks the shard "${name}" as an earlier attempt wrote it; remove what is there and pack anew`,
      );
    }
    return { next, broken, shards: written };
  }

  /** Notes how far the work has come. */
  async note(progress: PackProgress): Promise<void> {
    await writeFileAtomic(this.#notes, `${JSON.stringify({ plan: this.plan, ...progress })}\n`);
  }

  /** Writes the list of shards in place of the notes. Throws `RunError` where the file system fails. */
  async finish({ shards, broken }: PackProgress, classes: readonly string[] | undefined): Promise<void> {
    const { name, source } = this.plan;
    const [samples, bytes] = [shards.reduce((sum, { samples }) => sum + samples, 0), totalBytes(shards)];
    const list = {
      format: "mae shards",
      version: 1,
      name,
      source,
      samples,
      bytes,
      broken,
      classes: classes?.length,
    };
    try {
      await writeFileAtomic(this.listing, `${JSON.stringify({ ...list, shards }, null, 1)}\n`);
      await Deno.remove(this.#notes);
    } catch (error) {
      throw new RunError(`cannot write "${this.listing}": ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Bytes of all shards. */
export function totalBytes(shards: readonly WrittenShard[]): number {
  return shards.reduce((sum, { bytes }) => sum + bytes, 0);
}

function isWrittenShard(value: unknown): value is WrittenShard {
  return isMapping(value) && typeof value.name === "string" && typeof value.sha256 === "string" &&
    typeof value.bytes === "number" && typeof value.samples === "number";
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    return names.sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new InputError(
      `--to ${folder} ${isMissing(error) ? "is a file" : `cannot be read: ${messageOf(error)}`}`,
    );
  }
}

/** Names of the sets of shards that were packed to the end. */
function finishedSets(names: readonly string[]): string[] {
  return names.filter((name) => /(?<!\.packing)\.json$/.test(name) && name !== CLASSES_FILE)
    .map((name) => name.replace(/\.json$/, ""))
    .filter((set) => names.some((name) => name.startsWith(`${set}-`) && name.endsWith(".tar")));
}

/** Whether a file is part of one of the sets. */
function belongs(name: string, sets: readonly string[]): boolean {
  if (name === CLASSES_FILE) return sets.length > 0;
  return sets.some((set) =>
    name === `${set}.json` || name === `${set}.packing.json` ||
    name.startsWith(`${set}-`) && /^-\d{6,}\.(tar|index\.safetensors)/.test(name.slice(set.length)) ||
    name.startsWith(`${set}.packing.json.`) // half-written notes
  );
}

function classesText(classes: readonly string[]): string {
  return `${JSON.stringify(classes, null, 1)}\n`;
}

async function checkClasses(
  folder: string,
  names: readonly string[],
  classes: readonly string[] | undefined,
): Promise<void> {
  if (!classes || !names.includes(CLASSES_FILE)) return;
  if (await Deno.readTextFile(`${folder}/${CLASSES_FILE}`) === classesText(classes)) return;
  throw new InputError(
    `${CLASSES_FILE} in ${folder} lists other classes than the source has; name another folder with --to`,
  );
}
