/** Copies in textures are used again where they hold what is wanted, and never where they do not. */
import { assertEquals } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { copyValues } from "../../src/gpu/copies.ts";
import { coverThreads, launch } from "../../src/gpu/kernel.ts";
import { forgetCopies } from "../../src/gpu/textures.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { testOnWebGpu } from "../support/backends.ts";
import { countTextureCopies } from "../support/dispatches.ts";

const size = 4096;
const [groups] = coverThreads(size / 4, 64);

/** Adds two tensors that are read from textures. */
function add(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const texture = (i: number, name: string) =>
    `@group(0) @binding(${i}) var ${name}: texture_storage_2d<rgba32float, read>;`;
  return launch({
    name: "test_add_textures",
    code: () => `
${texture(0, "a")}
${texture(1, "b")}
@group(0) @binding(2) var<storage, read_write> sum: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  sum[id.x] = textureLoad(a, vec2u(id.x, 0u)) + textureLoad(b, vec2u(id.x, 0u));
}`,
  }, {
    inputs: [a, b].map((tensor) => ({ tensor, texture: true })),
    outputs: [[size]],
    workgroups: [groups],
  })[0];
}

/** Doubles a tensor in place. */
function double(tensor: tf.Tensor): void {
  launch({
    name: "test_double_in_place",
    code: () => `
@group(0) @binding(0) var<storage, read_write> values: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { values[id.x] *= 2.0; }`,
  }, { inputs: [], inPlace: [tensor], workgroups: [groups] });
}

const first = async (tensor: tf.Tensor) => (await readTensor(tensor))[0];

testOnWebGpu("an operand that a texture still holds is not copied again", async () => {
  const [a, b, c] = [1, 10, 100].map((value) => tf.fill([size], value));
  let sums: tf.Tensor[] = [];
  assertEquals(countTextureCopies(() => sums = [add(a, b)]), 2);
  assertEquals(countTextureCopies(() => sums.push(add(b, a))), 0, "whatever the place among the bindings");
  assertEquals(countTextureCopies(() => sums.push(add(a, a))), 0, "twice in one launch");
  assertEquals(
    countTextureCopies(() => sums.push(add(c, a))),
    1,
    "c takes the place of what this launch does not need",
  );
  assertEquals(countTextureCopies(() => sums.push(add(a, c))), 0);
  assertEquals(await Promise.all(sums.map(first)), [11, 11, 2, 101, 101]);
});

testOnWebGpu("forgetCopies() makes the next launch copy everything", (runtime) => {
  const [a, b] = [1, 10].map((value) => tf.fill([size], value));
  const { device } = runtime;
  if (!device) throw new Error("A runtime on WebGPU has a device");
  tf.dispose(add(a, b));
  forgetCopies(device);
  assertEquals(countTextureCopies(() => tf.dispose(add(a, b))), 2);
  return Promise.resolve();
});

testOnWebGpu("what is changed in place is copied again", async () => {
  const [a, b] = [tf.fill([size], 1), tf.fill([size], 10)];
  const sums = [add(a, b)];
  double(a);
  assertEquals(countTextureCopies(() => sums.push(add(a, b))), 1);
  copyValues([{ from: b, to: a, count: 64 }]);
  assertEquals(countTextureCopies(() => sums.push(add(a, b))), 1);
  assertEquals(await Promise.all(sums.map(first)), [11, 12, 20]);
});

testOnWebGpu("a buffer that another tensor was given is copied again", async (runtime) => {
  const b = tf.fill([size], 10);
  for (const value of [1, 2, 3]) {
    const a = tf.fill([size], value); // from the second time on in the buffer of the one before
    assertEquals(await first(add(a, b)), 10 + value);
    a.dispose();
    await runtime.settle();
  }
});

testOnWebGpu("a part is told from another part of the same tensor", async () => {
  const whole = tf.concat([tf.fill([size], 1), tf.fill([size], 2)]);
  const b = tf.fill([size], 10);
  const parts = [0, size].map((from) => ({ tensor: whole, texture: true, first: from, count: size }));
  const sums = parts.map((part) =>
    launch({ name: "test_add_textures", code: () => "" }, {
      inputs: [part, { tensor: b, texture: true }],
      outputs: [[size]],
      workgroups: [groups],
    })[0]
  );
  assertEquals(await Promise.all(sums.map(first)), [11, 12]);
});
