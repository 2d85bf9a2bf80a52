/**
 * Rivals doing the same work: programs of their own in benches/peers/, which print a line of JSON for each
 * result. What is missing, fails or takes too long is a line in the report and no error.
 */
import { pathExists } from "../util/files.ts";
import { type BenchConfig, type BenchWork, benchWorks, finetuneSizes } from "./configurations.ts";
import { runProgram } from "./programs.ts";
import type { PeerReport } from "./report.ts";
import { stepOperations } from "./work.ts";

/** What a rival is told of a configuration. */
export interface PeerShape {
  /** Name. */
  readonly name: string;
  /** Side of the square images in pixels. */
  readonly image: number;
  /** Side of the square patches in pixels. */
  readonly patch: number;
  /** Values per pixel. */
  readonly channels: number;
  /** Width, depth and heads. */
  readonly encoder: readonly [number, number, number];
  /** Width, depth and heads. */
  readonly decoder: readonly [number, number, number];
  /** Images per step. */
  readonly batch: number;
  /** Share of patches removed in pre-training. */
  readonly ratio: number;
  /** Classes in fine-tuning. */
  readonly classes: number;
  /** The last block's drop path in fine-tuning. */
  readonly dropPath: number;
}

/** The configuration as rivals take it, or null where they cannot do the same work. */
export function peerShape({ name, model, batch, maskRatio, normalizeTarget }: BenchConfig): PeerShape | null {
  const { imageSize, patchSize, channels, encoder, decoder, maskTokens } = model;
  const same = imageSize[0] === imageSize[1] && patchSize[0] === patchSize[1] && maskTokens === "decoder" &&
    encoder.mlpRatio === 4 && decoder.mlpRatio === 4 && normalizeTarget;
  if (!same) return null;
  return {
    name,
    image: imageSize[0],
    patch: patchSize[0],
    channels,
    encoder: [encoder.width, encoder.depth, encoder.heads],
    decoder: [decoder.width, decoder.depth, decoder.heads],
    batch,
    ratio: maskRatio,
    ...finetuneSizes,
  };
}

/** A rival's program and its arguments. */
export interface PeerProgram {
  /** `tfjs`, `pytorch` or `jax-js`. */
  readonly peer: string;
  /** What runs it: `python3` or this Deno. */
  readonly command: string;
  /** The flags before the program's file. */
  readonly flags: readonly string[];
  /** Its file in benches/peers/. */
  readonly file: string;
  /** What it can do. */
  readonly works: readonly BenchWork[];
  /** What follows the shape. */
  readonly args: readonly string[];
}

/** The rivals, each given about `seconds` for a measurement. */
export function peerPrograms(seconds: number): PeerProgram[] {
  const deno = [
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-env=XDG_RUNTIME_DIR",
    "--allow-sys=systemMemoryInfo",
  ];
  const args = ["--seconds", String(seconds)];
  const limited = [...args, "--limit", String(peerLimit(seconds))];
  return [
    {
      peer: "tfjs",
      command: Deno.execPath(),
      flags: [...deno, "--allow-read"],
      file: "tfjs_mae.ts",
      works: benchWorks,
      args: limited,
    },
    {
      peer: "pytorch",
      command: "python3",
      flags: [],
      file: "pytorch_mae.py",
      works: benchWorks,
      args: [...args, "--precision", "auto", "--threads", String(navigator.hardwareConcurrency)],
    },
    // The library is no dependency of this program: it is fetched here, outside the lock file.
    ...["wasm", "webgpu"].map((device): PeerProgram => ({
      peer: "jax-js",
      command: Deno.execPath(),
      flags: [...deno, "--no-lock", "--no-config"],
      file: "jaxjs_mae.ts",
      works: ["pretrain"],
      args: [...limited, "--device", device],
    })),
  ];
}

/**
 * What a rival plans its time by, in seconds: it compiles, warms up and measures, and some are far slower than we are. It is
 * ended after half as much again.
 */
export function peerLimit(seconds: number): number {
  return Math.max(40, 8 * seconds);
}

/** The rivals in one run of the benchmark. The same step is measured once, whatever ours does besides. */
export class Rivals {
  readonly #seconds: number;
  readonly #programs: readonly PeerProgram[];
  readonly #known = new Map<string, readonly PeerReport[]>();
  readonly #givenUp = new Map<PeerProgram, { readonly operations: number; readonly note: string }>();

  /** Each is given about `seconds` for a measurement. */
  constructor(seconds: number, programs: readonly PeerProgram[] = peerPrograms(seconds)) {
    this.#seconds = seconds;
    this.#programs = programs;
  }

