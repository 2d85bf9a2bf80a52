import { measurePeer, peerLimit, peerPrograms, peerShape, runProgram } from "../../src/bench/peers.ts";
import { assert, assertEquals, assertMatch } from "../deps.ts";
import { smallConfig } from "./support.ts";

const deno = Deno.execPath();
const says = (code: string) => runProgram(deno, ["eval", code], 30);

Deno.test("runProgram() gives the lines of JSON that a program prints, and why it stopped", async () => {
  const line =
    'console.log(JSON.stringify({ a: 1 })); console.log("words"); console.log("{cut"); console.error("noise");';
  assertEquals(await says(line), { lines: [{ a: 1 }], failure: null });
  assertEquals(await says(`${line} console.error("no module\\n"); Deno.exit(3);`), {
    lines: [{ a: 1 }],
    failure: "no module",
  });
  assertEquals(await says("Deno.exit(3);"), { lines: [], failure: "ended with an error" });
});

Deno.test("runProgram() ends a program that takes too long, and keeps what it printed before", async () => {
  const code = "console.log(JSON.stringify({ a: 1 })); setInterval(() => {}, 1000);";
  assertEquals(await runProgram(deno, ["eval", code], 2), {
    lines: [{ a: 1 }],
    failure: "took more than 2 s",
  });
});

Deno.test("runProgram() asks for no permission and starts nothing that is not there", async () => {
  const { lines, failure } = await runProgram("/nonexistent/python3", [], 1);
  assertEquals(lines, []);
  assertMatch(failure ?? "", /needs leave to run python3|is not there/);
});

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
      note: /nonexistent/,
    },
  ];
  for (const { shape, program, note } of cases) {
    const [report, ...more] = await measurePeer(program, shape, 10, 5);
    assertEquals([more.length, report.peer, report.imagesPerSecond, report.ratio], [0, "tfjs", null, null]);
    assertMatch(report.note, note);
  }
});

Deno.test("the peer on stock tfjs does the step, and the ratio is ours over its rate", async () => {
  const shape = peerShape(await smallConfig());
  const [program] = peerPrograms(0.05);
  assertEquals(program.peer, "tfjs");
  const [report, ...more] = await measurePeer(program, shape, 1000, 60);
  assertEquals(more, []);
  const { imagesPerSecond, batch, ratio, variant, note } = report;
  assertEquals([batch, note], [3, ""], JSON.stringify(report));
  assertMatch(variant, /^\d+\.\d+\.\d+ webgpu fp32$/);
  assert(imagesPerSecond !== null && imagesPerSecond > 0);
  assertEquals(ratio, 1000 / imagesPerSecond);
});

Deno.test("rivals are given time to compile, in proportion to the time of a measurement", () => {
  assertEquals([peerLimit(0.1), peerLimit(5)], [60, 200]);
});
