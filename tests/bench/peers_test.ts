import { benchWorks } from "../../src/bench/configurations.ts";
import { measurePeer, peerLimit, peerPrograms, peerShape, Rivals } from "../../src/bench/peers.ts";
import { assert, assertEquals, assertMatch } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { smallConfig } from "./support.ts";

Deno.test("peerShape() tells rivals the same model, or nothing where they cannot make it", async () => {
  const config = await smallConfig();
  assertEquals(peerShape(config), {
    name: "small",
    image: 12,
    patch: 4,
    channels: 3,
    encoder: [24, 1, 2],
    decoder: [12, 1, 3],
    batch: 3,
    ratio: 0.75,
    classes: 1000,
    dropPath: 0.1,
  });
  const { model } = config;
  assertEquals(peerShape({ ...config, normalizeTarget: false }), null);
  assertEquals(peerShape({ ...config, model: { ...model, imageSize: [12, 8] } }), null);
  assertEquals(
    peerShape({ ...config, model: { ...model, encoder: { ...model.encoder, mlpRatio: 2 } } }),
    null,
  );
});

Deno.test("a rival that is missing, fails or cannot do the work is one line without figures", async () => {
  const config = await smallConfig();
  const [program] = peerPrograms(0.1);
  const cases = [
    { shape: null, program, note: /MLP ratio of 4/ },
    {
      shape: peerShape(config),
      program: { ...program, file: "no_such_peer.py" },
      note: /no_such_peer\.py is not there/,
    },
    {
      shape: peerShape(config),
      program: { ...program, command: "/nonexistent/python3" },
      note: /needs leave to run python3|is not there/,
    },
  ];
  for (const { shape, program, note } of cases) {
    const { reports: [report, ...more] } = await measurePeer(program, "pretrain", shape, 5);
    assertEquals([more.length, report.peer, report.imagesPerSecond, report.ratio], [0, "tfjs", null, null]);
    assertMatch(report.note, note);
  }
});

Deno.test("the peer on stock tfjs does every work, and the ratio is ours over its rate", async () => {
  const small = await smallConfig();
  const [program] = peerPrograms(0.05);
  assertEquals(program.peer, "tfjs");
  const rivals = new Rivals(0.05, [program]);
  for (const work of benchWorks) {
    const config = work === "pretrain" ? small : { ...small, batch: 1 }; // larger ones are tried after one
    const [report, ...more] = await rivals.measure(work, config, 1000);
    assertEquals(more, []);
    const { imagesPerSecond, batch, ratio, variant, note } = report;
    assertEquals([batch, note], [config.batch, ""], JSON.stringify(report));
    assertMatch(variant, /^\d+\.\d+\.\d+ webgpu fp32$/);
    assert(imagesPerSecond !== null && imagesPerSecond > 0);
    assertEquals(ratio, 1000 / imagesPerSecond);
    // What changes only ours is not measured again.
    const asked: string[] = [];
    const again = await rivals.measure(
      work,
      { ...config, precision: "f16" },
      500,
      (peer) => asked.push(peer),
    );
    assertEquals([again, asked], [[{ ...report, ratio: 500 / imagesPerSecond }], []]);
  }
});

Deno.test("jax-js is only asked to pre-train", async () => {
  const jaxjs = peerPrograms(0.1).filter(({ peer }) => peer === "jax-js");
  const found = await new Rivals(0.1, jaxjs).measure("finetune", await smallConfig(), 1);
  assertEquals(found.map(({ variant, imagesPerSecond, note }) => [variant, imagesPerSecond, note]), [
    ["wasm", null, "its program only pre-trains"],
    ["webgpu", null, "its program only pre-trains"],
  ]);
});

