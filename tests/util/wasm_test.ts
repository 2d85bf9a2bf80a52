import { type I32, i64, v128, v128Of16, v128Of32 } from "../../src/util/wasm/values.ts";
import { WasmModule } from "../../src/util/wasm/module.ts";
import type { WasmFunction } from "../../src/util/wasm/module.ts";
import { WasmProgram } from "../../src/util/wasm/program.ts";
import { assertEquals, assertThrows } from "../deps.ts";

/** Runs one function of two parameters. */
function run(write: (f: WasmFunction, a: I32, b: I32) => void, a = 0, b = 0): number {
  const module = new WasmModule();
  module.add("run", write);
  return new WasmProgram(module).function("run")(a, b);
}

/** The 16 bytes that a function leaves at address 0. */
function bytesOf(write: (f: WasmFunction) => void): number[] {
  const module = new WasmModule();
  module.add("run", write);
  const program = new WasmProgram(module);
  program.function("run")();
  return [...program.bytes(0, 16)];
}

Deno.test("integer expressions compute as JavaScript's 32-bit operators do", () => {
  const pairs = [[7, 3], [-7, 3], [2 ** 31 - 1, 1], [-(2 ** 31), 31], [0, 0], [1000, -1000]];
  const cases: [name: string, write: (a: I32, b: I32) => I32, expected: (a: number, b: number) => number][] =
    [
      ["add", (a, b) => a.add(b), (a, b) => (a + b) | 0],
      ["sub", (a, b) => a.sub(b), (a, b) => (a - b) | 0],
      ["mul", (a, b) => a.mul(b), Math.imul],
      ["and", (a, b) => a.and(b), (a, b) => a & b],
      ["or", (a, b) => a.or(b), (a, b) => a | b],
      ["shl", (a, b) => a.shl(b), (a, b) => a << b],
      ["shr", (a, b) => a.shr(b), (a, b) => a >> b],
      ["shrU", (a, b) => a.shrU(b), (a, b) => (a >>> b) | 0],
      ["eq", (a, b) => a.eq(b), (a, b) => Number(a === b)],
      ["ne", (a, b) => a.ne(b), (a, b) => Number(a !== b)],
      ["lt", (a, b) => a.lt(b), (a, b) => Number(a < b)],
      ["gt", (a, b) => a.gt(b), (a, b) => Number(a > b)],
      ["le", (a, b) => a.le(b), (a, b) => Number(a <= b)],
      ["ge", (a, b) => a.ge(b), (a, b) => Number(a >= b)],
      ["not", (a) => a.not(), (a) => Number(a === 0)],
      ["select", (a, b) => a.select(b, 5), (a, b) => (a === 0 ? 5 : b)],
    ];
  for (const [name, write, expected] of cases) {
    for (const [a, b] of pairs) {
      assertEquals(run((f, x, y) => f.return(write(x, y)), a, b), expected(a, b), `${a} ${name} ${b}`);
    }
  }
});

Deno.test("constants of every length come back", () => {
  for (const value of [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8193, 2 ** 31 - 1, -(2 ** 31)]) {
    assertEquals(run((f) => f.return(value)), value);
    assertEquals(run((f) => f.return(i64(BigInt(value) << 32n).shrU(i64(32)).toI32())), value);
  }
});

Deno.test("loops, branches and calls go where they are written to go", () => {
  const countTo = (f: WasmFunction, limit: I32) => {
    const sum = f.i32(0);
    f.for(0, 100, (i) => {
      f.for(0, 100, (j) => f.set(sum, sum.add(j)));
      f.if(i.and(1), () => f.set(sum, sum.add(1)), () => f.set(sum, sum.sub(1)));
    }, 3);
    f.while(() => sum.gt(limit), (end) => {
      f.set(sum, sum.sub(7));
      f.leave(end, sum.lt(160_000));
    });
    f.return(sum);
  };
  assertEquals(run(countTo, 0), 159_998);
  assertEquals(run(countTo, 168_000), 167_999);

  const module = new WasmModule();
  const double = module.add("double", (f, a: I32) => f.return(a.add(a)));
  module.add("run", (f, a: I32) => f.return(f.call(double, f.call(double, a.add(1)))));
  const program = new WasmProgram(module);
  assertEquals(program.function("run")(4), 20);
  assertThrows(() => program.function("runs"), Error, "no function runs");
  assertThrows(() => run((f, a) => f.set(a.add(1), 2)), Error, "only a local can be assigned to");
});

Deno.test("memory grows, keeps what it holds, and is not read beyond its end", () => {
  const module = new WasmModule();
  module.add("sum", (f, from: I32, bytes: I32) => {
    const sum = f.i32(0);
    f.for(0, bytes, (i) => f.set(sum, sum.add(from.add(i).loadU8())));
    f.return(sum);
  });
  const program = new WasmProgram(module);
  program.bytes(0, 3).set([1, 2, 3]);
  program.reserve(200_000);
  assertEquals(program.function("sum")(0, 200_000), 6);
  assertThrows(() => program.function("sum")(262_100, 100), WebAssembly.RuntimeError);
});

Deno.test("vectors keep their lanes apart", () => {
  const at = (f: WasmFunction) => f.i32(0);
  const lanes16 = (...values: number[]) => [...new Uint8Array(new Int16Array(values).buffer)];
  const lanes32 = (...values: number[]) => [...new Uint8Array(new Int32Array(values).buffer)];
  assertEquals(
    bytesOf((f) => f.store128(at(f), v128Of16(1, -2, 300, 4).dot16(v128Of16(10, 100, 1000, -1)))),
    lanes32(-190, 299_996, -190, 299_996),
  );
  assertEquals(
    bytesOf((f) =>
      f.store128(at(f), v128Of32(70_000, -5, 6, -70_000).narrow32(v128Of32(1).shl32(4).sub32(v128Of32(20))))
    ),
    lanes16(32767, -5, 6, -32768, -4, -4, -4, -4),
  );
  const bytes = Array.from({ length: 16 }, (_, i) => i * 17);
  assertEquals(
    bytesOf((f) =>
      f.store128(at(f), v128(bytes).shuffle(v128(bytes), [15, 31, ...bytes.slice(0, 14).fill(1)]))
    ),
    [255, 255, ...Array(14).fill(17)],
  );
  assertEquals(
    bytesOf((f) =>
      f.store128(at(f), v128(bytes).extendHigh8U().add16(v128Of16(-200)).narrow16U(v128(bytes)))
    ),
    [...[8, 9, 10, 11, 12, 13, 14, 15].map((i) => Math.max(0, i * 17 - 200)), ...Array(8)].map((value, i) =>
      i < 8 ? value : bytes[(i - 8) * 2 + 1] > 127 ? 0 : 255
    ),
  );
});
