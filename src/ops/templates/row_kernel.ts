/**
 * Kernels in which a team of threads works on one row of a matrix after another and needs sums over the row.
 *
 * On software adapters a team is one subgroup that shares by shuffling: no barrier, and enough rows per workgroup that
 * starting one costs little. On GPUs a short row belongs to a subgroup as well; a long one, or any where there are no
 * subgroups, belongs to a workgroup of 64 to 256 threads, which add up their partial sums in workgroup memory. The order
 * of every sum is fixed.
 *
 * A row is read once and held in registers. Where it is too wide for that, each step of the kernel loads it again.
 */
import { coverThreads } from "../../gpu/kernel.ts";
import { requiredTarget, type Target } from "../../gpu/target.ts";
import { repeat } from "./wgsl.ts";

/** The threads that share a row. */
export interface Team {
  /** How many there are: a power of two. */
  readonly size: number;
  /** Lanes of a subgroup; 1 where there are none. */
  readonly lanes: number;
  /** Teams of one workgroup; more than one only where a team is a subgroup. */
  readonly teams: number;
  /** Rows that a team goes through; more than one only where a team is a subgroup. */
  readonly rows: number;
  /** Most quads of a row that one thread holds in registers. */
  readonly held: number;
}

/** Most quads per thread. */
const heldQuads = 8;

/** Widest row that a subgroup of a software adapter holds: there, what exceeds the registers lies in the CPU's cache. */
const widestLanesRow = 4096;

/** Who works on rows of this many values. */
export function teamFor(width: number, target: Target = requiredTarget()): Team {
  const quads = Math.ceil(width / 4);
  const { family, lanes, threads } = target;
  if (family === "lanes") {
    // Loads of single values make long code.
    const held = width % 4 === 0 ? widestLanesRow / 4 / lanes : heldQuads;
    return { size: lanes, lanes, teams: 1, rows: 16, held };
  }
  if (lanes > 1 && quads <= heldQuads * lanes) {
    return { size: lanes, lanes, teams: Math.max(1, 128 / lanes), rows: 1, held: heldQuads };
  }
  const wanted = 2 ** Math.ceil(Math.log2(quads / 4));
  const size = Math.min(Math.max(64, wanted), 256, threads);
  return { size, lanes: Math.min(lanes, size), teams: 1, rows: 1, held: heldQuads };
}

/** Whether a team goes through several rows and holds them, so that it can add up quads over them. */
export function addsDown({ size, rows, held }: Team, width: number): boolean {
  return rows > 1 && Math.ceil(width / 4 / size) <= held;
}

/** Part of a kernel's name that tells who works. */
export function teamName({ size, lanes, teams, rows, held }: Team): string {
  return `${size}_${lanes}_${teams}_${rows}_${held}`;
}

/** Workgroups for all rows, split over two dimensions where one is too short, and the uniform that tells rows and split. */
export function rowGrid(rows: number, team: Team): { workgroups: [number, number]; uniform: ArrayBuffer } {
  const [x, y] = coverThreads(rows, team.teams * team.rows);
  return { workgroups: [x, y], uniform: new Uint32Array([rows, x, 0, 0]).buffer };
}

/** A quad of the row, as a step of the kernel writes of it. */
export interface Place {
  /** Expression of its index in the row. */
  readonly quad: string;
  /** Ending of the names of what is held of it. */
  readonly part: string;
}

/** An expression that depends on the place. */
export type AtPlace = (place: Place) => string;

/**
 * Writes the code of a kernel step by step. Steps may use `row`, `lane` (the thread's number in its team) and the uniform
 * `sizes` of `rowGrid`.
 */
export class RowKernel {
  private readonly before: string[] = [];
  private readonly steps: string[] = [];
  private readonly after: string[] = [];
  private readonly shared: string[] = [];
  private readonly kept: { name: string; value: AtPlace }[] = [];
  private readonly quads: number;
  private readonly looped: boolean;

  /**
   * Starts a kernel without steps.
   * @param width values of a row
   * @param team who works on it
   */
  constructor(width: number, private readonly team: Team) {
    this.quads = Math.ceil(width / 4);
    this.looped = Math.ceil(this.quads / team.size) > team.held;
  }

  /** Adds code that every thread runs once per row. */
  step(code: string): void {
    this.steps.push(code);
  }

  /** Adds code that one thread of the team runs. */
  once(code: string): void {
    this.step(`    if (lane == 0u) { ${code} }`);
  }

  /** Adds code for every quad of the row. */
  each(line: AtPlace): void {
    this.step(this.looped ? this.loop(line) : this.unrolled(line));
  }

  /** Keeps a quad of values for later steps; threads beyond the row's end hold `outside`. */
  hold(name: string, value: AtPlace, outside = "vec4f()"): AtPlace {
    const held = ({ part }: Place) => `${name}${part}`;
    if (this.looped) {
      this.kept.push({ name, value });
    } else {
      this.step(repeat(this.parts, (i) => `    var ${name}${i} = ${outside};`));
      this.each((place) => `${held(place)} = ${value(place)};`);
    }
    return held;
  }

  /** A quad of zeros that steps may add to, and that all rows of a team share; only where `addsDown`. */
  total(name: string): AtPlace {
    this.before.push(repeat(this.parts, (i) => `  var ${name}${i} = vec4f();`));
    return ({ part }) => `${name}${part}`;
  }

  /** Adds code for every quad after a team's last row; `piece` is the number of the team. Only where `addsDown`. */
  afterRows(line: AtPlace): void {
    this.after.push(this.unrolled(line));
  }

