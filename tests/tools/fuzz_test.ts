/** The fuzzing tool finds what is planted, goes on where it stopped, and every reader stands some hundred inputs. */
import { assert, assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "../deps.ts";
import { InputError } from "../../src/util/errors.ts";
import { fuzz, type FuzzOptions, type FuzzPlaces, parseOptions } from "../../tools/fuzz.ts";
import { inputOf, judge } from "../../tools/fuzz/runner.ts";
import { readState, writeState } from "../../tools/fuzz/state.ts";
import type { Target } from "../../tools/fuzz/target.ts";
import { TARGETS } from "../../tools/fuzz/targets.ts";
import { inFolder } from "../support/folder.ts";

const INPUTS = 300;

const options = (targets: readonly Target[], more: Partial<FuzzOptions> = {}): FuzzOptions => ({
  targets,
  inputs: INPUTS,
  deadline: Infinity,
  seed: 7,
  ...more,
});

function placesIn(folder: string): FuzzPlaces & { lines: string[] } {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  return { state: `${folder}/fuzz.json`, findings: `${folder}/findings`, scratch: folder, say, lines };
}

/** A reader that answers as it is told to. */
const planted = (read: Target["read"], isText = false): Target => ({
  name: "planted",
  recipe: () => Promise.resolve({ seeds: [new TextEncoder().encode("a valid file: 12")], words: [], isText }),
  read,
});

for (const target of TARGETS) {
  Deno.test(`the reader of ${target.name} answers ${INPUTS} damaged files with values or one sentence`, () =>
    inFolder(async (folder) => {
      const places = placesIn(folder);
      assertEquals(await fuzz(options([target]), places), 0, places.lines.join("\n"));
      const { targets } = await readState(places.state, 7);
      const { inputs, values, refusals } = targets[target.name];
      assertEquals([inputs, values + refusals], [INPUTS, INPUTS]);
      assert(values > 0 && refusals + values === INPUTS, `${values} values`);
      for (const seed of (await target.recipe()).seeds) {
        assertEquals(await judge(target, new Uint8Array(seed), folder), "value", "a seed is no valid file");
      }
    }));
}

Deno.test("fuzz() finds and keeps planted bugs, and what it keeps is the input", () =>
  inFolder(async (folder) => {
    const places = placesIn(folder);
    const isBad = (bytes: Uint8Array) => bytes.length > 16 && bytes[3] === 0x61;
    const target = planted((bytes) => {
      if (isBad(bytes)) throw new TypeError(`cannot read properties of byte ${bytes.length}`);
      throw new InputError("no");
    });
    const problems = await fuzz(options([target]), places);
    assert(problems > 3);
    const files = [...Deno.readDirSync(places.findings)].map(({ name }) => name);
    assertEquals(files.length, 3); // alike ones are counted only
    for (const name of files) assert(isBad(await Deno.readFile(`${places.findings}/${name}`)));
    assertStringIncludes(places.lines[0], "FOUND planted threw TypeError at fuzz_test.ts:");
    assertStringIncludes(places.lines[0], "deno task fuzz --target planted --replay");
    assertStringIncludes(
      places.lines.at(-1) ?? "",
      `300 in all: 0 values, ${300 - problems} refusals, ${problems} findings`,
    );
  }));

Deno.test("judge() sees what takes too long and what takes too much memory", async () => {
  const input = new Uint8Array(8);
  const kept: unknown[] = [];
  const slow = planted(() => new Promise((resolve) => setTimeout(resolve, 1050)));
  const large = planted(() => void kept.push(new Uint8Array(300 * 2 ** 20)));
  const thrown = planted(() => Promise.reject("a string"));
  const answers = await Promise.all([slow, large, thrown].map((target) => judge(target, input, ".")));
  const problems = answers.map((answer) => (typeof answer === "object" ? answer.problem : answer));
  assertStringIncludes(problems[0], "took 10");
  assertStringIncludes(problems[1], "made memory grow by 30");
  assertEquals(problems[2], "threw a string");
});

Deno.test("fuzz() goes on where it stopped, with the same inputs as in one go", () =>
  inFolder(async (folder) => {
    const seen: string[] = [];
    const target = planted((bytes) => void seen.push(bytes.toHex()));
    const places = placesIn(folder);
    await fuzz(options([target], { inputs: 20 }), places);
    await fuzz(options([target], { inputs: 30, seed: undefined }), places);
    const recipe = await target.recipe();
    assertEquals(seen, Array.from({ length: 50 }, (_, i) => inputOf(target, recipe, 7, i).toHex()));
    await fuzz(options([target], { inputs: 1, seed: 8 }), places);
    assertNotEquals(seen[50], seen[0]);
    assertEquals((await readState(places.state, undefined)).seed, 8);
  }));

Deno.test("fuzz() ends at its deadline", () =>
  inFolder(async (folder) => {
    const places = placesIn(folder);
    await fuzz(options([planted(() => {})], { inputs: 1e9, deadline: performance.now() + 50 }), places);
    assertStringIncludes(places.lines[0], "inputs at");
  }));

Deno.test("fuzz() finds the input that ended the process before", () =>
  inFolder(async (folder) => {
    const places = placesIn(folder);
    const seen: number[] = [];
    const target = planted(() => void seen.push(1));
    const totals = { inputs: 10, values: 10, refusals: 0, problems: 0, seconds: 0 };
    const left = (from: number, count: number) => ({
      seed: 7,
      targets: { planted: { ...totals, inputs: from } },
      running: { target: "planted", from, count },
    });
    await writeState(places.state, left(10, 500)); // in a block: one by one from here
    await fuzz(options([target], { inputs: 5 }), places);
    assertEquals([seen.length, places.lines.length], [5, 1]);
    await writeState(places.state, left(13, 1)); // one by one: it is this one
    assertEquals(await fuzz(options([target], { inputs: 5 }), places), 1);
    assertStringIncludes(places.lines[1], "FOUND planted ended the process or never ended");
    assertEquals(seen.length, 9);
  }));

Deno.test("parseOptions() takes the flags of the help and no others", () => {
  const { targets, inputs, seed, deadline } = parseOptions([
    "--target",
    "png",
    "--target=yaml",
    "--inputs",
    "5",
    "--seed=3",
  ]);
  assertEquals([targets.map(({ name }) => name), inputs, seed, deadline], [["png", "yaml"], 5, 3, Infinity]);
  assertEquals(parseOptions([]).targets, TARGETS);
  const refusals: [string[], string][] = [
    [["--targets", "png"], '"--targets" is none of --target'],
    [["png"], '"png" is none of'],
    [["--target"], "--target takes a value"],
    [["--target", "jpg"], 'there is no target "jpg"; did you mean "jpeg"?'],
    [["--inputs", "many"], '--inputs takes a whole number, not "many"'],
    [["--replay", "x"], "--replay takes one --target"],
  ];
  for (const [args, message] of refusals) assertThrows(() => parseOptions(args), InputError, message);
});
