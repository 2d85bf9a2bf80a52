import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import type { Parameters } from "../../../src/nn/parameters.ts";
import {
  checkpointPath,
  DamagedCheckpointError,
  findCheckpoint,
  listCheckpoints,
  readTrainState,
  restoreCheckpoint,
  saveCheckpoint,
  setAside,
  type TrainState,
} from "../../../src/train/checkpoint/checkpoint.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { tree } from "../support.ts";

function stateAt(step: number): TrainState {
  const state = {
    format: 1,
    job: "pretrain",
    stepsPerEpoch: 10,
    samples: 6,
    seconds: 1.5,
    config: {},
  } as const;
  return { ...state, step, epoch: step / 10 };
}

/** Runs a test with a folder, and a model and an optimizer of a few values each on the CPU. */
function withTensors(
  test: (folder: string, model: Parameters, optimizer: Parameters) => Promise<void>,
): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await openRuntime({ backend: "cpu" });
      const variables = (names: string[], start: number): Parameters =>
        new Map(names.map((name, i) => [name, tf.variable(tf.tensor([start + i, 0.1, -Infinity]))]));
      const model = variables(["a", "b"], 1);
      const optimizer = variables(["exp_avg.a", "control"], 10);
      await test(folder, model, optimizer);
      tf.dispose([...model.values(), ...optimizer.values()]);
    });
}

Deno.test(
  "saveCheckpoint() writes what restoreCheckpoint() reads back to the same bits",
  withTensors(async (folder, model, optimizer) => {
    const before = await Promise.all(
      [...model.values(), ...optimizer.values()].map((tensor) => tensor.data()),
    );
    assertEquals(
      await saveCheckpoint(folder, stateAt(7), model, optimizer, 3),
      `${folder}/checkpoints/step-00000007`,
    );
    for (const variable of [...model.values(), ...optimizer.values()]) {
      variable.assign(tf.zerosLike(variable));
    }
    const found = await findCheckpoint(folder);
    assert(found !== null);
    assertEquals([found.path, found.state, [...found.damaged]], [checkpointPath(folder, 7), stateAt(7), []]);
    await restoreCheckpoint(found.path, model, optimizer);
    const after = await Promise.all(
      [...model.values(), ...optimizer.values()].map((tensor) => tensor.data()),
    );
    assertEquals(after, before);
  }),
);

Deno.test(
  "saveCheckpoint() gives equal bytes for equal tensors",
  withTensors(async (folder, model, optimizer) => {
    const paths = await Promise.all(
      ["a", "b"].map((run) => saveCheckpoint(`${folder}/${run}`, stateAt(7), model, optimizer, 3)),
    );
    for (const name of ["model.safetensors", "optimizer.safetensors", "state.json"]) {
      const [a, b] = await Promise.all(paths.map((path) => Deno.readFile(`${path}/${name}`)));
      assertEquals(a, b);
    }
  }),
);

Deno.test(
  "saveCheckpoint() keeps the newest, however many digits their steps have, and replaces one of its own step",
  withTensors(async (folder, model, optimizer) => {
    for (const step of [5, 99_999_999, 100_000_000, 20]) {
      await saveCheckpoint(folder, stateAt(step), model, optimizer, 3);
    }
    assertEquals(await listCheckpoints(folder), [20, 99_999_999, 100_000_000]);
    await saveCheckpoint(folder, { ...stateAt(20), seconds: 99 }, model, optimizer, 3);
    assertEquals((await readTrainState(checkpointPath(folder, 20))).seconds, 99);
    assertEquals((await tree(`${folder}/checkpoints`)).filter((path) => path.endsWith("/")), [
      "step-00000020/",
      "step-100000000/",
      "step-99999999/",
    ]);
  }),
);

