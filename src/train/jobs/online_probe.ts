/** A look at what an encoder has learned, during pre-training: nearest neighbours on labelled images. */
import { readingOf } from "../../config/common_sections.ts";
import type { PretrainConfig, ProbeConfig } from "../../config/types.ts";
import { officialCropShare } from "../../augment/augment.ts";
import type { LabelledImages, LabelledSource } from "../../sources/labelled.ts";
import { listLabelledImages } from "../../sources/labelled_images.ts";
import type { Mae } from "../../models/mae.ts";
import { InputError } from "../../util/errors.ts";
import type { PretrainEvent } from "../run/events.ts";
import { type FeatureEncoder, sharedEncoder } from "../features/feature_encoder.ts";
import { computeFeatures } from "../features/features.ts";
import { knnAccuracy, type LabelledFeatures } from "../features/knn.ts";
import { labelled } from "../features/neighbours.ts";

/** Most images whose features are computed at once. */
const mostAtOnce = 256;

/**
 * The images to look at.
 * @throws {InputError} when there are none, or fewer than neighbours are to vote
 */
export async function listProbeImages(
  { data, split, k }: ProbeConfig,
  seed: number,
): Promise<LabelledImages> {
  const images = await listLabelledImages(data, {
    fraction: split ?? undefined,
    seed,
    option: "probe.split",
  });
  if (k <= images.train.length) return images;
  throw new InputError(
    `probe.k ${k} is more than the ${images.train.length} training images of probe.data ${data}`,
  );
}

/** What a look needs of a run. */
export interface ProbedRun {
  /** The resolved configuration. */
  readonly config: Pick<PretrainConfig, "model" | "data" | "optim">;
  /** The model in training. */
  readonly model: Mae;
  /** Hears of everything that happens. */
  readonly onEvent: (event: PretrainEvent) => void;
}

/** Looks at labelled images by the encoder as it is. It draws no random number and changes no weight. */
export class OnlineProbe implements Disposable {
  readonly #encoder: Pick<FeatureEncoder, "classifier" | "dispose">;
  readonly #toldOf = new Set<string>();

  /** Shares the model's parameters. */
  constructor(
    private readonly run: ProbedRun,
    private readonly probe: ProbeConfig,
    private readonly images: LabelledImages,
    private readonly workerUrl?: string | URL,
  ) {
    this.#encoder = sharedEncoder(run.model, probe.pooling);
  }

  /** Classifies the validation images; the number is for the log. */
  async look(step: number, epoch: number): Promise<{ numbers: { knn_top1: number }; isBest: false }> {
    const { classes, train, validation } = this.images;
    const { k } = this.probe;
    const bank = await this.#features(train);
    const [{ top1 }] = await knnAccuracy(bank, await this.#features(validation), {
      ks: [Math.min(k, bank.labels.length)], // files may have broken since
      classes: classes.length,
    });
    const message = `Step ${step}, epoch ${+epoch.toFixed(2)}: top-1 of ${k} nearest neighbours ` +
      `${(100 * top1).toFixed(2)} %`;
    this.run.onEvent({ kind: "notice", message });
    return { numbers: { knn_top1: top1 }, isBest: false };
  }

  async #features(source: LabelledSource): Promise<LabelledFeatures> {
    const { config: { model, data }, onEvent } = this.run;
    const { imageSize, channels } = model;
    const { mean, std, workers } = data;
    const features = await computeFeatures(this.#encoder.classifier, source, {
      images: { imageSize, channels, ...readingOf(data), mean, std, cropShare: officialCropShare(imageSize) },
      batchSize: Math.min(mostAtOnce, source.length),
      workers,
      workerUrl: this.workerUrl,
      onProgress: (done, all) =>
        onEvent({ kind: "progress", what: "looking at labelled images", share: done / all }),
      onBroken: ({ path, reason }) => {
        if (this.#toldOf.has(path)) return;
        this.#toldOf.add(path);
        onEvent({ kind: "warning", message: `Skipping ${path} in the probe: ${reason}` });
      },
    });
    return labelled(features, source);
  }

  /** Frees what was made for it; the model stays. */
  [Symbol.dispose](): void {
    this.#encoder.dispose();
  }
}
