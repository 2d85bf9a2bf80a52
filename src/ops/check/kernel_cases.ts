/** One small run or more of every operation that has a kernel, on ragged shapes: what devices are tried with. */
import { tf } from "../../deps/tfjs.ts";
import { Random } from "../../util/random.ts";
import { accumulate } from "../update/accumulate.ts";
import { adamWUpdate } from "../update/adamw.ts";
import { softCrossEntropy } from "../loss/cross_entropy.ts";
import { embedTokens } from "../tokens/embed_tokens.ts";
import { assembleTokens, replaceMasked, takeRows } from "../tokens/gather_tokens.ts";
import { bothWays, type KernelCase, type Operation, values } from "./kernel_case.ts";
import { larsUpdate } from "../update/lars.ts";
import { layerCases } from "./layer_cases.ts";
import { maskFromNoise, type Masking } from "../tokens/masking.ts";
import { mixedPatches } from "../pixels/mixed_patches.ts";
import { movingAverage } from "../update/moving_average.ts";
import { normalizePixels, patchifyPixels } from "../pixels/normalize_pixels.ts";
import { packLayout, packValues, unpackValues } from "../update/pack.ts";
import { patchEmbed } from "../pixels/patch_embed.ts";
import { patchify } from "../pixels/patchify.ts";
import { maskedPixelLoss } from "../loss/pixel_loss.ts";
import { poolTokens } from "../tokens/pool_tokens.ts";
import { addPositions, dropClassToken, removedTokens, scatterTokens } from "../tokens/scatter_tokens.ts";
import { controlSize, decideStep } from "../update/step_control.ts";
import { partialSumsOfSquares } from "../update/sum_of_squares.ts";

/** Sizes of the token operations. */
const [images, length, width] = [5, 37, 20];

function masking(): Masking {
  return maskFromNoise(new Random(1).uniformArray(images * length), images, length, 0.7);
}

function tokenCases(): KernelCase[] {
  const token = () => values(5, 1, 1, width);
  const positions = () => values(3, 1, 1 + length, width);
  const tokens = (count: number) => values(4, images, count, width);
  return [
    {
      kernel: "takeRows",
      run: () => [images, 1].map((sets) => takeRows(values(1, sets, length, width), masking().idsKeep)),
    },
    {
      kernel: "assembleTokens",
      run: () => {
        const { idsKeep, kept } = masking();
        const assemble = (ids: tf.Tensor2D | null): Operation => (x, first) =>
          assembleTokens(x, first, positions(), ids);
        return [
          ...bothWays(assemble(idsKeep), tokens(kept), token()),
          ...bothWays(assemble(null), tokens(length), token()),
        ];
      },
    },
    {
      kernel: "replaceMasked",
      run: () => bothWays((x, masked) => replaceMasked(x, masked, masking().mask), tokens(length), token()),
    },
    {
      kernel: "scatterTokens",
      run: () => {
        const own = masking();
        const scatter: Operation = (x, masked) => scatterTokens(x, masked, positions(), own);
        return bothWays(scatter, tokens(1 + own.kept), token());
      },
    },
    {
      kernel: "removedTokens",
      run: () => {
        const own = masking();
        return bothWays((x) => removedTokens(x, own), tokens(1 + length));
      },
    },
    { kernel: "dropClassToken", run: () => bothWays(dropClassToken, tokens(1 + length)) },
    {
      kernel: "addPositions",
      run: () => bothWays((x) => addPositions(x, positions()), tokens(1 + length)),
    },
    { kernel: "embedTokens", run: () => bothWays(embedTokens, tokens(length), token(), positions()) },
    {
      kernel: "poolTokens",
      run: () =>
        (["average", "class_token"] as const).flatMap((pooling) =>
          bothWays((x) => poolTokens(x, pooling), tokens(1 + length))
        ),
    },
  ];
}