  /** Has every rival do the configuration's step of some work. `ours` is our own rate, for the ratios. */
  async measure(
    work: BenchWork,
    config: BenchConfig,
    ours: number,
    onPeer: (name: string) => void = () => {},
  ): Promise<PeerReport[]> {
    const shape = peerShape(config);
    const key = `${work} ${JSON.stringify(shape)}`;
    let found = this.#known.get(key);
    if (found === undefined) {
      const reports: PeerReport[] = [];
      for (const program of this.#programs) {
        onPeer(program.peer);
        reports.push(...await this.#measureOne(program, work, config, shape));
      }
      this.#known.set(key, found = reports);
    }
    return found.map((report) => withRatio(report, ours));
  }

  /** What did not get beyond one step is not tried on anything as large. */
  async #measureOne(
    program: PeerProgram,
    work: BenchWork,
    config: BenchConfig,
    shape: PeerShape | null,
  ): Promise<PeerReport[]> {
    const { peer, args, works } = program;
    if (!works.includes(work)) return [nothing(peer, "its program only pre-trains", args)];
    const operations = stepOperations({ ...config, batch: 1 }, work);
    const before = this.#givenUp.get(program);
    if (before && operations >= before.operations) return [nothing(peer, before.note, args)];
    const { reports, stuck } = await measurePeer(program, work, shape, 1.5 * peerLimit(this.#seconds));
    if (stuck) {
      const [{ note }] = reports;
      this.#givenUp.set(program, { operations, note: `not tried: for ${config.name}${of[work]}, ${note}` });
    }
    return reports;
  }
}

/** Which work of a configuration was too much. */
const of: Readonly<Record<BenchWork, string>> = {
  pretrain: "",
  finetune: "'s fine-tuning",
  features: "'s features",
};

function withRatio(report: PeerReport, ours: number): PeerReport {
  const { imagesPerSecond } = report;
  return { ...report, ratio: imagesPerSecond === null ? null : ours / imagesPerSecond };
}

/** The file of a rival on the disk, or null in a bundle or executable. */
export async function peerFile(name: string): Promise<string | null> {
  const url = new URL(`../../benches/peers/${name}`, import.meta.url);
  if (url.protocol !== "file:") return null;
  const path = decodeURIComponent(url.pathname).replace(/^\/(?=[A-Za-z]:)/, "");
  return await pathExists(path).catch(() => false) ? path : null;
}

/** What came of a rival. */
export interface PeerOutcome {
  /** The last result of each variant, without ratios, or why there is none. */
  readonly reports: PeerReport[];
  /** Whether it tried and got no further than its first step. */
  readonly stuck: boolean;
}

/** Runs one rival, and ends it after `limit` seconds. */
export async function measurePeer(
  { peer, command, flags, file, args }: PeerProgram,
  work: BenchWork,
  shape: PeerShape | null,
  limit: number,
): Promise<PeerOutcome> {
  if (shape === null) {
    const note = "does square images with the target normalised and an MLP ratio of 4";
    return { reports: [nothing(peer, note, args)], stuck: false };
  }
  const path = await peerFile(file);
  if (path === null) {
    const note = `benches/peers/${file} is not there: run from the sources`;
    return { reports: [nothing(peer, note, args)], stuck: true };
  }
  const { lines, failure } = await runProgram(
    command,
    [...flags, path, JSON.stringify(shape), "--work", work, ...args],
    limit,
  );
  const latest = new Map(lines.filter(isResult).map((line) => [variantOf(line), line]));
  const results = [...latest].map(([variant, line]): PeerReport => {
    const { imagesPerSecond, batch, first } = line;
    const note = [
      batch < shape.batch ? `batch ${batch}` : "",
      first === true ? "a first step, setting up included" : "",
      failure ?? "",
    ].filter(Boolean).join("; ");
    return { peer, variant, imagesPerSecond, batch, ratio: null, note };
  });
  return {
    reports: results.length > 0 ? results : [nothing(peer, failure ?? "printed no result", args)],
    stuck: [...latest.values()].every(({ first }) => first === true),
  };
}

/** A line that a rival prints. */
interface PeerLine {
  readonly version?: string;
  readonly device: string;
  readonly precision: string;
  readonly batch: number;
  readonly imagesPerSecond: number;
  /** Whether it is the rate of the very first step. */
  readonly first?: unknown;
}

function isResult(line: Record<string, unknown>): line is Record<string, unknown> & PeerLine {
  return typeof line.imagesPerSecond === "number" && typeof line.batch === "number" &&
    typeof line.device === "string" && typeof line.precision === "string";
}

function variantOf({ version, device, precision }: PeerLine): string {
  return [version, device, precision].filter(Boolean).join(" ");
}

/** `--device NAME` among the arguments tells rivals of one name apart. */
function nothing(peer: string, note: string, args: readonly string[] = []): PeerReport {
  const variant = args[args.indexOf("--device") + 1];
  return {
    peer,
    variant: args.includes("--device") ? variant : "",
    imagesPerSecond: null,
    batch: null,
    ratio: null,
    note,
  };
}

/** PyTorch's rate for products x Wᵀ of these sizes, in 1e9 operations per second, by "m x k x n"; empty where it is not there. */
export async function peerProducts(
  sizes: readonly string[],
  seconds: number,
): Promise<{ rates: ReadonlyMap<string, number>; failure: string | null }> {
  const path = await peerFile("pytorch_mae.py");
  if (path === null || sizes.length === 0) return { rates: new Map(), failure: null };
  const gemms = sizes.flatMap((size) => ["--gemm", size.replaceAll(" x ", ",")]);
  const args = [
    path,
    ...gemms,
    "--seconds",
    String(seconds / 10),
    "--threads",
    String(navigator.hardwareConcurrency),
  ];
  const { lines, failure } = await runProgram("python3", args, peerLimit(seconds));
  const rates = lines.flatMap(({ sizes, gflops }): [string, number][] =>
    typeof sizes === "string" && typeof gflops === "number" ? [[sizes, gflops]] : []
  );
  return { rates: new Map(rates), failure };
}
