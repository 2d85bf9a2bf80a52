/** A step of an exponential moving average, in place. */
import { tf } from "../../deps/tfjs.ts";
import { launchInPlace } from "../templates/in_place_kernel.ts";
import { type Bodies, chooseBody } from "../operation.ts";

type Body = (average: tf.Variable, value: tf.Tensor, decay: number) => void;

const bodies: Bodies<Body> = {
  name: "movingAverage",
  composed(average, value, decay) {
    const next = tf.tidy(() => tf.add(tf.mul(average, decay), tf.mul(value, 1 - decay)));
    average.assign(next);
    next.dispose();
  },
  /** Traffic: 8 bytes read and 4 written per value; three operations. */
  kernel: (average, value, decay) =>
    launchInPlace({
      name: "moving_average",
      reads: { value },
      changes: { average },
      numbers: { decay, rest: 1 - decay },
      code: "  next_average[i] = average(i) * settings.decay + value(i) * settings.rest;",
    }),
};

/**
 * average ← decay · average + (1 − decay) · value
 * @param value as many values as the average has
 */
export function movingAverage(average: tf.Variable, value: tf.Tensor, decay: number): void {
  chooseBody(bodies)(average, value, decay);
}
