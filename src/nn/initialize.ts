/** First values of parameters: the statistics of the official initialisation. */
import { Random } from "../util/random.ts";

/** Fills an array in place. */
export type Fill = (values: Float32Array) => void;

/** Every value the same. */
export function constant(value: number): Fill {
  return (values) => void values.fill(value);
}

/** Values of a table computed elsewhere. */
export function table(source: ArrayLike<number>): Fill {
  return (values) => values.set(source);
}

/** U(±bound). */
export function uniform(random: Random, bound: number): Fill {
  return (values) => {
    for (let i = 0; i < values.length; i++) values[i] = random.uniform(-bound, bound);
  };
}

/** Xavier (Glorot and Bengio 2010): U(±√(6 / (in + out))). */
export function xavierUniform(random: Random, inputs: number, outputs: number): Fill {
  return uniform(random, Math.sqrt(6 / (inputs + outputs)));
}

/** N(0, deviation²). */
export function normal(random: Random, deviation: number): Fill {
  return (values) => {
    for (let i = 0; i < values.length; i++) values[i] = random.normal(0, deviation);
  };
}
