/** Cutting a product whose matrices exceed the device's bindings into blocks that fit. */
import { DeviceError, formatBytes } from "../../gpu/guards.ts";
import type { ProductForm, ProductSizes } from "./product_form.ts";

/** Some rows of a matrix. */
export interface Rows {
  /** The first. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

/** Rows and columns of C, and the terms of its sums in as many launches as they need. */
export interface ProductBlock {
  /** Rows of C. */
  readonly m: Rows;
  /** Columns of C. */
  readonly n: Rows;
  /** Terms, in order; each after the first adds to what is there. */
  readonly k: readonly Rows[];
}

/** What a device binds. */
export interface BindingLimits {
  /** Most bytes of a binding. */
  readonly bindingBytes: number;
  /** Bytes of a value of A, B and C. */
  readonly bytesPerValue: readonly [a: number, b: number, c: number];
}

/** Blocks begin at multiples of so many rows: of 4 values or more and 2 bytes each, that is where bindings may begin. */
const rowsPerUnit = 32;
/** Units of a block's rows that are good for every tile. */
const unitsPerTile = 4;
/** Most rows that one dispatch of the shortest tiles covers. */
const mostRows = 65_535 * 16;

/**
 * The blocks of a product. Matrices are cut into blocks of their rows, as they lie in memory: A and C along m (for TN, A
 * along k), B along k, for NT along n.
 * @throws {DeviceError} when not even a few rows fit
 */
export function productBlocks(
  form: ProductForm,
  { m, n, k }: Pick<ProductSizes, "m" | "n" | "k">,
  { bindingBytes, bytesPerValue }: BindingLimits,
): ProductBlock[] {
  const widths = [form === "TN" ? m : k, form === "NT" ? k : n, n];
  const [a, b, c] = widths.map((width, i) => Math.floor(bindingBytes / (width * bytesPerValue[i])));
  const cut = (total: number, most: number): Rows[] => {
    if (total <= most) return [{ first: 0, count: total }];
    const units = Math.floor(most / rowsPerUnit);
    if (units === 0) {
      throw new DeviceError(
        `A product of ${m} x ${k} and ${k} x ${n} values cannot be cut to fit this device, which binds ${
          formatBytes(bindingBytes)
        } at once; lower the width of the model`,
      );
    }
    const rows = rowsPerUnit * (units > unitsPerTile ? units - units % unitsPerTile : units);
    return Array.from({ length: Math.ceil(total / rows) }, (_, i) => {
      const first = i * rows;
      return { first, count: Math.min(rows, total - first) };
    });
  };
  const alongM = cut(m, Math.min(mostRows, form === "TN" ? c : Math.min(a, c)));
  const alongN = cut(n, form === "NT" ? b : Infinity);
  const alongK = cut(k, form === "NT" ? Infinity : form === "TN" ? Math.min(a, b) : b);
  return alongM.flatMap((rows) => alongN.map((columns) => ({ m: rows, n: columns, k: alongK })));
}
