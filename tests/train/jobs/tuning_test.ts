/** Tuning before the first step: when it is done, and that it leaves no trace in the training. */
import { assert, assertEquals, assertMatch } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import type { TuneOptions } from "../../../src/gpu/tuner.ts";
import { createMae } from "../../../src/models/mae.ts";
import type { PretrainEvent } from "../../../src/train/run/events.ts";
import { tunePretraining } from "../../../src/train/jobs/tuning.ts";
import { messages, tinyConfig } from "../support.ts";

Deno.test("tuning tries a step without changing the model, and tells how it went", async () => {
  const runtime = await openRuntime({ backend: "cpu" });
  const config = tinyConfig("nowhere");
  const model = createMae(config.model, { seed: 1 });
  const events: PretrainEvent[] = [];
  const parts = { config, model, runtime, onEvent: (event: PretrainEvent) => events.push(event) };
  const names: string[] = [];
  const tuneFor = async (name: string, trial: () => void | Promise<void>, { onStart }: TuneOptions = {}) => {
    names.push(name);
    await trial();
    onStart?.(3);
    return { timed: 3, changed: 2, seconds: 1.26 };
  };
  const before = await model.state();
  const tensors = tf.memory().numTensors;
  await tunePretraining(parts, { hasChoices: () => true, tuneFor });
  assertEquals(tf.memory().numTensors, tensors);
  assertEquals(await model.state(), before);
  assertEquals(messages(events), [
    "Tuning 3 kernels to this device, once; --no-tune leaves it out",
    "Tuned 3 kernels in 1.3 s; 2 of them run otherwise than by default",
  ]);
  // The name tells configurations with other shapes apart, and no others.
  for (const set of ["optim.batch_size=3", "model.decoder.width=12", "mask.ratio=0.5", "run.seed=7"]) {
    await tunePretraining({ ...parts, config: tinyConfig("nowhere", "run", set) }, {
      hasChoices: () => true,
      tuneFor: (name) => {
        names.push(name);
        return Promise.resolve({ timed: 0, changed: 0, seconds: 0 });
      },
    });
  }
  assertEquals(new Set(names).size, 4);
  assertEquals(names[4], names[0]);
  assertEquals(messages(events).length, 2);
  await runtime.close();
});

Deno.test("where the device leaves no choice nothing is tried", async () => {
  const runtime = await openRuntime({ backend: "cpu" });
  const config = tinyConfig("nowhere");
  const model = createMae(config.model, { seed: 1 });
  const onEvent = () => assert(false);
  const tuneFor = () => Promise.reject(new Error("tuned"));
  await tunePretraining({ config, model, runtime, onEvent }, { hasChoices: () => false, tuneFor });
  await tunePretraining({ config, model, runtime, onEvent }); // the CPU backend has no kernels at all
  assertMatch(runtime.backend, /cpu/);
  await runtime.close();
});
