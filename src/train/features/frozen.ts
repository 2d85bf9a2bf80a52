/** What work with a frozen encoder has in common: opening it, and the features of data sets. */
import { unusualReading } from "../../config/common_sections.ts";
import type { PretrainConfig } from "../../config/types.ts";
import type { ImageSource } from "../../sources/source.ts";
import { openRuntime, type RuntimeOptions } from "../../gpu/runtime.ts";
import type { State } from "../../nn/parameters.ts";
import { checkKernelsOnce, kernelWarning } from "../../ops/check/kernel_check.ts";
import { type EncoderSource, encoderWords, readEncoderSource } from "../model_files/encoder_source.ts";
import type { FrozenEvent } from "../run/events.ts";
import {
  type FeatureEncoder,
  type FeatureEncoderOptions,
  openFeatureEncoder,
  randomEncoderState,
} from "./feature_encoder.ts";
import { computeFeatures, type Features } from "./features.ts";

/** How a frozen encoder works. */
export interface FrozenOptions extends FeatureEncoderOptions {
  /** Attention heads of an encoder named by its path, where nothing beside it says them. */
  readonly heads?: number;
  /** Whether what fits of a checkpoint named by its path is loaded where something does not; by default it is refused. */
  readonly partial?: boolean;
  /** What computes; `auto` by default. */
  readonly backend?: RuntimeOptions["backend"];
  /** Images computed at once; 64 by default. */
  readonly batchSize?: number;
  /** Data workers; `auto` (default) is the number of cores, at most 8; 0 works in this thread. */
  readonly workers?: number | "auto";
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
  /** Whether a device whose kernels no earlier run has tested is tested first (default). */
  readonly checkKernels?: boolean;
  /** Hears of everything that happens. */
  readonly onEvent?: (event: FrozenEvent) => void;
}

/** Which encoder: a checkpoint, read or by its path; or the one that pre-training of a configuration begins with. */
export type WhichEncoder =
  | { readonly from: string | EncoderSource }
  | { readonly random: PretrainConfig };

/** An encoder that is used and not trained. Dispose it, or declare it with `using`. */
export class FrozenEncoder implements Disposable {
  private constructor(
    /** What it is, in one sentence. */
    readonly description: string,
    /** The encoder on the open runtime, and how its images are made. */
    readonly encoder: FeatureEncoder,
    private readonly options: FrozenOptions,
  ) {}

  /**
   * Opens the runtime and puts an encoder on it.
   * @throws {InputError} when the checkpoint is missing, damaged, without an encoder, or does not suit the options
   * @throws {RunError} when the backend asked for cannot be opened
   */
  static async open(which: WhichEncoder, options: FrozenOptions = {}): Promise<FrozenEncoder> {
    const { backend, precision, checkKernels, heads, partial, onEvent = () => {} } = options;
    const from = "from" in which && typeof which.from === "string"
      ? await readEncoderSource(which.from, { heads, partial, headsFlag: "--heads, such as --heads 4" })
      : null;
    await openTestedRuntime({ backend, precision, checkKernels, onEvent });
    const source = from ??
      ("random" in which ? await randomSource(which.random) : which.from as EncoderSource);
    const encoder = openFeatureEncoder(source, options);
    onEvent({ kind: "notice", message: source.description });
    for (const message of encoder.notices) onEvent({ kind: "notice", message });
    return new FrozenEncoder(source.description, encoder, options);
  }

  /** Values of a feature vector. */
  get width(): number {
    return this.encoder.classifier.config.encoder.width;
  }

  /** What a vector is made of. */
  get pooling(): "average" | "class_token" {
    return this.encoder.classifier.config.pooling;
  }

  /**
   * One vector for each image of a data set. Files that cannot be read are reported and left out.
   * @param what names them in progress: "features of the training images"
   * @throws {RunError} when none can be read
   */
  features(source: ImageSource, what: string): Promise<Features> {
    const { batchSize = 64, workers = "auto", workerUrl, onEvent = () => {} } = this.options;
    return computeFeatures(this.encoder.classifier, source, {
      images: this.encoder.images,
      batchSize: Math.min(batchSize, source.length),
      workers,
      workerUrl,
      onProgress: (done, all) => onEvent({ kind: "progress", what, share: done / all }),
      onBroken: ({ path, reason }) => onEvent({ kind: "warning", message: `Skipping ${path}: ${reason}` }),
      onRestart: (message) => onEvent({ kind: "warning", message }),
    });
  }

  /** Frees the encoder. */
  [Symbol.dispose](): void {
    this.encoder.dispose();
  }
}

/**
 * Opens the runtime for work without training, says where it is slow, and tests the kernels of a device that is new.
 * @throws {RunError} when the backend asked for cannot be opened
 */
export async function openTestedRuntime(
  { backend, precision, checkKernels = true, onEvent = () => {} }: Pick<
    FrozenOptions,
    "backend" | "precision" | "checkKernels" | "onEvent"
  >,
): Promise<void> {
  const runtime = await openRuntime({ backend });
  if (runtime.backend === "cpu" && backend !== "cpu") {
    const message =
      "No GPU driver: computing on tfjs's CPU backend, about a hundred times slower; see mae doctor";
    onEvent({ kind: "warning", message });
  }
  if (!checkKernels) return;
  const checks = await checkKernelsOnce(precision === "f16", {
    onStart: () => onEvent({ kind: "notice", message: "Testing this device's kernels, once" }),
  });
  const message = kernelWarning(checks);
  if (message !== null) onEvent({ kind: "warning", message });
}

/** The encoder before the first step of a run, as a source. The runtime is open. */
export async function randomSource({ model, target, data, run }: PretrainConfig): Promise<EncoderSource> {
  const state: State = await randomEncoderState({ ...model, normalizeTarget: target.normalize }, run.seed);
  const { encoder, encoderName, patchSize, channels, imageSize } = model;
  return {
    path: "random weights",
    description: `Encoder with the random weights of seed ${run.seed}: ${encoderWords(encoderName, encoder)}`,
    state,
    encoder: {
      encoder,
      patchSize,
      channels,
      imageSize,
      mean: data.mean,
      std: data.std,
      reading: unusualReading(data),
    },
    classifier: null,
  };
}
