/** Helpers for writing WGSL with repeated parts. */

import { texelsPerRow } from "../../gpu/textures.ts";
import type { Storage } from "../../gpu/operand.ts";

/** `count` parts made by `make(0) … make(count − 1)`, each on its own line. */
export function repeat(count: number, make: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => make(i)).join("\n");
}

/** Component of a vector of four. */
export function component(i: number): string {
  return "xyzw"[i % 4];
}

/** A float literal that WGSL reads as the same float32. */
export function float(value: number): string {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** Declares a matrix of quads that a kernel reads, without the binding's number. */
export function declareQuads(name: string, storage: Storage): string {
  if (storage === "texture") return `var ${name}_quads: texture_storage_2d<rgba32float, read>;`;
  if (storage === "half_texture") return `var ${name}_quads: texture_storage_2d<rgba16float, read>;`;
  return `var<storage, read> ${name}_quads: array<${storage === "buffer" ? "vec4f" : "vec4<f16>"}>;`;
}

/** The function `NAME(i)` that loads quad i of such a matrix; a texture gives 0 beyond the end. */
export function loadQuads(name: string, storage: Storage): string {
  const value = storage.endsWith("texture")
    ? `textureLoad(${name}_quads, vec2u(i % ${texelsPerRow}u, i / ${texelsPerRow}u))`
    : storage === "buffer"
    ? `${name}_quads[i]`
    : `vec4f(${name}_quads[i])`;
  return `fn ${name}(i: u32) -> vec4f { return ${value}; }`;
}

/** Declares a matrix of quads that a kernel writes, without the binding's number. */
export function declareResult(name: string, half = false): string {
  return `var<storage, read_write> ${name}: array<${half ? "vec4<f16>" : "vec4f"}>;`;
}

/** A quad as such a matrix stores it. */
export function asStored(value: string, half = false): string {
  return half ? `vec4<f16>(${value})` : value;
}

/** Numbers the declarations of a kernel's bindings in order. */
export function bindings(...declarations: readonly string[]): string {
  return declarations.map((line, i) => `@group(0) @binding(${i}) ${line}`).join("\n");
}

/**
 * The exact GELU and its slope: erf by Abramowitz and Stegun 7.1.26 (absolute error under 1.5e-7), whose exponential is
 * the one of the normal density.
 */
export const geluFunctions = `
fn bell4(x: vec4f) -> vec4f { return exp(-0.5 * min(x * x, vec4f(160.0))); }
fn erf4(x: vec4f, bell: vec4f) -> vec4f { // of x / sqrt(2)
  let t = 1.0 / (1.0 + ${float(0.3275911 * Math.SQRT1_2)} * abs(x));
  let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return sign(x) * (1.0 - poly * bell);
}
fn gelu4(x: vec4f) -> vec4f { return 0.5 * x * (1.0 + erf4(x, bell4(x))); }
fn gelu_slope4(x: vec4f) -> vec4f {
  let bell = bell4(x);
  return 0.5 * (1.0 + erf4(x, bell)) + x * bell * ${float(1 / Math.sqrt(2 * Math.PI))};
}`;
