/**
 * Our side of `turns.py`: for each line with a number of steps on standard input, makes so many and prints milliseconds a
 * step. Arguments: the configuration's name, and `pretrain`, `finetune` or `features`.
 */
import { benchConfigs } from "../../src/bench/configurations.ts";
import { makeStep } from "../../src/bench/model.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";

const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

const [name, work] = Deno.args;
if (work !== "pretrain" && work !== "finetune" && work !== "features") {
  say("usage: turns.ts CONFIGURATION pretrain|finetune|features");
  Deno.exit(2);
}
const runtime = await openRuntime({ backend: "webgpu" });
const [config] = await benchConfigs(name);
const step = makeStep(work, config);
step.run(); // compiles
await runtime.settle();
say("ready");
const line = new Uint8Array(64);
for (let length; (length = await Deno.stdin.read(line)) !== null;) {
  const steps = Number(new TextDecoder().decode(line.subarray(0, length)));
  const start = performance.now();
  for (let i = 0; i < steps; i++) step.run();
  await runtime.settle();
  say(((performance.now() - start) / steps).toFixed(2));
}
Deno.exit(0);
