/**
 * Masked autoencoders (He et al. 2021, "Masked Autoencoders Are Scalable Vision Learners") on WebGPU: the model and its
 * gradients, pre-training on folders of images, and the pieces both are made of. Importing this module does nothing but
 * define them: it opens no device, reads no file, and needs no permission.
 *
 * ```ts
 * import { createMae, openRuntime, Random, readTensor, sampleNoise, tf } from "https://…/mod.ts";
 *
 * const runtime = await openRuntime(); // WebGPU where there is a driver, else the CPU
 * const mae = createMae({
 *   imageSize: 32,
 *   patchSize: 8,
 *   encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 4 },
 *   decoder: { width: 32, depth: 2, heads: 4, mlpRatio: 4 },
 *   normalizeTarget: true,
 * }, { seed: 0 });
 *
 * const images = tf.randomNormal([2, 32, 32, 3], 0, 1, "float32", 1); // [N, H, W, C], normalised
 * const noise = sampleNoise({ ratio: 0.75, sampling: "random" }, mae.grid, 2, new Random(7)); // [N, L]
 * const { loss, gradients } = mae.lossAndGradients(images, { maskRatio: 0.75, noise });
 * console.log(runtime.backend, await readTensor(loss), gradients.get("blocks.0.attn.qkv.weight")?.shape);
 * await runtime.close();
 * ```
 *
 * Pre-training from a program is what the command line does, with the configuration in the keys of the YAML:
 *
 * ```ts
 * import { pretrain, resolvePretrainConfig } from "https://…/mod.ts";
 *
 * const config = resolvePretrainConfig([{
 *   origin: "my program",
 *   values: { model: { image_size: 64, patch_size: 8 }, data: { train: "photos" }, run: { out: "runs/mine" } },
 * }]);
 * const { figure } = await pretrain(config, {
 *   onEvent: (event) => event.kind === "log" && console.log(event.record.step, event.record.loss),
 * });
 * console.log(figure);
 * ```
 *
 * Fine-tuning is its counterpart, and what comes of it classifies images:
 *
 * ```ts
 * import { finetune, listImages, parseSet, prepareFinetuning, readClassifier, TrainedClassifier } from "https://…/mod.ts";
 *
 * const { config } = await prepareFinetuning(["from=runs/mine", "data.train=labelled"].map(parseSet));
 * const { best, bestCheckpoint } = await finetune(config);
 * console.log(best?.top1, bestCheckpoint);
 * const classifier = TrainedClassifier.open(await readClassifier(config.run.out)); // the runtime is open by now
 * const images = await listImages("photos");
 * for await (const { path, classes } of classifier.predict(images, { top: 3, batchSize: 16, workers: 0 })) {
 *   console.log(path, classes);
 * }
 * ```
 *
 * Features of a folder of images, by a frozen encoder:
 *
 * ```ts
 * import { FrozenEncoder, listImages } from "https://…/mod.ts";
 *
 * using encoder = await FrozenEncoder.open({ from: "runs/mine" }, { pooling: "average", workers: 0 });
 * const { values, width, samples } = await encoder.features(await listImages("photos"), "features");
 * console.log(samples.length, width, values.subarray(0, width)); // one row of values per image
 * ```
 *
 * Permissions: `--allow-read` for what is read, and for Deno's cache where image files are decoded; `--allow-write` for
 * what is written; `--allow-net` for data at `http(s)://` and `s3://` addresses, and `--allow-env=AWS_*,HOME` for the
 * latter. Nothing else is needed; see the README for what a few more are good for.
 *
 * @module
 */

// The backend, and TensorFlow.js on it
export { tf } from "./src/deps/tfjs.ts";
export { type MemoryUse, openRuntime, type Runtime, type RuntimeOptions } from "./src/gpu/runtime.ts";
export type { AdapterReport, LimitName, OptionalFeature } from "./src/gpu/adapter.ts";
export { readTensor, readTensors } from "./src/gpu/tensors.ts";

