/** Work that the gradient tape does not see. */
import type { tf } from "../deps/tfjs.ts";
import { differentiable } from "./operation.ts";

/**
 * Runs `work` so that nothing in it is recorded or kept for a way back: what is frozen costs no gradients and no memory.
 * @param input a tensor that `work` starts from, and that no gradient is asked for
 */
export function withoutGradient<Output extends tf.Tensor>(input: tf.Tensor, work: () => Output): Output {
  // Inside an operation nothing reaches the tape; tfjs drops the operation itself, whose input leads to no variable.
  return differentiable<Output>([input], () => ({
    value: work(),
    saved: [],
    gradients: () => {
      throw new Error("A gradient was asked for through frozen work");
    },
  }));
}