Deno.test(
  "saveCheckpoint() that fails leaves earlier checkpoints, nothing half-written, and says the way out",
  withTensors(async (folder, model, optimizer) => {
    await saveCheckpoint(folder, stateAt(1), model, optimizer, 1);
    const before = await tree(folder);
    optimizer.get("control")?.dispose(); // reading it fails when the model is written already
    const error = await assertRejects(
      () => saveCheckpoint(folder, stateAt(2), model, optimizer, 1),
      RunError,
    );
    assert(
      error.message.startsWith(
        `The checkpoint of step 2 could not be written to ${folder}/checkpoints/step-00000002 (`,
      ),
    );
    assert(
      error.message.endsWith("earlier checkpoints are intact, free some space and continue with --resume"),
    );
    assertEquals(await tree(folder), before);
    optimizer.delete("control");
  }),
);

Deno.test(
  "findCheckpoint() finds none in a new folder, and passes over a damaged one",
  withTensors(async (folder, model, optimizer) => {
    assertEquals(await findCheckpoint(folder), null);
    for (const step of [1, 2, 3]) await saveCheckpoint(folder, stateAt(step), model, optimizer, 3);
    await Deno.truncate(`${checkpointPath(folder, 3)}/model.safetensors`, 100);
    await Deno.remove(`${checkpointPath(folder, 2)}/optimizer.safetensors`);
    const found = await findCheckpoint(folder);
    assertEquals([found?.state.step, found?.damaged.map(({ path }) => path)], [
      1,
      [checkpointPath(folder, 3), checkpointPath(folder, 2)],
    ]);
    await setAside(found?.damaged ?? []);
    assertEquals(await listCheckpoints(folder), [1]);
    await Deno.remove(`${checkpointPath(folder, 1)}/state.json`);
    await assertRejects(
      () => findCheckpoint(folder),
      DamagedCheckpointError,
      "step-00000001 is damaged: state.json is missing; there is no other checkpoint to go on from",
    );
  }),
);

Deno.test(
  "setAside() replaces what was set aside before",
  withTensors(async (folder, model, optimizer) => {
    for (const seconds of [1, 2]) {
      const path = await saveCheckpoint(folder, { ...stateAt(1), seconds }, model, optimizer, 3);
      await setAside([{ path, reason: "" }]);
    }
    assertEquals((await readTrainState(`${checkpointPath(folder, 1)}.damaged`)).seconds, 2);
  }),
);

Deno.test(
  "restoreCheckpoint() names what does not fit, and changes nothing",
  withTensors(async (folder, model, optimizer) => {
    const path = await saveCheckpoint(folder, stateAt(1), model, optimizer, 3);
    const other: Parameters = new Map([["a", tf.variable(tf.zeros([2]))], ["c", tf.variable(tf.zeros([3]))]]);
    await assertRejects(
      () => restoreCheckpoint(path, other, optimizer),
      InputError,
      `${path}/model.safetensors: The checkpoint does not fit this model: 1 missing: c; 1 unexpected: b; ` +
        "1 of another shape: a [3] instead of [2]; resume with the run's own config.yaml, or start a new run with another --out",
    );
    assertEquals([...await other.get("a")?.data() ?? []], [0, 0]);
    tf.dispose([...other.values()]);
  }),
);

Deno.test(
  "readTrainState() takes only a whole state of this version",
  withTensors(async (folder) => {
    const read = async (text: string) => {
      await Deno.writeTextFile(`${folder}/state.json`, text);
      return await readTrainState(folder);
    };
    const good = stateAt(3);
    assertEquals(await read(JSON.stringify(good)), good);
    const bad = ["", "null", "7", "[]", "{}", '"text"', JSON.stringify({ ...good, step: -1 })];
    bad.push(JSON.stringify({ ...good, step: 1.5 }), JSON.stringify({ ...good, seconds: "1" }));
    bad.push(JSON.stringify({ ...good, config: undefined }), JSON.stringify({ ...good, config: null }));
    bad.push(JSON.stringify({ ...good, format: "1" }), JSON.stringify({ ...good, samples: null }));
    for (const text of bad) await assertRejects(() => read(text), DamagedCheckpointError, "state.json", text);
    const newer = await assertRejects(() => read('{"format": 3}'), InputError, "has format 3");
    assertThrows(() => assert(newer instanceof DamagedCheckpointError));
  }),
);
