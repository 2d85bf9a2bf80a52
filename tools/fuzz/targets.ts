/**
 * Every reader of bytes that strangers wrote. A new one is one more target here: valid files to start from, pieces of its
 * format, and a call that takes one input.
 */

import { avif, gif, jpeg, png, tiff, webp } from "./image_targets.ts";
import { parquet, tar, tarIndex } from "./shard_targets.ts";
import { csv, jsonl, mat } from "./table_targets.ts";
import type { Target } from "./target.ts";
import { model, pickle, safetensors, safetensorsHeader, torchOld, torchZip } from "./tensor_targets.ts";
import { metadata, modelConfig, state, tensorIndex, tunerCache, yaml } from "./text_targets.ts";

/** Every target, by what it reads. */
export const TARGETS: readonly Target[] = [
  safetensors,
  safetensorsHeader,
  torchZip,
  torchOld,
  pickle,
  model,
  modelConfig,
  metadata,
  tensorIndex,
  state,
  yaml,
  tunerCache,
  png,
  jpeg,
  webp,
  gif,
  avif,
  tiff,
  tar,
  tarIndex,
  parquet,
  csv,
  jsonl,
  mat,
];
