/** Models in memory, to be written as ONNX files. */
import { type StoredTensor, toFloat32 } from "../../../src/formats/dtypes.ts";
import { type Classifier, createClassifier } from "../../../src/models/classifier.ts";
import type { ClassifierConfig } from "../../../src/models/classifier_config.ts";
import { architectureOf } from "../../../src/nn/architecture.ts";
import type { ModelFacts } from "../../../src/train/model_files/model_source.ts";
import type { OnnxSource } from "../../../src/train/model_files/onnx.ts";
import { Random } from "../../../src/util/random.ts";
import { assert } from "../../deps.ts";

/** An open model that lies in memory; with three heads unless `facts` say otherwise. */
export function memorySource(
  state: ReadonlyMap<string, StoredTensor>,
  facts: Partial<ModelFacts> = {},
): OnnxSource {
  const architecture = architectureOf(new Map([...state].map(([name, { shape }]) => [name, shape])));
  assert(architecture !== null);
  return {
    path: "model.test",
    description: "A small model",
    tensors: state,
    read(name) {
      const found = state.get(name);
      return found ? Promise.resolve(found) : Promise.reject(new Error(`there is no ${name}`));
    },
    architecture,
    facts: {
      heads: 3,
      headsFrom: "the test",
      decoderHeads: null,
      decoderHeadsFrom: null,
      normEpsilon: 1e-6,
      imageSize: null,
      imageSizeFrom: null,
      maskTokens: "decoder",
      ...facts,
    },
  };
}

/**
 * A classifier no parameter of which is 0 or 1, as many are in a fresh one, so that none can take another's place
 * unnoticed.
 */
export async function randomClassifier(config: ClassifierConfig, seed = 1): Promise<Classifier> {
  const model = createClassifier(config);
  const random = new Random(seed);
  const state = new Map<string, StoredTensor>();
  for (const [name, tensor] of await model.state()) {
    const middle = /norm\w*\.weight$/.test(name) ? 1 : 0;
    state.set(name, {
      dtype: "F32",
      shape: tensor.shape,
      data: toFloat32(tensor).map(() => middle + 0.3 * random.normal()),
    });
  }
  model.loadState(state);
  return model;
}

/** The values rounded to half precision and back, of every tensor with more than one dimension. */
export function roundedToHalf(state: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  return new Map(
    [...state].map(([name, tensor]) => {
      const data = toFloat32(tensor);
      const rounded = tensor.shape.length > 1 ? new Float32Array(new Float16Array(data)) : data;
      return [name, { dtype: "F32", shape: tensor.shape, data: rounded }];
    }),
  );
}
