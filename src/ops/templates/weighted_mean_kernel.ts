/** Means of a few thousand values by one team of threads, in a fixed order. Traffic: 4 bytes per value and per weight; 3 operations. */
import type { tf } from "../../deps/tfjs.ts";
import { type KernelSource, launch } from "../../gpu/kernel.ts";
import { rowGrid, RowKernel, type Team, teamFor, teamName } from "./row_kernel.ts";
import { operandsOf, type RowBindings, rowBindings, rowInput, rowName } from "./row_values.ts";
import { float } from "./wgsl.ts";

function meanSource(count: number, team: Team, bound: RowBindings): KernelSource {
  return {
    name: rowName("mean", bound, teamName(team)),
    code: () => {
      const row = new RowKernel(count, team);
      const value = row.hold("value", ({ quad }) => `values(row, ${quad})`);
      if ("weights" in bound.inputs) {
        const weight = row.hold("weight", ({ quad }) => `weights(row, ${quad})`);
        row.sum({
          total: (at) => `dot(${value(at)}, ${weight(at)})`,
          weight_total: (at) => `dot(${weight(at)}, vec4f(1.0))`,
        });
      } else {
        row.sum({ total: (at) => `dot(${value(at)}, vec4f(1.0))` });
        row.step(`    let weight_total = ${float(count)};`);
      }
      row.once(
        "store_mean(0u, 0u, vec4f(total / weight_total)); store_divisor(0u, 0u, vec4f(weight_total));",
      );
      return rowBindings(bound) + row.code();
    },
  };
}

/**
 * Σ value · weight / Σ weight over all values; without weights, their mean.
 * @returns two scalars: the mean, and what was divided by
 */
export function weightedMean(values: tf.Tensor, weights?: tf.Tensor): [mean: tf.Scalar, divisor: tf.Scalar] {
  const count = values.size;
  const team = teamFor(count);
  const bound: RowBindings = {
    inputs: {
      values: rowInput(values, count),
      ...(weights ? { weights: rowInput(weights, count) } : {}),
    },
    results: { mean: { width: 1 }, divisor: { width: 1 } },
  };
  return launch(meanSource(count, team, bound), {
    inputs: operandsOf(bound.inputs),
    outputs: [[], []],
    ...rowGrid(1, team),
  }) as [tf.Scalar, tf.Scalar];
}
