/**
 * Cases for the operations that transformer blocks are made of. They share their shapes, because compiling kernels is what
 * takes the time: 37 tokens are more than one tile of rows and no multiple of anything, and so are 9 quads of a row.
 */
import { tf } from "../../deps/tfjs.ts";
import { attention } from "../attention/attention.ts";
import { bothWays, type KernelCase, values } from "./kernel_case.ts";
import type { KeptImages } from "../branch/kept_images.ts";
import { layerNorm } from "../norm/layer_norm.ts";
import { linear } from "../product/linear.ts";
import { type Affine, attentionResidual, mlpResidual } from "../branch/residual_branch.ts";

const [images, tokens, heads, width] = [2, 37, 3, 36];
const hidden = 2 * width;

function affine(seed: number, outputs: number, inputs?: number): Affine {
  const weight = inputs === undefined
    ? tf.add(values(seed, outputs), 1)
    : tf.div(values(seed, outputs, inputs), Math.sqrt(inputs));
  return { weight, bias: values(seed + 1, outputs) };
}

/** The tokens of the images, [N, T, D]. */
function sequence(seed: number): tf.Tensor {
  return values(seed, images, tokens, width);
}

/** Of all images, and of those that drop path leaves. */
const keeps: readonly (KeptImages | undefined)[] = [undefined, { images: [1], scale: 1.25 }];

/** The two halves of a block. */
function branchCases(halfScale: number | null): KernelCase[] {
  const half = halfScale !== null;
  return [
    {
      kernel: "attentionResidual",
      half,
      run: () => {
        const [norm, qkv, proj] = [affine(1, width), affine(3, 3 * width, width), affine(5, width, width)];
        return keeps.flatMap((kept) =>
          bothWays(
            (x, gain, qkvWeight, projBias) =>
              attentionResidual(x, {
                norm: { ...norm, weight: gain },
                qkv: { ...qkv, weight: qkvWeight },
                proj: { ...proj, bias: projBias },
                heads,
              }, { halfScale, kept }),
            sequence(7),
            norm.weight,
            qkv.weight,
            proj.bias,
          )
        );
      },
    },
    {
      kernel: "mlpResidual",
      half,
      run: () => {
        const [norm, fc1, fc2] = [affine(1, width), affine(3, hidden, width), affine(5, width, hidden)];
        return keeps.flatMap((kept) =>
          bothWays(
            (x, bias, fc1Weight, fc2Weight) =>
              mlpResidual(x, {
                norm: { ...norm, bias },
                fc1: { ...fc1, weight: fc1Weight },
                fc2: { ...fc2, weight: fc2Weight },
              }, { halfScale, kept }),
            sequence(7),
            norm.bias,
            fc1.weight,
            fc2.weight,
          )
        );
      },
    },
  ];
}

/** Linear layers, attention, layer norm and the blocks made of them, the blocks in half precision as well. */
export function layerCases(): KernelCase[] {
  return [
    {
      kernel: "linear",
      run: () => {
        const { weight, bias } = affine(1, hidden, width);
        const residual = values(4, images, tokens, hidden);
        return [
          ...bothWays(
            (x, weight, bias) => linear(x, weight, bias, { activation: "gelu" }),
            sequence(3),
            weight,
            bias,
          ),
          ...bothWays(
            (x, weight, bias, residual) => linear(x, weight, bias, { residual }),
            sequence(3),
            weight,
            bias,
            residual,
          ),
        ];
      },
    },
    {
      kernel: "attention",
      run: () => bothWays((x) => attention(x, heads), tf.mul(values(1, images, tokens, 3 * width), 2)),
    },
    {
      kernel: "layerNorm",
      run: () =>
        bothWays(
          (x, gain, bias) => layerNorm(x, gain, bias),
          tf.add(sequence(1), 3),
          values(2, width),
          values(3, width),
        ),
    },
    ...branchCases(null),
    ...branchCases(1024),
  ];
}
