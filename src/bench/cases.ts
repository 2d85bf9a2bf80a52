/** Kernels made ready to be run again and again at the sizes of a training step, through the operations of the model. */
import { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { currentWebGpu } from "../gpu/runtime.ts";
import { forgetCopies } from "../gpu/textures.ts";
import { attention } from "../ops/attention/attention.ts";
import { assembleTokens, takeRows } from "../ops/tokens/gather_tokens.ts";
import { layerNorm } from "../ops/norm/layer_norm.ts";
import { layerNormKernel } from "../ops/norm/layer_norm_kernel.ts";
import { disposeMasking, maskFromNoise, type Masking } from "../ops/tokens/masking.ts";
import { product, productKernelFits } from "../ops/product/matmul.ts";
import { maskedPixelLoss } from "../ops/loss/pixel_loss.ts";
import { scatterTokens } from "../ops/tokens/scatter_tokens.ts";
import { bindings, declareQuads, declareResult, loadQuads } from "../ops/templates/wgsl.ts";
import { AdamW } from "../optim/adamw.ts";
import { Random } from "../util/random.ts";
import type {
  Direction,
  KernelShape,
  LayerNormShape,
  ProductShape,
  TokensShape,
  UpdateShape,
} from "./shapes.ts";

/** Something to time. */
export interface KernelRun {
  /** Records one run; its results are disposed. */
  readonly run: () => void;
  /** What `run` does besides, whose time is to be subtracted: a way back includes the way there. */
  readonly besides?: () => void;
  /** Frees the inputs. */
  readonly dispose: () => void;
}

/** Makes a kernel's inputs on the open runtime: small random values. Every run copies them anew where kernels read copies. */
export function prepare(shape: KernelShape): KernelRun {
  const { run, besides, dispose } = prepareShape(shape);
  const anew = (work: () => void) => () => {
    const gpu = currentWebGpu();
    if (gpu) forgetCopies(gpu.device);
    work();
  };
  return { run: anew(run), ...besides && { besides: anew(besides) }, dispose };
}

function prepareShape(shape: KernelShape): KernelRun {
  switch (shape.kind) {
    case "product":
      return prepareProduct(shape);
    case "layer norm": {
      return prepareNorm(shape);
    }
    case "attention": {
      const { direction, images, tokens, heads, headWidth, half } = shape;
      const width = heads * headWidth;
      const inputs = [values([images, tokens, 3 * width], half)];
      return oneWay(
        direction,
        ([packed]) => attention(packed, heads),
        inputs,
        values([images, tokens, width], half),
      );
    }
    case "pixel loss": {
      const { direction, images, patches, values: width } = shape;
      const sizes = [images, patches, width];
      const [patchValues, mask] = [values(sizes), tf.ones([images, patches])];
      const loss = ([prediction]: tf.Tensor[]) => maskedPixelLoss(prediction, patchValues, mask, true);
      return oneWay(direction, loss, [values(sizes)], values([]), [patchValues, mask]);
    }
    case "adamw":
      return prepareUpdate(shape);
    case "tokens":
      return prepareTokens(shape);
  }
}

/** A prime number of values between -0.1 and 0.1, of which tensors are filled: drawing millions would take longer than the test. */
const pattern = new Random(1).uniformArray(4099).map((value) => 0.2 * value - 0.1);

function values(shape: number[], half = false): tf.Tensor {
  const filled = new Float32Array(tf.util.sizeFromShape(shape));
  for (let start = 0; start < filled.length; start += pattern.length) {
    filled.set(pattern.subarray(0, Math.min(pattern.length, filled.length - start)), start);
  }
  const tensor = tf.tensor(filled, shape);
  if (!half) return tensor;
  const halves = halved(tensor);
  tensor.dispose();
  return halves;
}

/** The same values in half precision; their number is a multiple of 4. */
function halved(x: tf.Tensor): tf.Tensor {
  const quads = x.size / 4;
  const [columns, rows] = coverThreads(quads, 64);
  const source: KernelSource = {
    name: `bench_halve_${quads}_${columns}`,
    code: () => `
${bindings(declareQuads("x", "buffer"), declareResult("y", true))}
${loadQuads("x", "buffer")}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y * ${64 * columns}u + id.x;
  if (i < ${quads}u) { y[i] = vec4<f16>(x(i)); }
}`,
  };
  return launch(source, {
    inputs: [x],
    outputs: [{ shape: x.shape, half: true }],
    workgroups: [columns, rows],
  })[0];
}

/** An operation forward, or its way back. */
function oneWay(
  direction: Direction,
  operation: (inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  upstream: tf.Tensor,
  others: tf.Tensor[] = [],
): KernelRun {
  const forward = () => void tf.tidy(() => void operation(inputs));
  const dispose = () => tf.dispose([...inputs, upstream, ...others]);
  if (direction === "forward") return { run: forward, dispose };
  const gradients = tf.grads((...given: tf.Tensor[]) => operation(given));
  return {
    run: () => void tf.tidy(() => void gradients(inputs, upstream)),
    besides: forward,
    dispose,
  };
}

/** The layer norms of blocks give halves where blocks keep them, and that is no option of the operation on the tape. */
function prepareNorm({ direction, rows, width, half }: LayerNormShape): KernelRun {
  const [x, gain, bias] = [values([rows, width]), values([width]), values([width])];
  if (!half || direction === "backward") {
    const norm = ([x, gain, bias]: tf.Tensor[]) => layerNorm(x, gain, bias);
    return oneWay(direction, norm, [x, gain, bias], values([rows, width]));
  }
  return {
    run: () => void tf.tidy(() => void layerNormKernel(x as tf.Tensor2D, gain, bias, 1e-6, { half })),
    dispose: () => tf.dispose([x, gain, bias]),
  };
}

function prepareProduct({ form, m, k, n, epilogue, halves }: ProductShape): KernelRun {
  const [halfA, halfB, half] = [..."abc"].map((operand) => halves.includes(operand));
  const a = values(form === "TN" ? [k, m] : [m, k], halfA);
  const b = values(form === "NT" ? [n, k] : [k, n], halfB);
  const bias = epilogue.startsWith("bias") ? values([n]) : undefined;
  const residual = epilogue === "bias, residual" ? values([m, n]) : undefined;
  const slope = epilogue === "gelu slope" ? values([m, n], half) : undefined;
  const extras = {
    bias,
    residual,
    slope,
    gelu: epilogue === "bias, gelu" ? "also" as const : undefined,
    columnSums: epilogue === "column sums",
    half,
  };
  const fits = [m, k, n].every((size) => size % 4 === 0) && productKernelFits(k, n);
  const multiply = () =>
    fits
      ? product(form, a, b, extras)
      : tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, form === "TN", form === "NT");
  return {
    run: () => void tf.tidy(() => void multiply()),
    dispose: () => tf.dispose([a, b, bias, residual, slope].filter((tensor) => tensor !== undefined)),
  };
}

function prepareUpdate({ matrices }: UpdateShape): KernelRun {
  const names = matrices.map((_, i) => String(i));
  const zeros = (size: readonly number[]) => tf.tidy(() => tf.variable(tf.zeros([...size])));
  const variables = new Map(matrices.map((size, i) => [names[i], zeros(size)]));
  const gradients = new Map(matrices.map((size, i) => [names[i], values([...size])]));
  const loss = tf.scalar(1);
  const optimizer = new AdamW(variables, [{ names, weightDecay: 0.05, lrScale: 1 }]);
  return {
    run: () => {
      optimizer.accumulate(tf.clone(loss), new Map([...gradients].map(([name, g]) => [name, tf.clone(g)])));
      optimizer.step(1e-4);
    },
    dispose: () => {
      optimizer.dispose();
      tf.dispose([loss, ...variables.values(), ...gradients.values()]);
    },
  };
}

function prepareTokens(shape: TokensShape): KernelRun {
  const { images, patches, kept } = shape;
  const noise = new Random(1).uniformArray(images * patches);
  const masking = maskFromNoise(noise, images, patches, Math.max(0, 1 - (kept + 0.5) / patches));
  const made = tokensRun(shape, masking);
  return {
    ...made,
    dispose: () => {
      made.dispose();
      disposeMasking(masking);
    },
  };
}

function tokensRun(
  { step, direction, images, patches, kept, width }: TokensShape,
  masking: Masking,
): KernelRun {
  if (step === "take") {
    const take = ([rows]: tf.Tensor[]) => takeRows(rows, masking.idsKeep);
    return oneWay(direction, take, [values([images, patches, width])], values([images, kept, width]));
  }
  const token = values([1, 1, width]);
  const positions = values([1, 1 + patches, width]);
  if (step === "assemble") {
    const ids = kept === patches ? null : masking.idsKeep;
    const assemble = ([tokens, first]: tf.Tensor[]) => assembleTokens(tokens, first, positions, ids);
    const inputs = [values([images, kept, width]), token];
    return oneWay(direction, assemble, inputs, values([images, 1 + kept, width]), [positions]);
  }
  const scatter = ([tokens, fill]: tf.Tensor[]) => scatterTokens(tokens, fill, positions, masking);
  const inputs = [values([images, 1 + kept, width]), token];
  return oneWay(direction, scatter, inputs, values([images, 1 + patches, width]), [positions]);
}