// The model
export type { ComputeOptions } from "./src/models/compute.ts";
export {
  countParameters,
  createMae,
  type Mae,
  type MaeConfig,
  type MaeOutput,
  type MaskOptions,
  type Trace,
} from "./src/models/mae.ts";
export { sampleNoise } from "./src/models/mask_sampling.ts";
export { keptCount, maskFromNoise, type Masking } from "./src/ops/tokens/masking.ts";
export { normalizePixels } from "./src/ops/pixels/normalize_pixels.ts";
export { patchGrid, patchify, unpatchify } from "./src/ops/pixels/patchify.ts";
export type { Parameters, State } from "./src/nn/parameters.ts";

// What comes after pre-training: classifiers and linear probes
export { type Classifier, createClassifier, type TrainOptions } from "./src/models/classifier.ts";
export type { ClassifierConfig } from "./src/models/classifier_config.ts";
export type { EncoderLoad } from "./src/models/encoder_state.ts";
export type { Misfits } from "./src/nn/misfits.ts";
export type { Labels } from "./src/models/labels.ts";
export { LinearProbe, type LinearProbeConfig } from "./src/models/linear_probe.ts";
export { resamplePositions } from "./src/nn/resample_positions.ts";
export type { Pooling } from "./src/ops/tokens/pool_tokens.ts";

// Optimizers
export { AdamW, type AdamWOptions } from "./src/optim/adamw.ts";
export { Ema } from "./src/optim/ema.ts";
export {
  type LayerDecay,
  layerDecayGroups,
  type ParameterGroup,
  pretrainGroups,
} from "./src/optim/groups.ts";
export { Lars, type LarsOptions } from "./src/optim/lars.ts";
export { learningRateAt, scaledLearningRate, type Schedule } from "./src/optim/schedule.ts";

// Pre-training and its configuration
export { pretrain, type PretrainOptions, type PretrainResult } from "./src/train/jobs/pretrain.ts";
export type { PretrainEvent, StartEvent, StepEvent } from "./src/train/run/events.ts";
export type { MetricsRecord } from "./src/report/metrics.ts";
export { resolvePretrainConfig, toYaml } from "./src/config/pretrain.ts";
export { type ConfigLayer, parseSet, parseYamlLayer } from "./src/config/layers.ts";
export { type ConfigJob, readConfigLayer, type ShippedConfig, shippedConfigs } from "./src/config/shipped.ts";
export { type Preset, presets } from "./src/config/presets.ts";
export type {
  AugmentConfig,
  DataConfig,
  DataEntry,
  DataSource,
  Interval,
  MaskConfig,
  ModelConfig,
  OptimConfig,
  PretrainConfig,
  ProbeConfig,
  RunConfig,
  ShuffleConfig,
  Size,
  TargetConfig,
  TransformerConfig,
} from "./src/config/types.ts";
export {
  finetuneCheckpoint,
  finetuneKeys,
  finetuneYaml,
  resolveFinetuneConfig,
} from "./src/config/finetune.ts";
export {
  linprobeCheckpoint,
  linprobeKeys,
  linprobeYaml,
  resolveLinprobeConfig,
} from "./src/config/linprobe.ts";
export type { ConfigKey } from "./src/config/settings.ts";
export type {
  ClassifierModelConfig,
  ColorJitterConfig,
  EncoderOfCheckpoint,
  ErasingConfig,
  EvaluatedRunConfig,
  FinetuneAugmentConfig,
  FinetuneConfig,
  FinetuneModelConfig,
  FinetuneOptimConfig,
  LabelledDataConfig,
  LinprobeConfig,
  LinprobeOptimConfig,
  MixConfig,
  OperationInterpolation,
  RandAugmentConfig,
} from "./src/config/finetune_types.ts";

