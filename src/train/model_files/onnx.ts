/** Writing a model's encoder or classifier as an ONNX file, one tensor in memory at a time. */
import project from "../../../deno.json" with { type: "json" };
import type { Size } from "../../config/types.ts";
import { type TensorData, toFloat32 } from "../../formats/dtypes.ts";
import { writeOnnxFile } from "../../formats/onnx.ts";
import type { TensorEntry } from "../../formats/tensor_entry.ts";
import type { GraphParameter } from "../../models/onnx_builder.ts";
import { onnxGraph, operatorSet } from "../../models/onnx_graph.ts";
import { resamplePositions } from "../../nn/resample_positions.ts";
import { InputError } from "../../util/errors.ts";
import { type Grids, type OnnxOptions, onnxPlan, type OnnxSource } from "./onnx_plan.ts";

export type { OnnxOptions, OnnxSource } from "./onnx_plan.ts";

/** A model that was written. */
export interface OnnxFile {
  /** The files, the model's first; a second one holds the weights of a model beyond 2 GB. */
  readonly files: readonly string[];
  /** What it computes. */
  readonly model: "encoder" | "classifier";
  /** Name of its input, `pixel_values` or `images`. */
  readonly input: string;
  /** Names of its outputs. */
  readonly outputs: readonly string[];
  /** Size of its images in pixels. */
  readonly imageSize: Size;
  /** Grid that its positions were resampled from; null where they fitted. */
  readonly resampledFrom: Size | null;
}

/**
 * Writes a model's encoder or classifier as an ONNX file of operator set 17 whose batch size is free.
 *
 * Input is `pixel_values` [batch, C, H, W], normalised by the mean and deviation that the file's metadata tell, or with
 * `rawPixels` `images` [batch, H, W, C] of bytes. Output of a classifier is `logits` [batch, classes]; of an encoder
 * `last_hidden_state` [batch, 1 + L, D] and `features` [batch, D]. Weights have the official names; those of linear layers
 * are transposed, [in, out].
 *
 * The file replaces an older one, whole or not at all. Weights beyond 2 GB lie beside it in `PATH.data`.
 * @throws {InputError} where the model lacks what is asked for, or its grid of patches is unknown; then nothing is written
 * @throws {RunError} where a file cannot be read or written
 */
export async function writeOnnx(
  path: string,
  source: OnnxSource,
  options: OnnxOptions = {},
): Promise<OnnxFile> {
  const { config, grids, metadata } = onnxPlan(source, options);
  const { from, to } = grids;
  const graph = onnxGraph(config);
  checkParameters(source, graph.parameters, [1, 1 + from[0] * from[1], config.encoder.width]);
  const model = config.classes === null ? "encoder" : "classifier";
  const files = await writeOnnxFile(path, {
    name: model,
    description: source.description,
    producer: { name: "mae", version: project.version },
    operatorSet,
    ...graph,
    constants: [...graph.constants, ...graph.parameters.map((one) => entryOf(source, one, grids))],
    metadata,
  }, options);
  return {
    files,
    model,
    input: graph.inputs[0].name,
    outputs: graph.outputs.map(({ name }) => name),
    imageSize: config.imageSize,
    resampledFrom: from.join() === to.join() ? null : from,
  };
}

/** Every parameter is there and of the shape that the graph reads, before anything is written. */
function checkParameters(
  { path, tensors }: OnnxSource,
  parameters: readonly GraphParameter[],
  positions: readonly number[],
): void {
  const problems = parameters.flatMap(({ name, shape, fill }) => {
    const given = tensors.get(name)?.shape;
    const wanted = name === "pos_embed" ? positions : shape;
    if (given === undefined) return fill === undefined ? [`${name} is missing`] : [];
    return given.join() === wanted.join()
      ? []
      : [`${name} is [${given.join(", ")}] instead of [${wanted.join(", ")}]`];
  });
  if (problems.length === 0) return;
  const rest = problems.length > 10 ? `, and ${problems.length - 10} more` : "";
  throw new InputError(`"${path}" does not fit the ONNX graph: ${problems.slice(0, 10).join("; ")}${rest}`);
}

/** A constant of the graph, read, laid out and rounded when its turn comes. */
function entryOf(source: OnnxSource, parameter: GraphParameter, grids: Grids): TensorEntry {
  const { name, shape, transposed, half, fill = 0 } = parameter;
  return {
    name,
    dtype: half ? "F16" : "F32",
    shape: transposed ? shape.toReversed() : shape,
    async data(): Promise<TensorData> {
      const length = shape.reduce((count, size) => count * size, 1);
      let values = source.tensors.has(name)
        ? toFloat32(await source.read(name))
        : new Float32Array(length).fill(fill);
      if (name === "pos_embed") values = resamplePositions(values, shape[2], grids.from, grids.to);
      if (transposed) values = transpose(values, shape[0], shape[1]);
      return half ? toHalf(values, source.path, name) : values;
    },
  };
}

/** Rows and columns of a matrix exchanged, by squares that fit the cache. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  const side = 32;
  for (let top = 0; top < rows; top += side) {
    for (let left = 0; left < columns; left += side) {
      for (let y = top; y < Math.min(rows, top + side); y++) {
        for (let x = left; x < Math.min(columns, left + side); x++) {
          result[x * rows + y] = values[y * columns + x];
        }
      }
    }
  }
  return result;
}

/** The nearest halves, as raw bits. Throws `InputError` where one is beyond their range. */
function toHalf(values: Float32Array, path: string, name: string): Uint16Array {
  const halves = new Float16Array(values);
  const beyond = halves.findIndex((half, i) => !Number.isFinite(half) && Number.isFinite(values[i]));
  if (beyond < 0) return new Uint16Array(halves.buffer);
  throw new InputError(
    `"${path}" has ${
      values[beyond]
    } in ${name}, which half precision cannot hold: write it in single precision`,
  );
}
