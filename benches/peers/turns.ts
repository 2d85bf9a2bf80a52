/**
 * Our side of `turns.py`: prints the configuration as rivals take it, then for each line with a number of steps on standard
 * input makes so many and prints milliseconds a step. Arguments: a configuration of `mae bench`, and what to measure.
 */
import { benchConfigs } from "../../src/bench/configurations.ts";
import { makeStep } from "../../src/bench/model.ts";
import { peerShape } from "../../src/bench/peers.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { messageOf } from "../../src/util/errors.ts";

const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

function refuse(why: string): never {
  Deno.stderr.writeSync(new TextEncoder().encode(`${why}\n`));
  Deno.exit(2);
}

const [name, work] = Deno.args;
if (work !== "pretrain" && work !== "finetune" && work !== "features") {
  refuse("Arguments: a configuration, and pretrain, finetune or features");
}
const [config] = await benchConfigs(name).catch((error) => refuse(messageOf(error)));
const shape = peerShape(config);
if (shape === null) refuse(`The rivals cannot do the step of ${name}`);
const runtime = await openRuntime({ backend: "webgpu" });
const step = makeStep(work, config);
step.run(); // compiles
await runtime.settle();
say(JSON.stringify(shape));
const line = new Uint8Array(64);
for (let length; (length = await Deno.stdin.read(line)) !== null;) {
  const steps = Number(new TextDecoder().decode(line.subarray(0, length)));
  const start = performance.now();
  for (let i = 0; i < steps; i++) step.run();
  await runtime.settle();
  say(((performance.now() - start) / steps).toFixed(2));
}
Deno.exit(0);