// Fine-tuning, evaluation and prediction
export {
  finetune,
  type FinetuneOptions,
  type FinetuneResult,
  type PreparedFinetuning,
  prepareFinetuning,
} from "./src/train/jobs/finetune.ts";
export type { RunOptions, RunResult } from "./src/train/run/open_run.ts";
export type { EvaluationEvent, FinetuneEvent } from "./src/train/run/events.ts";
export type { EvaluationSummary } from "./src/train/checkpoint/checkpoint.ts";
export {
  classifyImages,
  type ClassifyOptions,
  evaluateClassifier,
  type Evaluation,
  type ImagePreparation,
  type LogitsBatch,
} from "./src/train/evaluate/evaluate.ts";
export {
  type ClassProbability,
  type Prediction,
  readClassifier,
  type StoredClassifier,
  TrainedClassifier,
} from "./src/train/evaluate/trained_classifier.ts";
export type { ClassifierInfo } from "./src/train/checkpoint/classifier_info.ts";
export {
  type EncoderSource,
  type EncoderSourceOptions,
  readEncoderSource,
} from "./src/train/model_files/encoder_source.ts";

// A frozen encoder: linear probe, nearest neighbours, features
export {
  linprobe,
  type LinprobeOptions,
  type LinprobeResult,
  type PreparedLinprobe,
  prepareLinprobe,
} from "./src/train/jobs/linprobe.ts";
export {
  evaluateNeighbours,
  type NeighboursOptions,
  type NeighboursResult,
} from "./src/train/features/neighbours.ts";
export {
  type KnnAccuracy,
  knnAccuracy,
  type KnnOptions,
  type LabelledFeatures,
} from "./src/train/features/knn.ts";
export { embed, type EmbedOptions, type EmbedResult } from "./src/train/features/embed.ts";
export { FrozenEncoder, type FrozenOptions, type WhichEncoder } from "./src/train/features/frozen.ts";
export {
  type FeatureEncoder,
  type FeatureEncoderOptions,
  type FeatureImages,
  openFeatureEncoder,
} from "./src/train/features/feature_encoder.ts";
export { computeFeatures, type FeatureOptions, type Features } from "./src/train/features/features.ts";
export type { FrozenEvent, LinprobeEvent, ProgressEvent } from "./src/train/run/events.ts";
export {
  type EvaluationImages,
  type EvaluationImagesOptions,
  listEvaluationImages,
} from "./src/train/evaluate/evaluation_images.ts";
export { type ClassRow, classTable } from "./src/report/class_table.ts";
export { type ConfusionText, drawConfusion } from "./src/report/confusion.ts";

// Images
export { type LabelledImages, type LabelledSource, type SplitOptions } from "./src/sources/labelled.ts";
export { listLabelledFolder } from "./src/sources/class_folders.ts";
export { type LabelledImagesOptions, listLabelledImages } from "./src/sources/labelled_images.ts";
export { type ClassifiedSource, openLabelledSource } from "./src/sources/labelled_source.ts";
export { openSource, type SourceOptions } from "./src/sources/open_source.ts";
export { openShards, type ShardOptions } from "./src/sources/open_shards.ts";
export type { ShardSource } from "./src/sources/shard_source.ts";
export { type PackEvent, type PackOptions, type PackResult, packShards } from "./src/pack/pack.ts";
export type { ManifestColumns } from "./src/sources/manifest_columns.ts";
export { listImages } from "./src/sources/image_folder.ts";
export {
  fileSource,
  type ImageSource,
  namesOf,
  type SampleLocation,
  type Shard,
  type SourcePart,
  subsetOf,
} from "./src/sources/source.ts";
export { type EvalImages, type EvalOptions, loadEvalImages } from "./src/data/eval_images.ts";
export type { BrokenFile, BrokenPolicy } from "./src/data/broken_samples.ts";
export { type ImageBatch, type Loader, type LoaderOptions, openLoader } from "./src/data/loader.ts";
export type { Part } from "./src/data/sampler.ts";
export type { ImageSettings } from "./src/sources/read_image.ts";
export type { RenderSettings } from "./src/data/render.ts";
export { officialCropShare } from "./src/augment/augment.ts";
export { type DataStatistics, measureImages, type StatisticsOptions } from "./src/check/statistics.ts";

