/** The floors of the house (docs/architecture.md): no import goes up, none goes in a circle, outside imports are in one place. */
import { assert, assertEquals } from "./deps.ts";

const root = new URL("../", import.meta.url);

/** Floor of each folder or file; a file may import from its own floor and from lower ones. */
const floors: [prefix: string, floor: number][] = [
  ["src/deps/", 0],
  ["src/util/", 0],
  ["src/gpu/", 1],
  ["src/ops/", 2],
  ["src/formats/", 2],
  ["src/config/", 2],
  ["src/storage/", 2],
  ["src/images/", 2],
  ["src/nn/", 3],
  ["src/augment/", 3],
  ["src/sources/", 3],
  ["src/data/", 4],
  ["src/models/", 4],
  ["src/optim/", 4],
  ["src/report/", 5],
  ["src/check/", 5],
  ["src/pack/", 5],
  ["src/train/", 5],
  ["src/bench/", 5],
  ["src/cli/", 6],
  ["cli.ts", 7],
  ["mod.ts", 7],
];

function floorOf(path: string): number {
  const found = floors.find(([prefix]) => path.startsWith(prefix));
  assert(found, `${path} stands on no floor`);
  return found[1];
}

async function sourceFiles(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    if (entry.isDirectory) paths.push(...await sourceFiles(`${folder}${entry.name}/`));
    else if (entry.name.endsWith(".ts")) paths.push(folder + entry.name);
  }
  return paths;
}

/** `import … from "x"`, `import "x"`, `export … from "x"` at the beginning of a line, and `import("x")` anywhere. */
const importPattern = /^(?:import|export)\s+(?:[\w$*{},\s]+\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;

/** Imports of each file; type-only ones are erased at run time but bind the reader just as much. */
async function importGraph(): Promise<Map<string, string[]>> {
  const graph = new Map<string, string[]>();
  for (const path of [...await sourceFiles("src/"), "cli.ts", "mod.ts"]) {
    const text = await Deno.readTextFile(new URL(path, root));
    const specifiers = [...text.matchAll(importPattern)].map(([, fixed, late]) => fixed ?? late);
    graph.set(
      path,
      specifiers.map((specifier) =>
        specifier.startsWith(".")
          ? new URL(specifier, new URL(path, root)).href.slice(root.href.length)
          : specifier
      ),
    );
  }
  return graph;
}

Deno.test("no file imports from a higher floor", async () => {
  for (const [path, imports] of await importGraph()) {
    for (const target of imports.filter((name) => name.startsWith("src/"))) {
      assert(floorOf(target) <= floorOf(path), `${path} imports ${target} from a higher floor`);
    }
  }
});

Deno.test("outside imports stand in src/deps only, with an exact version", async () => {
  for (const [path, imports] of await importGraph()) {
    for (const target of imports.filter((name) => /^[a-z]+:/.test(name))) {
      assert(path.startsWith("src/deps/"), `${path} imports ${target}`);
      assert(
        /^node:/.test(target) || /^npm:(@[^/]+\/)?[^@/]+@\d+\.\d+\.\d+/.test(target),
        `${path} does not pin ${target}`,
      );
    }
  }
});

/** Fails where something leads back to itself; gives how many things there are. */
function checkCircles(graph: ReadonlyMap<string, readonly string[]>): number {
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    assert(!trail.includes(path), `circle: ${[...trail, path].join(" → ")}`);
    if (done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return done.size;
}

Deno.test("there are no import circles", async () => {
  assert(checkCircles(await importGraph()) > 50);
});

Deno.test("the rooms of src/ops, and of src/train, lean on each other without circles", async () => {
  const roomOf = (path: string) => path.match(/^src\/(?:ops|train)\/\w+(?=\/)/)?.[0];
  const rooms = new Map<string, string[]>();
  for (const [path, imports] of await importGraph()) {
    const own = roomOf(path);
    if (!own) continue;
    const others = imports.map(roomOf).filter((room) => room !== undefined && room !== own) as string[];
    rooms.set(own, [...rooms.get(own) ?? [], ...others]);
  }
  assert(checkCircles(rooms) > 10);
});

Deno.test("tests mirror src", async () => {
  const tested = new Set<string>();
  for await (const entry of Deno.readDir(new URL("tests/", root))) {
    if (entry.isDirectory) tested.add(entry.name);
  }
  const rooms = floors.map(([prefix]) => prefix.split("/")).filter(([top, room]) =>
    top === "src" && room && room !== "deps"
  );
  assertEquals(rooms.map(([, room]) => room).filter((room) => !tested.has(room)), []);
});