/** A rival of this Deno: `code` sees the configuration as `shape`, and the work it is asked for as `work`. */
async function madeUp(folder: string, code: string) {
  const path = `${folder}/rival.js`;
  await Deno.writeTextFile(
    path,
    `const [shape, work] = [JSON.parse(Deno.args.at(-3)), Deno.args.at(-1)];\n${code}`,
  );
  const [program] = peerPrograms(0.1);
  // The rival's own file comes as an argument of this one.
  return { ...program, peer: "rival", flags: ["run", "--quiet", "--no-config", path], args: [] };
}

const line = (fields: string) =>
  `console.log(JSON.stringify({ device: "cpu", precision: "fp32", batch: shape.batch, ${fields} }));`;

Deno.test("of a rival's lines the last of each variant counts, and its note tells what is special", () =>
  inFolder(async (folder) => {
    const shape = peerShape(await smallConfig());
    const code = line("imagesPerSecond: 1") + line("imagesPerSecond: 2") +
      line('precision: "bf16", imagesPerSecond: 3, batch: 1, first: true') + 'throw new Error("full");';
    const { reports: found } = await measurePeer(await madeUp(folder, code), "pretrain", shape, 20);
    const common = { peer: "rival", ratio: null };
    const full = "error: Uncaught (in promise) Error: full";
    assertEquals(found, [
      { ...common, variant: "cpu fp32", imagesPerSecond: 2, batch: 3, note: full },
      {
        ...common,
        variant: "cpu bf16",
        imagesPerSecond: 3,
        batch: 1,
        note: `batch 1; a first step, setting up included; ${full}`,
      },
    ]);
  }));

Deno.test("a rival that gets no further than one step is not tried on anything as large, but on what is smaller", () =>
  inFolder(async (folder) => {
    const config = await smallConfig();
    const { model } = config;
    const deeper = (name: string, depth: number) => ({
      ...config,
      name,
      model: { ...model, encoder: { ...model.encoder, depth } },
    });
    const stuck = 'if (shape.encoder[1] > 1) throw new Error("full");';
    const full = "error: Uncaught (in promise) Error: full";
    const first = line("imagesPerSecond: 1, first: true");
    const cases = [
      { code: stuck + line("imagesPerSecond: 2"), rate: null, note: full },
      {
        code: first + stuck + line("imagesPerSecond: 2"),
        rate: 1,
        note: `a first step, setting up included; ${full}`,
      },
    ];
    for (const { code, rate, note } of cases) {
      const rivals = new Rivals(0.1, [await madeUp(folder, code)]);
      const found: [number | null, string][] = [];
      for (const one of [deeper("larger", 2), deeper("largest", 3), config]) {
        const [report, ...more] = await rivals.measure("pretrain", one, 10);
        assertEquals(more, []);
        found.push([report.imagesPerSecond, report.note]);
      }
      assertEquals(found, [[rate, note], [null, `not tried: for larger, ${note}`], [2, ""]]);
    }
  }));

Deno.test("a rival that got stuck in one work is not tried on a larger one, but on a smaller one", () =>
  inFolder(async (folder) => {
    const config = await smallConfig();
    const code = 'if (work !== "features") throw new Error("full");' + line("imagesPerSecond: 4");
    const rivals = new Rivals(0.1, [await madeUp(folder, code)]);
    const found: [number | null, string][] = [];
    for (const work of ["finetune", "features"] as const) {
      const [{ imagesPerSecond, note }] = await rivals.measure(work, config, 10);
      found.push([imagesPerSecond, note]);
    }
    const deeper = { ...config.model, encoder: { ...config.model.encoder, depth: 9 } };
    const [{ note }] = await rivals.measure("features", { ...config, name: "larger", model: deeper }, 10);
    const full = "error: Uncaught (in promise) Error: full";
    assertEquals([found, note], [
      [[null, full], [4, ""]],
      `not tried: for small's fine-tuning, ${full}`,
    ]);
  }));

Deno.test("rivals are given time to compile, in proportion to the time of a measurement", () => {
  assertEquals([peerLimit(0.1), peerLimit(10)], [40, 80]);
});
