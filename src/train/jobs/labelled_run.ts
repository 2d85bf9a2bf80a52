/** What runs on labelled images have in common: their images, what they say of their classes, and their evaluations. */
import { unusualReading } from "../../config/common_sections.ts";
import { readingOf } from "../../config/common_sections.ts";
import type {
  ClassifierModelConfig,
  EvaluatedRunConfig,
  LabelledDataConfig,
} from "../../config/finetune_types.ts";
import type { LabelledImages } from "../../sources/labelled.ts";
import { listLabelledImages } from "../../sources/labelled_images.ts";
import { columnsOf } from "../../sources/open_source.ts";
import { InputError } from "../../util/errors.ts";
import { bestPath } from "../checkpoint/best_checkpoint.ts";
import type { EvaluationSummary, FoundCheckpoint } from "../checkpoint/checkpoint.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { EvaluationEvent } from "../run/events.ts";
import type { RunResult } from "../run/open_run.ts";
import type { RunFolder } from "../run/run_folder.ts";

/** The images that a run trains and validates with; says how many there are. Throws `InputError` when they cannot work. */
export async function listImagesOf(
  { data, model: { imageSize, channels }, run }: {
    readonly data: LabelledDataConfig;
    readonly model: Pick<ClassifierModelConfig, "imageSize" | "channels">;
    readonly run: Pick<EvaluatedRunConfig, "seed">;
  },
  onEvent: (event: { readonly kind: "notice" | "warning"; readonly message: string }) => void,
): Promise<LabelledImages> {
  const images = await listLabelledImages(data.train, {
    fraction: data.split ?? undefined,
    seed: run.seed,
    option: "--split (data.split)",
    validation: data.val,
    columns: columnsOf(data),
    images: { imageSize, channels, ...readingOf(data) },
    onNotice: (message) => onEvent({ kind: "notice", message }),
  });
  const { classes, train, validation } = images;
  const message = `${classes.length} classes, ${train.length} images to train and ` +
    `${validation.length} to validate with`;
  onEvent({ kind: "notice", message });
  const stray = train.unlabelled + (data.split === null ? validation.unlabelled : 0);
  if (stray > 0) {
    const message = stray === 1
      ? "1 image has no class and is left out"
      : `${stray} images have no class and are left out`;
    onEvent({ kind: "warning", message });
  }
  return images;
}

/** Refuses to go on from a run with other classes. */
export function checkResumed({ path, state }: FoundCheckpoint, classes: readonly string[]): void {
  const before = state.classifier?.classes ?? [];
  if (before.join("\0") === classes.join("\0")) return;
  const differing = [
    ...classes.filter((name) => !before.includes(name)),
    ...before.filter((name) => !classes.includes(name)),
  ];
  throw new InputError(
    `The classes of ${path} are not those of the data: it has ${before.length}, the data ${classes.length}` +
      (differing.length > 0 ? `, and "${differing[0]}" is in one of them only` : ", in another order") +
      "; start a new run with another --out",
  );
}

/** What a checkpoint says of its classes and images. */
export function classifierInfo(
  { model, data }: { readonly model: ClassifierModelConfig; readonly data: LabelledDataConfig },
  { classes, titles }: Pick<LabelledImages, "classes" | "titles">,
): ClassifierInfo {
  const { imageSize, channels, pooling } = model;
  const { mean, std, cropShare, exif } = data, reading = unusualReading(data);
  return {
    classes,
    ...titles && { titles },
    imageSize,
    channels,
    mean,
    std,
    cropShare,
    exif,
    pooling,
    ...reading,
  };
}

/** The evaluations of a run: the newest, and the best so far. */
export class EvaluationRecord {
  #evaluation: EvaluationSummary | null;
  #best: EvaluationSummary | null;

  /** Goes on from what the checkpoint knows of earlier ones. */
  constructor(resumed: FoundCheckpoint | null) {
    this.#evaluation = resumed?.state.evaluation ?? null;
    this.#best = resumed?.state.best ?? null;
  }

  /** The newest evaluation; null before the first. */
  get evaluation(): EvaluationSummary | null {
    return this.#evaluation;
  }

  /** The best evaluation so far; null before the first. */
  get best(): EvaluationSummary | null {
    return this.#best;
  }

  /** Takes in an evaluation, tells of it, and gives what the log needs. */
  add(
    step: number,
    epoch: number,
    { images, top1, top5, loss }: Pick<Evaluation, "images" | "top1" | "top5" | "loss">,
    onEvent: (event: EvaluationEvent) => void,
  ): { numbers: Record<string, number | null>; isBest: boolean } {
    const evaluation = { step, images, top1, top5, loss: Number.isFinite(loss) ? loss : null };
    const isBest = this.#best === null || isBetter(evaluation, this.#best);
    this.#evaluation = evaluation;
    if (isBest) this.#best = evaluation;
    onEvent({ kind: "evaluation", ...evaluation, epoch, isBest });
    const numbers: Record<string, number | null> = { val_top1: top1, val_loss: evaluation.loss };
    if (top5 !== null) numbers.val_top5 = top5;
    return { numbers, isBest };
  }
}

/** More images right, or as many with a lower loss. */
function isBetter(evaluation: EvaluationSummary, than: EvaluationSummary): boolean {
  if (evaluation.top1 !== than.top1) return evaluation.top1 > than.top1;
  return (evaluation.loss ?? Infinity) < (than.loss ?? Infinity);
}

/** How a run ended, how well it did, and where its files are. */
export interface ClassifierResult extends RunResult {
  /** Names of the classes, in the order of the head's rows. */
  readonly classes: readonly string[];
  /** The newest evaluation; null before the first. */
  readonly evaluation: EvaluationSummary | null;
  /** The best evaluation; null before the first. */
  readonly best: EvaluationSummary | null;
  /** Folder of the best checkpoint; null before the first evaluation. */
  readonly bestCheckpoint: string | null;
}

/** The same of a run that has ended, from what its work has counted. */
export function classifierResult(
  result: RunResult,
  { classes }: LabelledImages,
  { evaluation, best, brokenFiles }: Pick<ClassifierResult, "evaluation" | "best" | "brokenFiles">,
  folder: RunFolder,
): ClassifierResult {
  return {
    ...result,
    brokenFiles: result.brokenFiles + brokenFiles,
    classes,
    evaluation,
    best,
    bestCheckpoint: best && bestPath(folder.path),
  };
}
