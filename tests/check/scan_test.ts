/** A scan that is cut off goes on to the same report. */
import { openCheckedSet } from "../../src/check/check_set.ts";
import type { ScanEvent } from "../../src/check/scan.ts";
import { assert, assertEquals } from "../deps.ts";
import { pathExists } from "../../src/util/files.ts";
import { numberedPng, scan } from "./check_support.ts";
import { inFolder } from "../data/support.ts";

const IMAGES = 700, CHUNK = 128;

/** Many tiny images, two of them equal and one broken. */
async function writeMany(root: string): Promise<void> {
  await Deno.mkdir(root);
  for (let i = 0; i < IMAGES; i++) {
    const bytes = i === 200 ? new Uint8Array(9) : numberedPng(i === 650 ? 3 : i);
    Deno.writeFileSync(`${root}/${String(i).padStart(4, "0")}.png`, bytes);
  }
}

/** A scan that is asked to stop at its first chunk. */
async function cutOff(root: string, path: string): Promise<number> {
  const stop = new AbortController();
  const { isComplete, done } = await scan(await openCheckedSet([root]), {
    path,
    signal: stop.signal,
    onEvent: ({ kind }) => kind === "done" && stop.abort(),
  });
  assertEquals(isComplete, false);
  return done;
}

/** The event that says what an earlier scan knew. */
const found = (events: readonly ScanEvent[]) =>
  events.find(({ kind }) => kind === "resume" || kind === "afresh") ?? null;

Deno.test("a scan that was cut off goes on where it stopped, to the same report", () =>
  inFolder(async (folder) => {
    const root = `${folder}/many`, path = `${folder}/check.scan`;
    await writeMany(root);
    const whole = (await scan(await openCheckedSet([root]))).report();
    assertEquals([whole.readable, whole.duplicates.groups, whole.broken.images], [IMAGES - 1, 1, 1]);

    const done = await cutOff(root, path);
    assert(done >= CHUNK && done < IMAGES, String(done));
    const size = (await Deno.stat(path)).size;
    const resume = async () => {
      const events: ScanEvent[] = [];
      const result = await scan(await openCheckedSet([root]), { path }, events);
      return { event: found(events), ...result };
    };
    const copy = await Deno.readFile(path);
    const second = await resume();
    assertEquals(second.event, { kind: "resume", images: done, changed: 0 });
    assertEquals(second.report(), whole);
    assert((await Deno.stat(path)).size > size);
    await second.forget();
    assertEquals(await pathExists(path), false);

    // A power cut in the middle of a frame, and a bit that has flipped: what follows is done again.
    await Deno.writeFile(path, copy.subarray(0, copy.length - 5));
    const cut = await resume();
    assertEquals(cut.event, done > CHUNK ? { kind: "resume", images: done - CHUNK, changed: 0 } : null);
    assertEquals(cut.report(), whole);
    const flipped = copy.slice();
    flipped[copy.indexOf(10) + 100] ^= 4;
    await Deno.writeFile(path, flipped);
    const damaged = await resume();
    assertEquals([damaged.event, damaged.report()], [null, whole]);
    await damaged.forget();
  }));

Deno.test("images that have changed since are looked at again, and another set of names begins anew", () =>
  inFolder(async (folder) => {
    const root = `${folder}/many`, path = `${folder}/check.scan`;
    await writeMany(root);
    const done = await cutOff(root, path);
    const copy = await Deno.readFile(path);
    await Deno.writeFile(`${root}/0001.png`, numberedPng(5));
    const events: ScanEvent[] = [];
    const changed = await scan(await openCheckedSet([root]), { path }, events);
    assertEquals(found(events), { kind: "resume", images: done - CHUNK, changed: CHUNK });
    assertEquals(changed.report().duplicates.groups, 2);
    await changed.forget();

    await Deno.writeFile(path, copy);
    await Deno.rename(`${root}/0007.png`, `${root}/0007 new.png`);
    const others: ScanEvent[] = [];
    const anew = await scan(await openCheckedSet([root]), { path }, others);
    assertEquals([found(others), anew.report().images], [{ kind: "afresh" }, IMAGES]);
    await anew.forget();
  }));
