/** The resolved configuration: what the YAML, `--set` and the flags come to. Every command shares these sections. */

/** A length that may differ per direction: `[height, width]`. */
export type Size = readonly [height: number, width: number];

/** Pixels of a batch: bytes, of which 255 counts as 1, or floats, of which 1 does. */
export type PixelValues = Uint8Array | Float32Array;

/** How the values of image files are taken: part of `data:`. */
export interface ReadingConfig {
  /** Whether the orientation that a file asks for is applied. */
  readonly exif: "apply" | "ignore";
  /**
   * What pixels are made of: `uint8`, `float32`, which keeps more than 8 bits, or `auto`, which is `uint8` and refuses files that
   * hold more, so that no depth is lost unnoticed.
   */
  readonly values: "auto" | "uint8" | "float32";
  /** The bands that make the channels, counted from 1; null for all, or the colours. */
  readonly bands: readonly number[] | null;
  /** Values of the files that count as 0 and 1; null for 0 and an integer type's largest, and 0 and 1 of floats. */
  readonly range: readonly [low: number, high: number] | null;
  /** What decodes JPEGs: WebAssembly, or the system's libturbojpeg in this process. */
  readonly decoder: "sandboxed" | "native";
  /** Images that declare more pixels are refused before anything is decoded. */
  readonly maxPixels: number;
}

/** Most pixels that are decoded unless told otherwise: Pillow's limit against decompression bombs (twice 2^28 / 3). */
export const MAX_PIXELS = 178_956_970;

/** {@linkcode ReadingConfig} where it may be left out: `uint8`, all bands, the types' own range, sandboxed. */
export interface ReadingOptions extends Pick<ReadingConfig, "exif">, Partial<Omit<ReadingConfig, "exif">> {}

/** The shape of one stack of transformer blocks. */
export interface TransformerConfig {
  /** Token width; a multiple of 4 (the position embedding) and of `heads`. */
  readonly width: number;
  /** Number of blocks, at least 1. */
  readonly depth: number;
  /** Attention heads. */
  readonly heads: number;
  /** Hidden width of the MLP over `width`; fractions are allowed when the product is a whole number. */
  readonly mlpRatio: number;
}

/** `model:` */
export interface ModelConfig {
  /** Preset name the encoder came from, or "custom". */
  readonly encoderName: string;
  /** The blocks that see the kept patches. */
  readonly encoder: TransformerConfig;
  /** The blocks that see every position and predict the removed patches. */
  readonly decoder: TransformerConfig;
  /** Size of the images after cropping, in pixels; a multiple of `patchSize`. */
  readonly imageSize: Size;
  /** Size of a patch in pixels. */
  readonly patchSize: Size;
  /** 1 (grayscale), 3 (RGB), 4 (RGB and alpha), or as many as the images have bands. */
  readonly channels: number;
  /** Where mask tokens enter: `decoder` is MAE, `encoder` the ablation of the paper's table 1c. */
  readonly maskTokens: "decoder" | "encoder";
}

/** `mask:` */
export interface MaskConfig {
  /** Share of patches removed, in (0, 1). */
  readonly ratio: number;
  /** Which patches are removed: any, a connected block, or three of each square of four. */
  readonly sampling: "random" | "block" | "grid";
}

/** `target:` */
export interface TargetConfig {
  /** What the decoder predicts: the values of the removed pixels. */
  readonly kind: "pixels";
  /** Normalise each patch of the target by its own mean and deviation. */
  readonly normalize: boolean;
}

/** `data.augment:` */
export interface AugmentConfig {
  /** Area of the random crop as a share of the image's: `[low, high]`; `[1, 1]` with `cropRatio` `[1, 1]` crops the largest square. */
  readonly cropScale: readonly [number, number];
  /** Aspect ratio (width over height) of the random crop before resizing: `[low, high]`. */
  readonly cropRatio: readonly [number, number];
  /** Mirror half of the images. */
  readonly flip: boolean;
}

/** One of several data sets. */
export interface DataEntry {
  /** A folder, an image, or a manifest. */
  readonly source: string;
  /** Its share of the images that are drawn, over the sum of all weights; null where no data set has one. */
  readonly weight: number | null;
}

/** A data set, or several. */
export type DataSource = string | readonly DataEntry[];

/** `data.shuffle:`, for data in shards. */
export interface ShuffleConfig {
  /** Samples in the buffer from which the next one is drawn at random; 1 keeps the order of reading. */
  readonly buffer: number;
  /** Shards that are read in turn. */
  readonly shards: number;
}