// Bytes at an address: paths, HTTP and S3
export type { ByteSource } from "./src/formats/byte_source.ts";
export { type ListedObject, Storage, type StorageOptions } from "./src/storage/storage.ts";
export type { StoredBytes } from "./src/storage/remote_object.ts";
export type { RetryEvent, RetryPolicy } from "./src/storage/retry.ts";
export type { S3Credentials, S3Settings } from "./src/storage/s3_settings.ts";
export { BlockCache, type BlockCacheOptions } from "./src/storage/block_cache.ts";

// Looking inside an encoder
export {
  type AttentionOptions,
  type AttentionResult,
  inspectAttention,
} from "./src/train/pictures/attention.ts";
export type { HeadStatistics, LayerStatistics } from "./src/train/pictures/layer_statistics.ts";
export { type EncoderLayer, inspectEncoder } from "./src/models/inspect_encoder.ts";
export {
  type AttentionLayout,
  attentionStatistics,
  type BlockAttention,
  eachAttentionRow,
} from "./src/models/attention_statistics.ts";
export { effectiveRank, type TokenStatistics, tokenStatistics } from "./src/models/token_statistics.ts";
export { type AttentionRow, drawAttention, overlayMap } from "./src/report/attention_figure.ts";
export { colorOf } from "./src/report/color_map.ts";
export { type DepthChart, drawDepthCharts } from "./src/report/layer_curves.ts";

// Reconstructions and figures
export {
  reconstruct,
  type Reconstruction,
  type ReconstructOptions,
  toRgb,
  viewOf,
} from "./src/train/pictures/reconstruct.ts";
export {
  drawReconstructions,
  type MaskSetting,
  type ReconstructedView,
  type ReconstructionRow,
  type ReconstructionText,
} from "./src/report/reconstructions.ts";
export type { FigureText } from "./src/report/figure.ts";
export { type ReconstructedImages, reconstructImages } from "./src/train/pictures/reconstruct_images.ts";
export type { ReconstructImagesOptions, TargetFact } from "./src/train/pictures/reconstruction_plan.ts";
export { reconstructionFacts, reconstructionText } from "./src/train/pictures/reconstruction_text.ts";
export { type ReconstructionPage, reconstructionPage } from "./src/report/reconstruction_page.ts";
export { maskedPicture, pastePicture } from "./src/report/patches.ts";
export type { Canvas, Color, Point, TextStyle } from "./src/report/canvas.ts";
export { encodePng, type Picture } from "./src/formats/png.ts";

// Tensors in files
export {
  type LoadedEntry,
  readSafetensors,
  type TensorEntry,
  writeSafetensors,
} from "./src/formats/safetensors.ts";
export {
  type DataOf,
  type Dtype,
  type StoredTensor,
  type TensorData,
  toFloat32,
} from "./src/formats/dtypes.ts";

export type { TensorOutline, TensorSource } from "./src/formats/tensor_source.ts";
export {
  openTorch,
  TorchArray,
  TorchFile,
  TorchRecord,
  TorchStorage,
  TorchTensor,
  type TorchValue,
} from "./src/formats/torch_file.ts";

// Models of any kind, and as other programs have them
export type { Architecture, StackSizes } from "./src/nn/architecture.ts";
export type { TrainState } from "./src/train/checkpoint/checkpoint.ts";
export {
  decoderOf,
  encoderOf,
  type KnownHeads,
  type ModelFacts,
  type ModelKind,
  type ModelSource,
  type ModelSourceOptions,
  openModelSource,
  readState,
} from "./src/train/model_files/model_source.ts";
export {
  type Conversion,
  type ConvertKind,
  convertModel,
  type ConvertOptions,
  type WeightPrecision,
} from "./src/train/model_files/convert.ts";
export { type OnnxFile, type OnnxOptions, type OnnxSource, writeOnnx } from "./src/train/model_files/onnx.ts";

// Random numbers and errors
export { Random, Stream } from "./src/util/random.ts";
export { InputError, RunError } from "./src/util/errors.ts";
export { DeviceError } from "./src/gpu/guards.ts";
