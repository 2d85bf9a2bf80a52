/** Cases beyond those of the start-up test: more than one block, tile or piece, and rows too wide for registers. */
import { tf } from "../../src/deps/tfjs.ts";
import { bothWays, type KernelCase, values } from "../../src/ops/check/kernel_case.ts";
import { layerNorm } from "../../src/ops/norm/layer_norm.ts";
import { linear } from "../../src/ops/product/linear.ts";
import { maskedPixelLoss } from "../../src/ops/loss/pixel_loss.ts";
import { softCrossEntropy } from "../../src/ops/loss/cross_entropy.ts";

/** They run for a few seconds, most of which kernels are compiled. Attention is left out: its would take ten more. */
export function wideCases(): KernelCase[] {
  return [
    {
      kernel: "linear",
      run: () =>
        bothWays(
          (x, weight, bias) => linear(x, weight, bias),
          values(1, 200, 196),
          values(2, 132, 196),
          values(3, 132),
        ),
    },
    {
      kernel: "layerNorm",
      run: () =>
        bothWays(
          (x, gain, bias) => layerNorm(x, gain, bias),
          tf.add(values(1, 3, 8260), 3),
          values(2, 8260),
          values(3, 8260),
        ),
    },
    {
      kernel: "maskedPixelLoss",
      run: () => {
        const patches = values(1, 3, 7, 30);
        const mask = tf.cast(tf.greater(values(2, 3, 7), 0), "float32");
        return bothWays((x) => maskedPixelLoss(x, patches, mask, true), values(3, 3, 7, 30));
      },
    },
    {
      kernel: "softCrossEntropy",
      run: () => {
        const labels = tf.softmax(values(2, 3, 1003));
        return bothWays((logits) => softCrossEntropy(logits, labels), values(1, 3, 1003));
      },
    },
  ];
}
