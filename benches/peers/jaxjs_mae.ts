/**
 * Whole MAE pre-training steps in jax-js, jitted. A rival that `mae bench --peers` runs:
 * deno run --no-lock --no-config benches/peers/jaxjs_mae.ts SHAPE --device wasm --seconds 5 --limit 200
 *
 * jax-js counts references: an operation takes over its arguments, and `x.ref` is one more reference to x.
 */
import { climb, readArguments, type Ready, type Shape } from "./ladder.ts";

/** Not a literal in the import, so that the library is no dependency of the program that this file lies beside. */
const library = "npm:@jax-js/jax@0.1.25";
const version = library.replace(/^.*@/, "");

/** The part of jax-js that is used, as it declares it. */
interface Tensor {
  readonly ref: Tensor;
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  reshape(shape: number[]): Tensor;
  transpose(axes: number[]): Tensor;
  equal(other: Tensor): Tensor;
  astype(type: unknown): Tensor;
  slice(...ranges: (number | [] | [number, number])[]): Tensor;
  data(): Promise<Float32Array>;
  dispose(): void;
}
type Weights = Record<string, Tensor>;
type Axes = { keepdims: boolean };
interface Jax {
  init(): Promise<string[]>;
  defaultDevice(device: string): unknown;
  jit<F>(f: F): F;
  valueAndGrad(f: (...args: never[]) => Tensor): (...args: unknown[]) => [Tensor, Weights];
  numpy: {
    float32: unknown;
    array(values: Float32Array | Int32Array): Tensor;
    arange(count: number): Tensor;
    zeros(shape: number[]): Tensor;
    zerosLike(x: Tensor): Tensor;
    matmul(a: Tensor, b: Tensor): Tensor;
    mean(x: Tensor, axis: number, axes: Axes): Tensor;
    sum(x: Tensor, axis?: number, axes?: Axes): Tensor;
    sqrt(x: Tensor): Tensor;
    reciprocal(x: Tensor): Tensor;
    concatenate(parts: Tensor[], axis: number): Tensor;
  };
  lax: { erf(x: Tensor): Tensor };
  nn: { softmax(x: Tensor, axis: number): Tensor };
  tree: { ref<T>(tree: T): T; dispose(tree: unknown): void; map<T>(f: (x: Tensor) => Tensor, tree: T): T };
}

const jax: Jax = await import(library);
const { numpy: np, lax, nn, tree } = jax;

/** Sizes of one batch. */
interface Sizes extends Shape {
  readonly length: number;
  readonly kept: number;
  readonly values: number;
}

function random(count: number, scale: number): Tensor {
  return np.array(Float32Array.from({ length: count }, () => scale * (2 * Math.random() - 1)));
}

function makeWeights(
  { encoder, decoder, values }: Sizes,
): { weights: Weights; matrices: Set<string> } {
  const weights: Weights = {};
  const matrices = new Set<string>();
  const linear = (name: string, inputs: number, outputs: number) => {
    weights[`${name}.w`] = random(inputs * outputs, Math.sqrt(6 / (inputs + outputs))).reshape([
      inputs,
      outputs,
    ]);
    weights[`${name}.b`] = np.zeros([outputs]);
    matrices.add(`${name}.w`);
  };
  const norm = (name: string, width: number) => {
    weights[`${name}.g`] = np.zeros([width]).add(1);
    weights[`${name}.b`] = np.zeros([width]);
  };
  const stack = (prefix: string, [width, depth]: Shape["encoder"]) => {
    for (let i = 0; i < depth; i++) {
      norm(`${prefix}${i}.norm1`, width);
      linear(`${prefix}${i}.qkv`, width, 3 * width);
      linear(`${prefix}${i}.proj`, width, width);
      norm(`${prefix}${i}.norm2`, width);
      linear(`${prefix}${i}.fc1`, width, 4 * width);
      linear(`${prefix}${i}.fc2`, 4 * width, width);
    }
    norm(`${prefix}.norm`, width);
  };
  linear("embed", values, encoder[0]);
  weights.class = random(encoder[0], 0.02).reshape([1, 1, encoder[0]]);
  weights.mask = random(decoder[0], 0.02).reshape([1, 1, decoder[0]]);
  stack("encoder", encoder);
  linear("into", encoder[0], decoder[0]);
  stack("decoder", decoder);
  linear("predict", decoder[0], values);
  return { weights, matrices };
}

function linear(x: Tensor, w: Weights, name: string): Tensor {
  return np.matmul(x, w[`${name}.w`].ref).add(w[`${name}.b`].ref);
}

