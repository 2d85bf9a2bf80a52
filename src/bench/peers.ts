/**
 * Rivals doing the same training step: programs of their own in benches/peers/, which print a line of JSON for each
 * result. What is missing, fails or takes too long is a line in the report and no error.
 */
import { messageOf } from "../util/errors.ts";
import { baseName, pathExists } from "../util/files.ts";
import type { BenchConfig } from "./configurations.ts";
import type { PeerReport } from "./report.ts";

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
  /** Share of patches removed. */
  readonly ratio: number;
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
      args: limited,
    },
    {
      peer: "pytorch",
      command: "python3",
      flags: [],
      file: "pytorch_mae.py",
      args: [...args, "--precision", "auto", "--threads", String(navigator.hardwareConcurrency)],
    },
    // The library is no dependency of this program: it is fetched here, outside the lock file.
    ...["wasm", "webgpu"].map((device) => ({
      peer: "jax-js",
      command: Deno.execPath(),
      flags: [...deno, "--no-lock", "--no-config"],
      file: "jaxjs_mae.ts",
      args: [...limited, "--device", device],
    })),
  ];
}

/** What a program printed before it ended or was ended. */
export interface Printed {
  /** The lines that are JSON. */
  readonly lines: readonly Record<string, unknown>[];
  /** Why there is no more; null when it ended well. */
  readonly failure: string | null;
}

/** Runs a program for `limit` seconds at most and reads the lines of JSON that it prints. */
export async function runProgram(command: string, args: readonly string[], limit: number): Promise<Printed> {
  const denied = notPermitted(command);
  if (denied !== null) return { lines: [], failure: denied };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    return { lines: [], failure: missing ? `${command} is not there` : messageOf(error) };
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, 1000 * limit);
  try {
    const { success, stdout, stderr } = await child.output();
    const lines = jsonLines(new TextDecoder().decode(stdout));
    if (success) return { lines, failure: null };
    const said = lastLine(new TextDecoder().decode(stderr));
    return { lines, failure: late ? `took more than ${limit} s` : said || "ended with an error" };
  } finally {
    clearTimeout(timer);
  }
}

/** Never asks: a benchmark may run unattended. */
function notPermitted(command: string): string | null {
  const granted = Deno.permissions.querySync({ name: "run", command }).state === "granted";
  return granted ? null : `needs leave to run ${baseName(command)}, which deno task bench gives`;
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split("\n").filter((line) => line.startsWith("{")).flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // cut off when the program was ended
    }
  });
}

/** The last thing said, without colours. */
function lastLine(text: string): string {
  // deno-lint-ignore no-control-regex -- colours start with the escape character
  const lines = text.replace(/\x1b\[[0-9;]*m/g, "").split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").at(-1)?.slice(0, 160) ?? "";
}

/** A rival's limit in seconds: it compiles, warms up and measures, and some are far slower than we are. */
export function peerLimit(seconds: number): number {
  return Math.max(60, 40 * seconds);
}

/** Runs every rival on the configuration. `ours` is our own rate, for the ratios. */
export async function measurePeers(
  config: BenchConfig,
  ours: number | null,
  seconds: number,
  onPeer: (name: string) => void = () => {},
): Promise<PeerReport[]> {
  const shape = peerShape(config);
  const reports: PeerReport[] = [];
  for (const program of peerPrograms(seconds)) {
    onPeer(program.peer);
    reports.push(...await measurePeer(program, shape, ours, peerLimit(seconds)));
  }
  return reports;
}

/** The file of a rival on the disk, or null in a bundle or executable. */
async function peerFile(name: string): Promise<string | null> {
  const url = new URL(`../../benches/peers/${name}`, import.meta.url);
  if (url.protocol !== "file:") return null;
  const path = decodeURIComponent(url.pathname).replace(/^\/(?=[A-Za-z]:)/, "");
  return await pathExists(path).catch(() => false) ? path : null;
}

/** The results of one rival, the last one of each variant. */
export async function measurePeer(
  { peer, command, flags, file, args }: PeerProgram,
  shape: PeerShape | null,
  ours: number | null,
  limit: number,
): Promise<PeerReport[]> {
  if (shape === null) {
    return [nothing(peer, "does square images with the target normalised and an MLP ratio of 4")];
  }
  const path = await peerFile(file);
  if (path === null) return [nothing(peer, `benches/peers/${file} is not there: run from the sources`)];
  const { lines, failure } = await runProgram(
    command,
    [...flags, path, JSON.stringify(shape), ...args],
    limit,
  );
  const latest = new Map(lines.filter(isResult).map((line) => [variantOf(line), line]));
  const results = [...latest].map(([variant, line]): PeerReport => {
    const { imagesPerSecond, batch } = line;
    const reduced = batch < shape.batch ? `batch ${batch}` : "";
    const cut = failure === null ? "" : failure;
    const ratio = ours === null ? null : ours / imagesPerSecond;
    return { peer, variant, imagesPerSecond, batch, ratio, note: [reduced, cut].filter(Boolean).join("; ") };
  });
  return results.length > 0 ? results : [nothing(peer, failure ?? "printed no result", args)];
}

/** A line that a rival prints. */
interface PeerLine {
  readonly version?: string;
  readonly device: string;
  readonly precision: string;
  readonly batch: number;
  readonly imagesPerSecond: number;
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
