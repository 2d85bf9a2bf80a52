/** What a classifier is trained towards. */
import { tf } from "../deps/tfjs.ts";

/** The class of each image, or a tensor [N, classes] with each class's share of an image. */
export type Labels = tf.Tensor | ArrayLike<number>;

/**
 * Labels as shares, [N, classes]; a tensor is given back as it is.
 * @throws {RangeError} when their number or shape does not fit, or a class does not exist
 */
export function classTargets(labels: Labels, images: number, classes: number): tf.Tensor2D {
  if (labels instanceof tf.Tensor) {
    if (labels.shape.join() !== [images, classes].join()) {
      throw new RangeError(`Labels must be [${images}, ${classes}], not [${labels.shape}]`);
    }
    return labels as tf.Tensor2D;
  }
  if (labels.length !== images) throw new RangeError(`${images} images were given ${labels.length} labels`);
  const shares = new Float32Array(images * classes);
  for (let i = 0; i < images; i++) {
    const label = labels[i];
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new RangeError(`A label must be a whole number from 0 to ${classes - 1}, not ${label}`);
    }
    shares[i * classes + label] = 1;
  }
  return tf.tensor2d(shares, [images, classes], "float32");
}