function layerNorm(x: Tensor, w: Weights, name: string): Tensor {
  const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }));
  const variance = np.mean(centred.ref.mul(centred.ref), -1, { keepdims: true });
  const normalized = centred.mul(np.reciprocal(np.sqrt(variance.add(1e-6))));
  return normalized.mul(w[`${name}.g`].ref).add(w[`${name}.b`].ref);
}

function gelu(x: Tensor): Tensor {
  return x.ref.mul(0.5).mul(lax.erf(x.mul(Math.SQRT1_2)).add(1));
}

/** x [N · T, D] → [N · T, D] */
function block(
  x: Tensor,
  w: Weights,
  name: string,
  images: number,
  tokens: number,
  stack: Shape["encoder"],
): Tensor {
  const [width, , heads] = stack;
  const headWidth = width / heads;
  const packed = linear(layerNorm(x.ref, w, `${name}.norm1`), w, `${name}.qkv`)
    .reshape([images, tokens, 3, heads, headWidth]).transpose([2, 0, 3, 1, 4]);
  const [q, k, v] = [packed.ref.slice(0), packed.ref.slice(1), packed.slice(2)]; // [N, h, T, d]
  const scores = np.matmul(q.mul(1 / Math.sqrt(headWidth)), k.transpose([0, 1, 3, 2]));
  const mixed = np.matmul(nn.softmax(scores, -1), v).transpose([0, 2, 1, 3]).reshape([
    images * tokens,
    width,
  ]);
  const attended = x.add(linear(mixed, w, `${name}.proj`));
  const hidden = gelu(linear(layerNorm(attended.ref, w, `${name}.norm2`), w, `${name}.fc1`));
  return attended.add(linear(hidden, w, `${name}.fc2`));
}

function blocks(
  x: Tensor,
  w: Weights,
  prefix: string,
  images: number,
  tokens: number,
  stack: Shape["encoder"],
): Tensor {
  for (let i = 0; i < stack[1]; i++) x = block(x, w, `${prefix}${i}`, images, tokens, stack);
  return layerNorm(x, w, `${prefix}.norm`);
}

/** rows[n, ids[n, k]] as a product with ones and zeros: the gradient of a gather cannot be jitted. */
function take(rows: Tensor, ids: Tensor, length: number): Tensor {
  const [images, count] = (ids as unknown as { shape: number[] }).shape;
  const chosen = ids.reshape([images, count, 1]).equal(np.arange(length).reshape([1, 1, length]));
  return np.matmul(chosen.astype(np.float32), rows);
}

/** What a step is given besides weights and moments. */
interface Batch {
  readonly patches: Tensor; // [N · L, P]
  readonly keep: Tensor; // [N, K] int32
  readonly restore: Tensor; // [N, L] int32
  readonly mask: Tensor; // [N · L]
  readonly positions: Tensor; // [1, 1 + L, D]
  readonly decoderPositions: Tensor;
}

function lossOf(sizes: Sizes, w: Weights, batch: Batch): Tensor {
  const { batch: images, length, kept, encoder, decoder, values } = sizes;
  const embedded = linear(batch.patches.ref, w, "embed").reshape([images, length, encoder[0]])
    .add(batch.positions.ref.slice([], [1, length + 1], []));
  const first = np.zeros([images, 1, encoder[0]]).add(w.class.ref.add(batch.positions.slice([], [0, 1], [])));
  const tokens = np.concatenate([first, take(embedded, batch.keep, length)], 1);
  const latent = blocks(
    tokens.reshape([images * (1 + kept), encoder[0]]),
    w,
    "encoder",
    images,
    1 + kept,
    encoder,
  );
  const narrow = linear(latent, w, "into").reshape([images, 1 + kept, decoder[0]]);
  const [firstNarrow, visible] = [narrow.ref.slice([], [0, 1], []), narrow.slice([], [1, kept + 1], [])];
  const fill = np.zeros([images, length - kept, decoder[0]]).add(w.mask.ref);
  const placed = take(np.concatenate([visible, fill], 1), batch.restore, length);
  const sequence = np.concatenate([firstNarrow, placed], 1).add(batch.decoderPositions);
  const rows = sequence.reshape([images * (1 + length), decoder[0]]);
  const decoded = blocks(rows, w, "decoder", images, 1 + length, decoder).reshape([
    images,
    1 + length,
    decoder[0],
  ]);
  const body = decoded.slice([], [1, length + 1], []).reshape([images * length, decoder[0]]);
  const prediction = linear(body, w, "predict");
  const centred = batch.patches.ref.sub(np.mean(batch.patches, -1, { keepdims: true }));
  const variance = np.sum(centred.ref.mul(centred.ref), -1, { keepdims: true }).mul(1 / (values - 1));
  const error = prediction.sub(centred.mul(np.reciprocal(np.sqrt(variance.add(1e-6)))));
  const losses = np.mean(error.ref.mul(error), -1, { keepdims: false });
  const loss = np.sum(losses.mul(batch.mask)).mul(1 / (images * (length - kept)));
  tree.dispose(w);
  return loss;
}

