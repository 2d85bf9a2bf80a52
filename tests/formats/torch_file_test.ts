import { assert, assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import type { StoredTensor } from "../../src/formats/dtypes.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import {
  openTorch,
  TorchArray,
  TorchRecord,
  TorchTensor,
  type TorchValue,
} from "../../src/formats/torch_file.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { inFolder } from "../support/folder.ts";

const FIXTURES = `${import.meta.dirname}/../fixtures`;

/** What the files of fixtures/torch hold, as PyTorch says. */
type Outlines = Record<string, { dtype: string; shape: number[]; hex: string }>;

function outlineOf({ dtype, shape, data }: StoredTensor): Outlines[string] {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype, shape: [...shape], hex: bytes.toHex() };
}

function field(value: TorchValue | undefined, ...keys: TorchValue[]): TorchValue | undefined {
  const [key, ...rest] = keys;
  if (keys.length === 0) return value;
  if (value instanceof Map) return field(value.get(key), ...rest);
  if (value instanceof TorchRecord) return field(value.fields.get(String(key)), ...rest);
  return undefined;
}

for await (const { name } of Deno.readDir(`${FIXTURES}/torch`)) {
  if (!name.endsWith(".pth")) continue;
  Deno.test(`openTorch() reads every tensor of ${name} as PyTorch does`, async () => {
    const path = `${FIXTURES}/torch/${name}`;
    const expected: Outlines = JSON.parse(await Deno.readTextFile(path.replace(/pth$/, "json")));
    using file = await openTorch(path);
    assertEquals([...file.tensors.keys()], Object.keys(expected));
    for (const [tensor, outline] of Object.entries(expected)) {
      assertEquals([tensor, outlineOf(await file.read(tensor))], [tensor, outline]);
      assertEquals(file.tensors.get(tensor)?.dtype, outline.dtype);
      assertEquals(file.tensors.get(tensor)?.shape, outline.shape);
    }
  });
}

Deno.test("openTorch() reads what the official code saved", async () => {
  const golden = await readSafetensors(`${FIXTURES}/mae_a.safetensors`);
  using encoder = await openTorch(`${FIXTURES}/mae_a_init_encoder_only.pth`);
  assertEquals(encoder.tensors.size, 30);
  using training = await openTorch(`${FIXTURES}/mae_a_train10_checkpoint-9.pth`);
  const sources = [[encoder, "init"], [training, "pix0/train10"]] as const;
  for (const [file, place] of sources) {
    for (const name of file.tensors.keys()) {
      if (!name.startsWith("model.")) continue;
      // what is not trained is only among the initial weights
      const expected = golden.get(`${place}/${name.slice(6)}`) ?? golden.get(`init/${name.slice(6)}`);
      assertEquals(await file.read(name), expected, name);
    }
  }
  assertEquals(field(training.value, "epoch"), 9);
  const args = field(training.value, "args");
  assert(args instanceof TorchRecord);
  assertEquals(args.class, "argparse.Namespace");
  assertEquals(args.fields.get("norm_pix_loss"), false);
  assertEquals(args.fields.get("model"), "tiny");
  assertEquals(field(training.value, "scaler", "scale"), 65536);
  const step = [...training.tensors].find(([name]) => name === "optimizer.state.0.step");
  assertEquals(step?.[1].shape, []);
});

for (const kind of ["zip_2", "zip_3", "zip_4", "zip_5", "old"]) {
  Deno.test(`openTorch() gives the plain data of checkpoint_${kind}`, async () => {
    using file = await openTorch(`${FIXTURES}/torch/checkpoint_${kind}.pth`);
    assertEquals(field(file.value, "epoch"), 3);
    assertEquals(field(file.value, "optimizer", "state", 0, "exp_avg") instanceof TorchTensor, true);
    const args = field(file.value, "args");
    assert(args instanceof TorchRecord);
    const { array, fortran, swapped, ...fields } = Object.fromEntries(args.fields);
    for (const value of [array, fortran, swapped]) assert(value instanceof TorchArray);
    assertEquals(args.class, "argparse.Namespace");
    const record = (name: string, values: [string, TorchValue][]) => new TorchRecord(name, new Map(values));
    assertEquals<Record<string, TorchValue>>(fields, {
      lr: 1e-3,
      name: "tiny é日本",
      none: null,
      yes: true,
      no: false,
      big: 2n ** 70n,
      negative: -5,
      minus: -(2 ** 40),
      output: "/a/b",
      device: "cuda:0",
      cpu: "cpu",
      dtype: "torch.float32",
      size: [1, 2],
      betas: [0.9, 0.95],
      names: ["a", "b"],
      nested: new Map([["x", new Map([["y", [1, new Map()]]])]]),
      numbers: new Set([1, 2, 3]),
      frozen: new Set(["z"]),
      data: Uint8Array.of(0, 255),
      mutable: Uint8Array.of(1, 2),
      np64: 0.1,
      np32: 0.5,
      np16: 1.5,
      npint: -3,
      npbool: true,
      nptext: "text",
      npbig: 2n ** 63n,
      simple: record("types.SimpleNamespace", [["a", 1]]),
      cplx: record("builtins.complex", [["real", 1], ["imag", 2]]),
      inf: -Infinity,
      default: new Map([["k", [1]]]),
      counter: new Map([["a", 2], ["b", 1]]),
      span: record("builtins.range", [["start", 0], ["stop", 3], ["step", 1]]),
    });
  });
}

Deno.test("openTorch() reads several tensors at once, and names the nearest where there is none", async () => {
  const path = `${FIXTURES}/torch/views_zip.pth`;
  using file = await openTorch(path);
  const names = [...file.tensors.keys()];
  const together = await Promise.all(names.map((name) => file.read(name)));
  for (const [i, name] of names.entries()) assertEquals(together[i], await file.read(name));
  const error = await assertRejects(() => file.read("tranposed"), InputError);
  assertEquals(error.message, `"${path}" holds no tensor "tranposed"; did you mean "transposed"?`);
});

Deno.test("openTorch() names what is no file of its kind", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.pth`;
    const refuses = async (content: string | Uint8Array, message: string) => {
      if (typeof content === "string") await Deno.writeTextFile(path, content);
      else await Deno.writeFile(path, content);
      const { message: said } = await assertRejects(() => openTorch(path), InputError);
      assertStringIncludes(said, message);
    };
    await assertRejects(() => openTorch(path), InputError, `there is no file "${path}"`);
    await assertRejects(() => openTorch(folder), InputError, `"${folder}" is a folder`);
    await refuses("", "starts like neither of the two kinds");
    await refuses("hello", `"${path}" is not a valid PyTorch file: it starts like neither`);
    await refuses(`${"\0".repeat(257)}ustar${"\0".repeat(250)}`, "a tar archive of PyTorch before 0.1.10");
    await refuses(Uint8Array.of(0x80, 2, 0x4e, 0x2e), "it is a pickle, and not one that torch.save wrote");
  }));

Deno.test("TorchFile.read() says that the file has become shorter", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.pth`;
    await Deno.copyFile(`${FIXTURES}/torch/small_old.pth`, path);
    using file = await openTorch(path);
    await Deno.truncate(path, (await Deno.stat(path)).size - 1);
    await assertRejects(() => file.read("w"), RunError, `cannot read "${path}": it has become shorter`);
  }));
