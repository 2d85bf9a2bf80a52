/**
 * Softmax cross-entropy with soft labels by kernel: a team of threads per row (`row_kernel.ts`), then one for the mean.
 *
 * Forward: 8 bytes read per value (three times over where a row is too wide for registers), about 10 operations with one
 * exponential; three numbers written per row. Backward: 8 bytes read and 4 written per value, 4 operations and one exponential.
 */
import type { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch } from "../../gpu/kernel.ts";
import { rowGrid, RowKernel, type Team, teamFor, teamName } from "../templates/row_kernel.ts";
import { operandsOf, type RowBindings, rowBindings, rowInput, rowName } from "../templates/row_values.ts";
import { weightedMean } from "../templates/weighted_mean_kernel.ts";
import { float } from "../templates/wgsl.ts";

/** What logits are beyond the end of their row: their exponential is 0, and so is their product with a label of 0. */
const lowest = -1e30;

function inputsOf(logits: tf.Tensor, labels: tf.Tensor, classes: number) {
  return { logits: rowInput(logits, classes, lowest), labels: rowInput(labels, classes) };
}

function forwardSource(classes: number, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("cross_entropy", bound, teamName(team)),
    code: () => {
      const row = new RowKernel(classes, team);
      const logit = row.hold("logit", ({ quad }) => `logits(row, ${quad})`, `vec4f(${float(lowest)})`);
      const label = row.hold("label", ({ quad }) => `labels(row, ${quad})`);
      row.maximum({ top: (at) => `largest(${logit(at)})` }, float(lowest));
      const shifted = row.hold("shifted", (at) => `${logit(at)} - top`, `vec4f(${float(lowest)})`);
      row.sum({
        total: (at) => `dot(exp(${shifted(at)}), vec4f(1.0))`,
        label_total: (at) => `dot(${label(at)}, vec4f(1.0))`,
      });
      row.step("    let log_total = log(total);");
      row.sum({ loss: (at) => `dot(${label(at)}, log_total - ${shifted(at)})` });
      row.once(
        "store_losses(row, 0u, vec4f(loss)); store_statistics(row, 0u, vec4f(top, log_total, label_total, 0.0));",
      );
      return `
fn largest(x: vec4f) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
${rowBindings(bound)}
${row.code()}`;
    },
  };
}

function backwardSource(classes: number, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("cross_entropy_gradient", bound, teamName(team)),
    code: () => {
      const row = new RowKernel(classes, team);
      row.step("    let statistic = statistics(row, 0u);");
      row.step("    let factor = upstream(0u, 0u).x / f32(sizes.x);");
      row.each(({ quad }) => {
        const probability = `exp(logits(row, ${quad}) - statistic.x - statistic.y)`;
        const value = `factor * (${probability} * statistic.z - labels(row, ${quad}))`;
        return `store_gradient(row, ${quad}, ${value});`;
      });
      return rowBindings(bound) + row.code();
    },
  };
}

/**
 * The loss of logits and labels [N, K], both in single precision.
 * @returns a scalar, and [N, 4]: the row's largest logit, log Σ exp of the logits less that, Σ labels and a zero
 */
export function crossEntropyKernel(
  logits: tf.Tensor2D,
  labels: tf.Tensor2D,
): [loss: tf.Scalar, statistics: tf.Tensor] {
  const [rows, classes] = logits.shape;
  const team = teamFor(classes);
  const bound: RowBindings = {
    inputs: inputsOf(logits, labels, classes),
    results: { losses: { width: 1 }, statistics: { width: 4 } },
  };
  const [losses, statistics] = launch(forwardSource(classes, team, bound), {
    inputs: operandsOf(bound.inputs),
    outputs: [[rows], [rows, 4]],
    ...rowGrid(rows, team),
  });
  return [weightedMean(losses)[0], statistics];
}

/** Gradient of the logits, given that of the loss. */
export function crossEntropyKernelGradient(
  upstream: tf.Tensor,
  logits: tf.Tensor2D,
  labels: tf.Tensor2D,
  statistics: tf.Tensor,
): tf.Tensor {
  const [rows, classes] = logits.shape;
  const team = teamFor(classes);
  const bound: RowBindings = {
    inputs: {
      ...inputsOf(logits, labels, classes),
      statistics: rowInput(statistics, 4),
      upstream: rowInput(upstream, 1),
    },
    results: { gradient: { width: classes } },
  };
  return launch(backwardSource(classes, team, bound), {
    inputs: operandsOf(bound.inputs),
    outputs: [[rows, classes]],
    ...rowGrid(rows, team),
  })[0];
}