type State = [weights: Weights, first: Weights, second: Weights];

/** One step of AdamW (betas 0.9 and 0.95, decay of matrices 0.05); `corrections` are 1 / (1 − βᵗ). */
function makeStep(sizes: Sizes, matrices: ReadonlySet<string>) {
  const rate = 1e-4;
  return (w: Weights, m: Weights, v: Weights, corrections: Tensor, batch: Batch): [...State, Tensor] => {
    const lossAndGradients = jax.valueAndGrad((w: Weights, batch: Batch) => lossOf(sizes, w, batch));
    const [loss, g] = lossAndGradients(tree.ref(w), batch);
    const [weights, first, second]: State = [{}, {}, {}];
    const [correction1, correction2] = [corrections.ref.slice(0), corrections.slice(1)];
    for (const name of Object.keys(w)) {
      first[name] = m[name].mul(0.9).add(g[name].ref.mul(0.1));
      second[name] = v[name].mul(0.95).add(g[name].ref.mul(g[name]).mul(0.05));
      const root = np.sqrt(second[name].ref.mul(correction2.ref)).add(1e-8);
      const change = first[name].ref.mul(correction1.ref).mul(rate).div(root);
      weights[name] = w[name].mul(matrices.has(name) ? 1 - 0.05 * rate : 1).sub(change);
    }
    correction1.dispose();
    correction2.dispose();
    return [weights, first, second, loss];
  };
}

/** A random mask for each image, as host arrays. */
function drawMasks({ batch: images, length, kept }: Sizes) {
  const keep = new Int32Array(images * kept);
  const restore = new Int32Array(images * length);
  const mask = new Float32Array(images * length).fill(1);
  for (let n = 0; n < images; n++) {
    const noise = Float32Array.from({ length }, () => Math.random());
    const order = Int32Array.from(noise, (_, i) => i).sort((a, b) => noise[a] - noise[b]);
    order.forEach((patch, place) => {
      restore[n * length + patch] = place;
      if (place >= kept) return;
      keep[n * kept + place] = patch;
      mask[n * length + patch] = 0;
    });
  }
  return { keep, restore, mask };
}

function prepare(shape: Shape, batch: number): Promise<Ready> {
  const length = (shape.image / shape.patch) ** 2;
  const kept = Math.floor(length * (1 - shape.ratio));
  const sizes: Sizes = { ...shape, batch, length, kept, values: shape.patch ** 2 * shape.channels };
  const { weights, matrices } = makeWeights(sizes);
  const zeros = () => tree.map((x) => np.zerosLike(x), tree.ref(weights));
  let state: State = [weights, zeros(), zeros()];
  const step = jax.jit(makeStep(sizes, matrices));
  const pixels = Float32Array.from({ length: batch * length * sizes.values }, () => 2 * Math.random() - 1);
  const positions = [shape.encoder, shape.decoder].map(([width]) => random((1 + length) * width, 1));
  let steps = 0;
  return Promise.resolve({
    step: async () => {
      steps++;
      const corrections = np.array(new Float32Array([0.9, 0.95].map((beta) => 1 / (1 - beta ** steps))));
      const { keep, restore, mask } = drawMasks(sizes);
      const [encoderPositions, decoderPositions] = positions.map((x, i) =>
        x.ref.reshape([1, 1 + length, [shape.encoder, shape.decoder][i][0]])
      );
      const [w, m, v, loss] = step(...state, corrections, {
        patches: np.array(pixels).reshape([batch * length, sizes.values]),
        keep: np.array(keep).reshape([batch, kept]),
        restore: np.array(restore).reshape([batch, length]),
        mask: np.array(mask),
        positions: encoderPositions,
        decoderPositions,
      });
      state = [w, m, v];
      const [value] = await loss.data();
      if (!Number.isFinite(value)) throw new Error(`The loss is ${value}`);
    },
    close: () => {
      tree.dispose(state);
      for (const x of positions) x.dispose();
      return Promise.resolve();
    },
  });
}

if (import.meta.main) {
  const { shape, flag } = readArguments();
  const device = flag("device", "wasm");
  if (!(await jax.init()).includes(device)) throw new Error(`jax-js finds no ${device} here`);
  jax.defaultDevice(device);
  const effort = { seconds: Number(flag("seconds", "5")), limit: Number(flag("limit", "200")) };
  const identity = { peer: "jax-js", version, device, precision: "fp32" };
  await climb(shape, identity, effort, (batch) => prepare(shape, batch));
  Deno.exit(0);
}
