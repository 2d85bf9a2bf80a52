/** Weighted nearest neighbours (Wu et al. 2018): how well classes are told apart by features as they are, without training. */
import { tf } from "../../deps/tfjs.ts";
import { readTensor } from "../../gpu/tensors.ts";
import { linear } from "../../ops/product/linear.ts";
import { InputError } from "../../util/errors.ts";

/** Vectors with a class each. */
export interface LabelledFeatures {
  /** [N, width]; of any length, as only directions count. */
  readonly values: Float32Array;
  /** Values of a vector. */
  readonly width: number;
  /** [N], the class of each. */
  readonly labels: Uint32Array;
}

/** How neighbours vote. */
export interface KnnOptions {
  /** Numbers of neighbours; each is evaluated. */
  readonly ks: readonly number[];
  /** A neighbour at cosine similarity s votes with the weight exp(s / temperature). 0.07 by default. */
  readonly temperature?: number;
  /** Number of classes. */
  readonly classes: number;
  /** Hears how many of the pairs of vectors have been compared, as a share. */
  readonly onProgress?: (share: number) => void;
}

/** How well `k` neighbours tell the classes. */
export interface KnnAccuracy {
  /** Neighbours that vote. */
  readonly k: number;
  /** Share of the queries whose class got most votes. */
  readonly top1: number;
  /** Share of them whose class was among the five with most votes; null for five classes or fewer. */
  readonly top5: number | null;
}

/** Most bytes of vectors, and of similarities, on the device at once. */
const bankBytes = 2 ** 26, scoreBytes = 2 ** 25;

/**
 * Classifies each query by the votes of its nearest neighbours in the bank, for every k. Of equal similarities the earlier
 * vector is nearer, of equal votes the earlier class wins.
 *
 * Similarities are a product on the device, a block of bank and queries at a time; the nearest are picked on the host
 * while the next block is made. Work: 2 · queries · bank · width operations; traffic to the host: 4 bytes per pair.
 * @throws {InputError} when a k is larger than the bank
 */
export async function knnAccuracy(
  bank: LabelledFeatures,
  queries: LabelledFeatures,
  { ks, temperature = 0.07, classes, onProgress = () => {} }: KnnOptions,
): Promise<KnnAccuracy[]> {
  const most = Math.max(...ks);
  if (most > bank.labels.length) {
    throw new InputError(
      `k ${most} is more than the ${bank.labels.length} images that there are to be near to`,
    );
  }
  const nearest = new Nearest(queries.labels.length, most);
  const { width } = bank;
  const bankRows = 4 * Math.max(1, Math.floor(bankBytes / (16 * width)));
  const queryRows = Math.max(1, Math.floor(scoreBytes / (4 * Math.min(bankRows, bank.labels.length + 3))));
  const [bankUnit, queryUnit] = [directions(bank), directions(queries)];
  let picking: Promise<void> = Promise.resolve();
  try {
    for (const block of blocksOf(bank.labels.length, bankRows)) {
      const keys = rowsOf(bankUnit, width, block, 4);
      for (const part of blocksOf(queries.labels.length, queryRows)) {
        const rows = rowsOf(queryUnit, width, part, 1);
        const scores = tf.tidy(() => linear(rows, keys, tf.zeros([keys.shape[0]])));
        rows.dispose();
        const read = readTensor(scores);
        read.catch(() => {}); // `picking` throws it
        const before = picking;
        picking = read.then(async (values) => {
          scores.dispose();
          await before;
          nearest.offer(values, part, block);
          onProgress(
            (block.first * queries.labels.length + block.count * (part.first + part.count)) /
              (bank.labels.length * queries.labels.length),
          );
        });
        picking.catch(() => {}); // as awaited below
        await before; // one block is on its way, and no more
      }
      keys.dispose();
    }
  } finally {
    await picking;
  }
  return tally(nearest, bank.labels, queries.labels, { ks, temperature, classes });
}

/** Consecutive rows. */
interface Block {
  readonly first: number;
  readonly count: number;
}