/** `data:` */
export interface DataConfig extends ReadingConfig {
  /** The images: a folder, searched recursively, an image, a manifest, or several of these. */
  readonly train: DataSource;
  /** The column of paths in manifests; null finds it by its name. */
  readonly pathColumn: string | null;
  /** The column of labels in manifests; null finds it by its name. */
  readonly labelColumn: string | null;
  /** What is done to an image each time it is drawn. */
  readonly augment: AugmentConfig;
  /** Data workers; `auto` is the number of cores, at most 8; 0 decodes in the training thread. */
  readonly workers: number | "auto";
  /** How often each image is drawn per epoch, each time cropped anew; `auto` is the least that fills one optimizer step. */
  readonly repeat: number | "auto";
  /** What an image that cannot be read does: another takes its place, or it ends the run. */
  readonly onError: "skip" | "stop";
  /** Share of the images looked at, and of 1,000 at least, that may be unreadable before the run ends. */
  readonly maxBadShare: number;
  /** How samples of shards are mixed; single files are in random order without it. */
  readonly shuffle: ShuffleConfig;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std: readonly number[];
}

/** `optim:` */
export interface OptimConfig {
  /** Images per micro-batch. */
  readonly batchSize: number;
  /** Micro-batches per optimizer step. */
  readonly accumulate: number;
  /** Passes over the data, each image drawn `data.repeat` times. */
  readonly epochs: number;
  /** Epochs, fractions allowed, in which the learning rate rises linearly from 0. */
  readonly warmupEpochs: number;
  /** Base learning rate: lr = blr × batchSize × accumulate / 256, unless `lr` is given. */
  readonly blr: number;
  /** Learning rate itself; overrides `blr`. */
  readonly lr: number | null;
  /** Learning rate at the end of the half cosine. */
  readonly minLr: number;
  /** Decay rates of AdamW's first and second moment. */
  readonly betas: readonly [number, number];
  /** Added to the root of AdamW's second moment. */
  readonly eps: number;
  /** Decoupled weight decay, on everything but biases and other 1-D parameters. */
  readonly weightDecay: number;
  /** Largest global gradient norm; null is no clipping. */
  readonly clipNorm: number | null;
  /** Non-finite steps in a row that end the run. */
  readonly maxBadSteps: number;
}

/** How often something happens: every so many optimizer steps, epochs or minutes. */
export interface Interval {
  /** How many of the unit; a whole number from 1. */
  readonly every: number;
  /** What is counted. */
  readonly unit: "step" | "epoch" | "minute";
}

/** `run:` */
export interface RunConfig {
  /** Folder of the run: configuration, metrics, checkpoints, figures. */
  readonly out: string;
  /** Seed of every random number of the run; a whole number from 0 to 2^53 - 1. */
  readonly seed: number;
  /** Number format of what the blocks make on the way; parameters and sums are always f32. */
  readonly precision: "f32" | "f16";
  /** Recompute blocks on the way back in place of keeping what they made: less memory, a third more work. */
  readonly remat: boolean;
  /** What computes; `auto` is WebGPU where there is an adapter, else the CPU fallback. */
  readonly backend: "auto" | "webgpu" | "cpu";
  /** Optimizer steps between two records of metrics. */
  readonly logEvery: number;
  /** How often a checkpoint is written. */
  readonly checkpointEvery: Interval;
  /** Checkpoints kept, newest first. */
  readonly keep: number;
  /** Images in the reconstruction figure; 0 draws none. */
  readonly figureImages: number;
}

/** `probe:` of pre-training: a look at labelled images now and then. */
export interface ProbeConfig {
  /** Folder of labelled images, as for a linear probe. */
  readonly data: string;
  /** Share of each class's images to classify, where the data set has no folder for it; else null. */
  readonly split: number | null;
  /** Epochs between two looks; the end of the run is always one. */
  readonly every: number;
  /** Nearest neighbours that vote. */
  readonly k: number;
  /** What is compared. */
  readonly pooling: "class_token" | "average";
}

/** Everything `mae pretrain` needs. */
export interface PretrainConfig {
  /** The masked autoencoder. */
  readonly model: ModelConfig;
  /** Which patches are removed. */
  readonly mask: MaskConfig;
  /** What is predicted. */
  readonly target: TargetConfig;
  /** The images. */
  readonly data: DataConfig;
  /** Schedule and optimizer. */
  readonly optim: OptimConfig;
  /** Where and how it runs. */
  readonly run: RunConfig;
  /** Whether features are tried on labelled images now and then; null leaves it out. */
  readonly probe: ProbeConfig | null;
}
