/**
 * Many small tensors side by side in one, so that one kernel works on all of them: a model has hundreds of biases and
 * gains, and to launch a kernel for each costs far more than its work.
 */
import { tf } from "../../deps/tfjs.ts";
import { clearedTensor, copyValues } from "../../gpu/copies.ts";
import { type Bodies, chooseBody } from "../operation.ts";

/** Where each tensor lies in a pack. */
export interface PackLayout {
  /** Values of the pack. */
  readonly size: number;
  /** First value of each tensor, a multiple of 64; what lies between tensors is 0. */
  readonly firsts: readonly number[];
}

/** The layout for tensors of these sizes, in order. */
export function packLayout(sizes: readonly number[]): PackLayout {
  const firsts: number[] = [];
  let size = 0;
  for (const count of sizes) {
    firsts.push(size);
    size += Math.ceil(count / 64) * 64;
  }
  return { size, firsts };
}

interface PackBody {
  pack(tensors: readonly tf.Tensor[], layout: PackLayout): tf.Tensor1D;
  unpack(packed: tf.Tensor, layout: PackLayout, variables: readonly tf.Variable[]): void;
}

const composed: PackBody = {
  pack: (tensors, { size, firsts }) =>
    tf.tidy(() => {
      const pieces = tensors.flatMap((tensor, i) => {
        const gap = (firsts[i + 1] ?? size) - firsts[i] - tensor.size;
        return [tf.reshape(tensor, [tensor.size]), ...(gap > 0 ? [tf.zeros([gap])] : [])];
      });
      return tf.concat(pieces) as tf.Tensor1D;
    }),
  unpack(packed, { firsts }, variables) {
    variables.forEach((variable, i) => {
      const next = tf.tidy(() => tf.reshape(tf.slice(packed, firsts[i], variable.size), variable.shape));
      variable.assign(next);
      next.dispose();
    });
  },
};

/** No kernel at all, but copies between buffers. Traffic: 8 bytes per value. */
const kernel: PackBody = {
  pack(tensors, { size, firsts }) {
    const packed = clearedTensor([size]) as tf.Tensor1D;
    copyValues(tensors.map((from, i) => ({ from, to: packed, toFirst: firsts[i] })));
    return packed;
  },
  unpack(packed, { firsts }, variables) {
    copyValues(
      variables.map((to, i) => ({ from: packed, fromFirst: firsts[i], to, count: to.size })),
    );
  },
};

const bodies: Bodies<PackBody> = { name: "pack", composed, kernel };

/** Copies tensors into a new one. */
export function packValues(tensors: readonly tf.Tensor[], layout: PackLayout): tf.Tensor1D {
  return chooseBody(bodies).pack(tensors, layout);
}

/** Copies the values of a pack into variables. */
export function unpackValues(
  packed: tf.Tensor,
  layout: PackLayout,
  variables: readonly tf.Variable[],
): void {
  chooseBody(bodies).unpack(packed, layout, variables);
}