function imageCases(): KernelCase[] {
  const [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
  const random = new Random(6);
  const pixels = Uint8Array.from({ length: 3 * 12 * 28 * 3 }, () => random.integer(256));
  return [
    {
      kernel: "normalizePixels",
      run: () => [normalizePixels(pixels.subarray(1, 106), [1, 5, 7, 3], mean, std)],
    },
    {
      kernel: "patchifyPixels",
      run: () =>
        [pixels, Float32Array.from(pixels, (value) => value / 255)].flatMap((values) =>
          [[4, 4], [6, 14]].map(([p, q]) => patchifyPixels(values, [3, 12, 28, 3], [p, q], mean, std))
        ),
    },
    {
      kernel: "mixedPatches",
      run: () => {
        const box = { top: 2, left: 5, height: 7, width: 11 };
        const erasures = [null, { box, key: 0x9e3779b9 }, null];
        const batch = {
          pixels,
          shape: [3, 12, 28, 3] as [number, number, number, number],
          mean,
          std,
          erasures,
        };
        return [{ share: 0.3, box: null }, { share: 0.8, box }].map((mix) =>
          mixedPatches({ ...batch, mix }, [4, 4])
        );
      },
    },
    {
      kernel: "patchify",
      run: () => [[4, 4], [3, 3]].map(([p, q]) => patchify(values(1, 3, 12, 12, 3), [p, q])),
    },
    {
      kernel: "patchEmbed",
      run: () => {
        const patches = values(1, 2, 9, 48);
        return bothWays(
          (weight, bias) => patchEmbed(patches, weight, bias),
          values(2, 20, 3, 4, 4),
          values(3, 20),
        );
      },
    },
    {
      kernel: "maskedPixelLoss",
      run: () => {
        const patches = tf.add(values(1, images, length, 48), 2);
        return [false, true].flatMap((normalize) =>
          bothWays(
            (x) => maskedPixelLoss(x, patches, masking().mask, normalize),
            values(2, images, length, 48),
          )
        );
      },
    },
    {
      kernel: "softCrossEntropy",
      run: () => {
        const labels = tf.softmax(values(2, 7, 37));
        return bothWays((logits) => softCrossEntropy(logits, labels), tf.mul(values(1, 7, 37), 3));
      },
    },
  ];
}

function optimizerCases(): KernelCase[] {
  const sizes = [3, 64, 257, 5000];
  const tensors = (seed: number) => sizes.map((size, i) => values(seed + i, size));
  const control = () => {
    const variable = tf.variable(tf.zeros([controlSize]), false);
    decideStep(variable, tf.scalar(3), tf.square(values(8, 77)), {
      accumulate: 2,
      clipNorm: 1,
      beta1: 0.9,
      beta2: 0.95,
    });
    return variable;
  };
  return [
    {
      kernel: "pack",
      run: () => {
        const layout = packLayout(sizes);
        const packed = packValues(tensors(1), layout);
        const variables = sizes.map((size) => tf.variable(tf.zeros([size]), false));
        unpackValues(packed, layout, variables);
        return [packed, ...variables];
      },
    },
    {
      kernel: "accumulate",
      run: () => tensors(1).map((sum, i) => accumulate(sum, tensors(20)[i])),
    },
    { kernel: "sumOfSquares", run: () => [tf.sum(partialSumsOfSquares(tensors(1)))] },
    { kernel: "stepControl", run: () => [control()] },
    {
      kernel: "adamW",
      run: () =>
        [[257], [64, 1000]].flatMap((counts) => {
          const size = counts.reduce((sum, count) => sum + count, 0);
          const variable = (seed: number) => tf.variable(values(seed, size), false);
          const [parameter, expAvg] = [variable(1), variable(2)];
          const expAvgSq = tf.variable(tf.square(values(3, size)), false);
          const segments = counts.map((count, i) => ({
            count,
            learningRate: 0.1 / (i + 1),
            weightDecay: 0.3 * i,
          }));
          const decided = control();
          adamWUpdate({ parameter, expAvg, expAvgSq }, values(4, size), decided, {
            segments,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
          });
          decided.dispose();
          return [parameter, expAvg, expAvgSq];
        }),
    },
    {
      kernel: "lars",
      run: () =>
        [0.001, null].flatMap((trust) =>
          sizes.flatMap((size) => {
            const [parameter, momentum] = [1, 2].map((seed) => tf.variable(values(seed, size), false));
            const decided = control();
            const settings = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.1, trust };
            larsUpdate({ parameter, momentum }, values(4, size), decided, settings);
            decided.dispose();
            return [parameter, momentum];
          })
        ),
    },
    {
      kernel: "movingAverage",
      run: () =>
        tensors(1).map((start, i) => {
          const average = tf.variable(start, false);
          movingAverage(average, tensors(20)[i], 0.9);
          return average;
        }),
    },
  ];
}

/** A case or more for every operation with a kernel; those come first that others are made of. */
export function kernelCases(): KernelCase[] {
  return [...layerCases(), ...tokenCases(), ...imageCases(), ...optimizerCases()];
}
