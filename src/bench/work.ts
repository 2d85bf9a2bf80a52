/**
 * How much a kernel has to do, whatever way it goes about it: the operations of the mathematics, and every input read
 * once and every output written once. What a kernel does beyond that (copies into textures, scores computed again) makes
 * its rate lower, as it should.
 */
import { classifierUses } from "./classifier_shapes.ts";
import type { BenchConfig, BenchWork } from "./configurations.ts";
import { type KernelShape, kernelUses, type TokensShape, type UpdateShape } from "./shapes.ts";

/** What bounds a kernel, and how much of it there is. */
export interface Work {
  /** Operations for `arithmetic`, bytes for `memory`. */
  readonly bound: "arithmetic" | "memory";
  /** How many. */
  readonly amount: number;
}

/** The work of one run of a kernel. */
export function workOf(shape: KernelShape): Work {
  switch (shape.kind) {
    case "product":
      return arithmetic(2 * shape.m * shape.k * shape.n);
    case "attention": {
      const { direction, images, tokens, heads, headWidth } = shape;
      // Two products forward; five backward, the scores among them, which no kernel keeps.
      const products = direction === "forward" ? 2 : 5;
      return arithmetic(products * 2 * images * heads * tokens * tokens * headWidth);
    }
    case "layer norm":
      return memory(
        (shape.direction === "forward" ? 4 + (shape.half ? 2 : 4) : 12) * shape.rows * shape.width,
      );
    case "pixel loss":
      return memory(
        (shape.direction === "forward" ? 2 : 3) * 4 * shape.images * shape.patches * shape.values,
      );
    case "adamw":
      // The norm reads the gradient; the update reads it again, and reads and writes parameter and two moments.
      return memory(32 * valuesOf(shape));
    case "tokens":
      return memory(4 * movedValues(shape));
  }
}

function valuesOf({ matrices }: UpdateShape): number {
  return matrices.reduce((sum, [rows, columns]) => sum + rows * columns, 0);
}

/** Values read and written; the indices and single vectors do not count. */
function movedValues({ step, direction, images, patches, kept, width }: TokensShape): number {
  const perImage = {
    take: 2 * kept,
    // Tokens and their positions in, the sequence out; back, the sequence in and the tokens out.
    assemble: direction === "forward" ? 3 * kept + 2 : 2 * kept + 1,
    scatter: 1 + kept + 1 + patches,
  }[step];
  const positions = step === "scatter" && direction === "forward" ? 1 + patches : 0; // the same for every image
  return (images * perImage + positions) * width;
}

function arithmetic(amount: number): Work {
  return { bound: "arithmetic", amount };
}

function memory(amount: number): Work {
  return { bound: "memory", amount };
}

/** Operations of the products and attentions of a whole step, which are nearly all of it; those done twice count once. */
export function stepOperations(config: BenchConfig, work: BenchWork = "pretrain"): number {
  const once = { ...config, remat: false };
  const uses = work === "pretrain" ? kernelUses(once) : classifierUses(once, work);
  return uses.reduce((sum, { shape, count }) => {
    const { bound, amount } = workOf(shape);
    return bound === "arithmetic" ? sum + count * amount : sum;
  }, 0);
}

/** A kernel in words: "product NT, bias, gelu" and "400 x 768 x 3072". */
export function describe(shape: KernelShape): { name: string; sizes: string } {
  switch (shape.kind) {
    case "product": {
      const epilogue = shape.epilogue === "none" ? "" : `, ${shape.epilogue}`;
      const halves = shape.halves === "" ? "" : `, halves ${shape.halves.toUpperCase()}`;
      return {
        name: `product ${shape.form}${epilogue}${halves}`,
        sizes: sizesText(shape.m, shape.k, shape.n),
      };
    }
    case "layer norm":
      return {
        name: `layer norm ${shape.direction}${halfText(shape)}`,
        sizes: sizesText(shape.rows, shape.width),
      };
    case "attention": {
      const { direction, images, heads, tokens, headWidth } = shape;
      return {
        name: `attention ${direction}${halfText(shape)}`,
        sizes: sizesText(images, heads, tokens, headWidth),
      };
    }
    case "pixel loss": {
      const { direction, images, patches, values } = shape;
      return { name: `pixel loss ${direction}`, sizes: sizesText(images, patches, values) };
    }
    case "adamw":
      return { name: "adamw with global norm", sizes: `${valuesOf(shape)} in ${shape.matrices.length}` };
    case "tokens": {
      const { step, direction, images, patches, kept, width } = shape;
      const sizes = step === "scatter" ? [images, 1 + patches, width] : [images, kept, width];
      return { name: `${step} tokens ${direction}`, sizes: sizesText(...sizes) };
    }
  }
}

function halfText({ half }: { half: boolean }): string {
  return half ? ", half" : "";
}

function sizesText(...sizes: number[]): string {
  return sizes.join(" x ");
}
