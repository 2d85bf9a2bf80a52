/**
 * The pixel loss by kernel: a team of threads per patch (`row_kernel.ts`), then one for the mean over the removed patches.
 *
 * Forward: 8 bytes read per value and one loss written per patch; backward: 8 read and 4 written. About 10 operations.
 * The target is never stored: both ways make it from the patches.
 */
import type { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch } from "../../gpu/kernel.ts";
import { type AtPlace, rowGrid, RowKernel, type Team, teamFor, teamName } from "../templates/row_kernel.ts";
import { operandsOf, type RowBindings, rowBindings, rowInput, rowName } from "../templates/row_values.ts";
import { weightedMean } from "../templates/weighted_mean_kernel.ts";
import { float } from "../templates/wgsl.ts";

/** What a kernel is generated for. */
export interface LossShape {
  /** Values of a patch. */
  readonly values: number;
  /** Whether the target is normalised patch by patch. */
  readonly normalize: boolean;
  /** Added to the variance of a patch. */
  readonly epsilon: number;
}

/** Holds prediction − target of the patch. */
function holdDifference(row: RowKernel, { values, normalize, epsilon }: LossShape): AtPlace {
  const inside = insideRow(values);
  const pixels = row.hold("pixels", ({ quad }) => `patches(row, ${quad})`);
  if (!normalize) {
    return row.hold("difference", (at) => `prediction(row, ${at.quad}) - ${pixels(at)}`);
  }
  row.sum({ shift: (at) => `dot(${pixels(at)}, vec4f(1.0))` });
  row.step(`    shift /= ${float(values)};`);
  const centred = row.hold("centred", (at) => inside(`${pixels(at)} - shift`, at.quad));
  row.sum({ squares: (at) => `dot(${centred(at)}, ${centred(at)})` });
  row.step(`    let scale = inverseSqrt(squares / ${float(values - 1)} + ${float(epsilon)});`);
  return row.hold("difference", (at) => `prediction(row, ${at.quad}) - ${centred(at)} * scale`);
}

/** Makes 0 of what a row's last quad holds beyond its end. */
function insideRow(width: number): (value: string, quad: string) => string {
  if (width % 4 === 0) return (value) => value;
  return (value, quad) =>
    `select(vec4f(), ${value}, 4u * ${quad} + vec4u(0u, 1u, 2u, 3u) < vec4u(${width}u))`;
}

function forwardSource(shape: LossShape, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("pixel_loss", bound, shape.normalize, shape.epsilon, teamName(team)),
    code: () => {
      const row = new RowKernel(shape.values, team);
      const difference = holdDifference(row, shape);
      row.sum({ total: (at) => `dot(${difference(at)}, ${difference(at)})` });
      row.once(`store_loss(row, 0u, vec4f(total / ${float(shape.values)}));`);
      return rowBindings(bound) + row.code();
    },
  };
}

function backwardSource(shape: LossShape, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("pixel_loss_gradient", bound, shape.normalize, shape.epsilon, teamName(team)),
    code: () => {
      const row = new RowKernel(shape.values, team);
      row.step(
        `    let factor = mask(row, 0u).x * upstream(0u, 0u).x * ${
          float(2 / shape.values)
        } / removed(0u, 0u).x;`,
      );
      const difference = holdDifference(row, shape);
      row.each((at) => `store_gradient(row, ${at.quad}, factor * ${difference(at)});`);
      return rowBindings(bound) + row.code();
    },
  };
}

/**
 * Mean squared error of each patch, averaged over the patches with mask 1.
 * @param prediction [..., P]
 * @param patches [..., P]
 * @param mask one value per patch
 * @returns two scalars: the loss, and the number of removed patches
 */
export function pixelLossKernel(
  prediction: tf.Tensor,
  patches: tf.Tensor,
  mask: tf.Tensor,
  shape: LossShape,
): [loss: tf.Scalar, removed: tf.Scalar] {
  const { values } = shape;
  const team = teamFor(values);
  const bound: RowBindings = {
    inputs: { prediction: rowInput(prediction, values), patches: rowInput(patches, values) },
    results: { loss: { width: 1 } },
  };
  const [losses] = launch(forwardSource(shape, team, bound), {
    inputs: operandsOf(bound.inputs),
    outputs: [[mask.size]],
    ...rowGrid(mask.size, team),
  });
  return weightedMean(losses, mask);
}

/** Gradient of the prediction, given that of the loss. */
export function pixelLossKernelGradient(
  upstream: tf.Tensor,
  prediction: tf.Tensor,
  patches: tf.Tensor,
  mask: tf.Tensor,
  removed: tf.Tensor,
  shape: LossShape,
): tf.Tensor {
  const { values } = shape;
  const team = teamFor(values);
  const bound: RowBindings = {
    inputs: {
      prediction: rowInput(prediction, values),
      patches: rowInput(patches, values),
      mask: rowInput(mask, 1),
      upstream: rowInput(upstream, 1),
      removed: rowInput(removed, 1),
    },
    results: { gradient: { width: values } },
  };
  return launch(backwardSource(shape, team, bound), {
    inputs: operandsOf(bound.inputs),
    outputs: [prediction.shape],
    ...rowGrid(mask.size, team),
  })[0];
}
