import {
  dataSource,
  either,
  interval,
  number,
  numbers,
  oneOf,
  pair,
  size,
  text,
  truth,
  whole,
} from "../../src/config/kinds.ts";
import { assertEquals } from "../deps.ts";

Deno.test("number() takes finite numbers of its range and no text", () => {
  const share = number({ above: 0, to: 1 });
  assertEquals([0.5, 1, 0, 1.1, NaN, Infinity, "0.5", null, true].map(share.parse), [
    0.5,
    1,
    ...Array(7).fill(undefined),
  ]);
});

Deno.test("number() says its range", () => {
  assertEquals(number().allowed, "a number");
  assertEquals(number({ from: 0 }).allowed, "a number from 0");
  assertEquals(number({ above: 0, below: 1 }).allowed, "a number above 0 and below 1");
  assertEquals(number({ above: 0, to: 1 }).allowed, "a number above 0 and up to 1");
  assertEquals(number({ from: 0, to: 1 }).allowed, "a number from 0 to 1");
});

Deno.test("number() reads -0 as 0", () => {
  assertEquals(Object.is(number({ from: 0 }).parse(-0), 0), true);
});

Deno.test("whole() takes whole numbers of its range, both ends included", () => {
  const kind = whole(1, 3);
  assertEquals([0, 1, 2, 3, 4, 1.5, "1", 2n].map(kind.parse), [
    undefined,
    1,
    2,
    3,
    ...Array(4).fill(undefined),
  ]);
});

Deno.test("text() takes text with something in it", () => {
  assertEquals(["a b", "", "  ", "a\0b", 3, null].map(text("a name").parse), [
    "a b",
    ...Array(5).fill(undefined),
  ]);
});

Deno.test("truth() takes no words for true and false", () => {
  assertEquals([true, false, "true", "yes", 1].map(truth().parse), [
    true,
    false,
    ...Array(3).fill(undefined),
  ]);
});

Deno.test("oneOf() takes its options, and its words have neighbours", () => {
  const kind = oneOf("a", "b");
  assertEquals(["a", "c", 3, null].map(kind.parse), ["a", undefined, undefined, undefined]);
  assertEquals(kind.words, ["a", "b"]);
  assertEquals(kind.allowed, '"a" or "b"');
  assertEquals([oneOf(1, 3, 4).allowed, oneOf(1, 3, 4).parse(3), oneOf(1, 3, 4).parse("3")], [
    "1, 3 or 4",
    3,
    undefined,
  ]);
});

Deno.test("either() takes null where an alternative is null", () => {
  const kind = either(number({ above: 0 }), oneOf(null));
  assertEquals([2, null, -1].map(kind.parse), [2, null, undefined]);
});

Deno.test("pair() takes two numbers, in order when asked for", () => {
  assertEquals([[1, 2], [2, 1], [1], [1, 2, 3], [1, "2"], 1].map(pair({ from: 0 }, true).parse), [
    [1, 2],
    ...Array(5).fill(undefined),
  ]);
  assertEquals(pair({ from: 0 }, false).parse([2, 1]), [2, 1]);
});

Deno.test("numbers() takes lists of numbers of its range only", () => {
  assertEquals([[1, 2, 3], [], [1, 0], [1, null], 1].map(numbers({ above: 0 }).parse), [
    [1, 2, 3],
    ...Array(4).fill(undefined),
  ]);
});

Deno.test("size() reads one number as both sides and writes equal sides as one number", () => {
  const kind = size(1, 100);
  assertEquals([8, [8, 16], [8, 16, 3], [8], [0, 8], "8"].map(kind.parse), [
    [8, 8],
    [8, 16],
    ...Array(4).fill(undefined),
  ]);
  assertEquals([kind.write([8, 8]), kind.write([8, 16])], [8, [8, 16]]);
});

Deno.test("interval() reads a count and a unit and writes them back", () => {
  const kind = interval();
  assertEquals(kind.parse("1 epoch"), { every: 1, unit: "epoch" });
  assertEquals(kind.parse(" 500  steps "), { every: 500, unit: "step" });
  assertEquals(kind.parse("10 minutes"), { every: 10, unit: "minute" });
  for (const wrong of ["epoch", "0 epochs", "1.5 epochs", "-1 step", "1 hour", "1epoch", 5, null]) {
    assertEquals(kind.parse(wrong), undefined, String(wrong));
  }
  assertEquals(kind.write({ every: 1, unit: "step" }), "1 step");
  assertEquals(kind.write({ every: 2, unit: "epoch" }), "2 epochs");
});

Deno.test("dataSource() takes a path, or a list of paths and weights, and writes them back", () => {
  const kind = dataSource("a path");
  assertEquals(kind.parse("photos"), "photos");
  const list = ["a.csv", { source: "b", weight: 2.5 }, { source: "c" }];
  const read = kind.parse(list);
  assertEquals(read, [
    { source: "a.csv", weight: null },
    { source: "b", weight: 2.5 },
    { source: "c", weight: null },
  ]);
  assertEquals(read && kind.write(read), ["a.csv", { source: "b", weight: 2.5 }, "c"]);
  assertEquals(kind.write("photos"), "photos");
  for (
    const wrong of [
      "",
      [],
      [""],
      [3],
      [["a"]],
      [{ source: "a", weight: 0 }],
      [{ source: "a", weight: "2" }],
      [{ weight: 1 }],
      [{ source: "a", wieght: 1 }],
      { source: "a" },
      null,
    ]
  ) assertEquals(kind.parse(wrong), undefined, JSON.stringify(wrong));
});