  /** Makes variables of the row's sums of scalar terms, which must be 0 for what is held outside the row. */
  sum(terms: Readonly<Record<string, AtPlace>>): void {
    this.reduce(terms, "0.0", (a, b) => `${a} + ${b}`);
  }

  /** Makes variables of the row's largest terms, no less than `least`, which terms outside the row must not exceed. */
  maximum(terms: Readonly<Record<string, AtPlace>>, least: string): void {
    this.reduce(terms, least, (a, b) => `max(${a}, ${b})`);
  }

  /** The entry point, with what it needs in workgroup memory. */
  code(): string {
    const { size, teams, lanes, rows } = this.team;
    const main = `@compute @workgroup_size(${size * teams})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) ${
      teams > 1 ? "thread" : "lane"
    }: u32) {`;
    const body = this.steps.join("\n");
    if (size > lanes) {
      return `
${this.shared.join("\n")}
${main}
    let row = id.x + id.y * sizes.y;
    if (row >= sizes.x) { return; }
${body}
}`;
    }
    return `
${main}
${teams > 1 ? `  let lane = thread % ${size}u;` : ""}
  let piece = (id.x + id.y * sizes.y) * ${teams}u${teams > 1 ? ` + thread / ${size}u` : ""};
${this.before.join("\n")}
  for (var row = piece * ${rows}u; row < min((piece + 1u) * ${rows}u, sizes.x); row++) {
${body}
  }
${this.after.join("\n")}
}`;
  }

  /** Quads of a row that a thread holds. */
  private get parts(): number {
    return Math.ceil(this.quads / this.team.size);
  }

  /** The line for each quad that a thread holds, guarded where the row may have ended. */
  private unrolled(line: AtPlace): string {
    const { size } = this.team;
    return repeat(this.parts, (i) => {
      const place = { quad: i === 0 ? "lane" : `(${i * size}u + lane)`, part: `${i}` };
      const inside = (i + 1) * size <= this.quads;
      return inside ? `    ${line(place)}` : `    if (${place.quad} < ${this.quads}u) { ${line(place)} }`;
    });
  }

  /** A loop over the row that makes what is held anew; the compiler drops what a step does not use. */
  private loop(line: AtPlace): string {
    const place = { quad: "quad", part: "_" };
    return `    for (var quad = lane; quad < ${this.quads}u; quad += ${this.team.size}u) {
${this.kept.map(({ name, value }) => `      let ${name}_ = ${value(place)};`).join("\n")}
      ${line(place)}
    }`;
  }

  /** Each thread's own part of the reductions, then over the team. */
  private reduce(
    terms: Readonly<Record<string, AtPlace>>,
    initial: string,
    combine: (a: string, b: string) => string,
  ): void {
    const names = Object.keys(terms);
    if (this.looped) {
      this.step(names.map((name) => `    var ${name} = ${initial};`).join("\n"));
      this.each((place) => names.map((name) => `${name} = ${combine(name, terms[name](place))};`).join(" "));
    } else {
      const parts = Array.from({ length: this.parts }, (_, i) => ({ quad: "", part: `${i}` }));
      const total = (name: string) => parts.map(terms[name]).reduce((a, b) => combine(a, b));
      this.step(names.map((name) => `    var ${name} = ${total(name)};`).join("\n"));
    }
    this.overSubgroup(names, combine);
    if (this.team.size > this.team.lanes) this.overWorkgroup(names, combine);
  }

  /** Every lane ends with the same value. */
  private overSubgroup(names: readonly string[], combine: (a: string, b: string) => string): void {
    const distances = Array.from({ length: Math.log2(this.team.lanes) }, (_, i) => 1 << i);
    for (const name of names) {
      this.step(
        distances.map((distance) =>
          `    ${name} = ${combine(name, `subgroupShuffleXor(${name}, ${distance}u)`)};`
        ).join("\n"),
      );
    }
  }

  /**
   * Every thread ends with the same total. Each array is written once per workgroup, so that nothing has to wait before
   * writing. Threads are assumed to fill subgroups in order, as they do in workgroups of one dimension.
   */
  private overWorkgroup(names: readonly string[], combine: (a: string, b: string) => string): void {
    const { size, lanes } = this.team;
    const count = size / lanes;
    const chain = (array: string, length: number, index: (i: number) => string) =>
      Array.from({ length }, (_, i) => `${array}[${index(i)}]`).reduce((a, b) => combine(a, b));
    const share = (ending: string, length: number, condition: string, value: (name: string) => string) => {
      for (const name of names) {
        this.shared.push(`var<workgroup> ${name}_${ending}: array<f32, ${length}>;`);
      }
      const place = ending === "parts" ? `lane / ${lanes}u` : "lane";
      const stores = names.map((name) => `${name}_${ending}[${place}] = ${value(name)};`).join(" ");
      this.step(`    if (${condition}) { ${stores} }\n    workgroupBarrier();`);
    };
    share("parts", count, `lane % ${lanes}u == 0u`, (name) => name);
    let [last, length] = ["parts", count];
    if (count > 16) {
      const groups = 2 ** Math.floor(Math.log2(count) / 2);
      const own = (i: number) => `lane + ${i * groups}u`;
      share("groups", groups, `lane < ${groups}u`, (name) => chain(`${name}_parts`, count / groups, own));
      [last, length] = ["groups", groups];
    }
    for (const name of names) {
      this.step(`    ${name} = ${chain(`${name}_${last}`, length, (i) => `${i}u`)};`);
    }
  }
}