function* blocksOf(rows: number, most: number): Generator<Block> {
  for (let first = 0; first < rows; first += most) yield { first, count: Math.min(most, rows - first) };
}

/** The vectors at length 1; one of length 0 stays. */
function directions({ values, width }: LabelledFeatures): Float32Array {
  const unit = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += width) {
    let squares = 0;
    for (let i = start; i < start + width; i++) squares += values[i] * values[i];
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let i = start; i < start + width; i++) unit[i] = values[i] * scale;
  }
  return unit;
}

/** Some rows on the device, filled up with zeros to a multiple. */
function rowsOf(values: Float32Array, width: number, { first, count }: Block, multiple: number): tf.Tensor2D {
  const rows = Math.ceil(count / multiple) * multiple;
  const own = values.subarray(first * width, (first + count) * width);
  if (rows === count) return tf.tensor2d(own, [rows, width], "float32");
  const filled = new Float32Array(rows * width);
  filled.set(own);
  return tf.tensor2d(filled, [rows, width], "float32");
}

/** The vectors of the bank that are nearest to each query, nearest first. */
class Nearest {
  /** [queries, k]: similarities. */
  readonly scores: Float32Array;
  /** [queries, k]: their places in the bank. */
  readonly places: Uint32Array;

  constructor(readonly queries: number, readonly k: number) {
    this.scores = new Float32Array(queries * k).fill(-Infinity);
    this.places = new Uint32Array(queries * k);
  }

  /** Takes in similarities [part.count, block.count and what it was filled up with]. Blocks come in the bank's order. */
  offer(values: Float32Array, part: Block, block: Block): void {
    const { k, scores } = this;
    const stride = values.length / part.count;
    for (let row = 0; row < part.count; row++) {
      const last = (part.first + row + 1) * k - 1;
      let worst = scores[last];
      for (let i = 0, at = row * stride; i < block.count; i++, at++) {
        const score = values[at];
        if (score > worst) {
          this.#insert(last, score, block.first + i);
          worst = scores[last];
        }
      }
    }
  }

  #insert(last: number, score: number, place: number): void {
    const { scores, places, k } = this;
    let to = last;
    for (const first = last - k + 1; to > first && scores[to - 1] < score; to--) {
      scores[to] = scores[to - 1];
      places[to] = places[to - 1];
    }
    scores[to] = score;
    places[to] = place;
  }
}

/** Has the nearest vote. A class without votes is never right. */
function tally(
  { queries, k: most, scores, places }: Nearest,
  bankLabels: Uint32Array,
  labels: Uint32Array,
  { ks, temperature, classes }: Required<Omit<KnnOptions, "onProgress">>,
): KnnAccuracy[] {
  const first = new Map(ks.map((k) => [k, 0])), amongFive = new Map(ks.map((k) => [k, 0]));
  const votes = new Float64Array(classes);
  for (let query = 0; query < queries; query++) {
    votes.fill(0);
    const start = query * most;
    for (let n = 0; n < most; n++) {
      // Relative to the nearest, so that no temperature is too low; what order the votes are in stays the same.
      const weight = Math.exp((scores[start + n] - scores[start]) / temperature);
      votes[bankLabels[places[start + n]]] += weight;
      if (!first.has(n + 1)) continue;
      const rank = rankOf(labels[query], votes);
      if (rank < 1) first.set(n + 1, (first.get(n + 1) ?? 0) + 1);
      if (rank < 5) amongFive.set(n + 1, (amongFive.get(n + 1) ?? 0) + 1);
    }
  }
  return ks.map((k) => ({
    k,
    top1: (first.get(k) ?? 0) / queries,
    top5: classes > 5 ? (amongFive.get(k) ?? 0) / queries : null,
  }));
}

/** How many classes come before this one. */
function rankOf(label: number, votes: Float64Array): number {
  const own = votes[label];
  if (!(own > 0)) return Infinity;
  let better = 0;
  for (let k = 0; k < votes.length; k++) if (votes[k] > own || votes[k] === own && k < label) better++;
  return better;
}
