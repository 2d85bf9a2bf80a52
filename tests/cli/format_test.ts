import { count, duration, loss, percent, plural, rate, storage } from "../../src/cli/format.ts";
import { assertEquals } from "../deps.ts";

Deno.test("duration() shows the two largest units", () => {
  assertEquals([0, 48.4, 59.6, 80, 3600, 7500, 93_600].map(duration), [
    "0 s",
    "48 s",
    "1 min 00 s",
    "1 min 20 s",
    "1 h 00 min",
    "2 h 05 min",
    "1 d 02 h",
  ]);
  assertEquals([NaN, Infinity, -1].map(duration), ["unknown", "unknown", "unknown"]);
});

Deno.test("count() shows thousands and millions", () => {
  assertEquals([950, 9999, 12_345, 111_907_840].map(count), ["950", "9999", "12.3 k", "111.9 M"]);
});

Deno.test("plural() agrees with its number", () => {
  assertEquals([plural(1, "image"), plural(0, "image"), plural(2, "entry", "entries")], [
    "1 image",
    "0 images",
    "2 entries",
  ]);
});

Deno.test("percent(), loss() and rate() round", () => {
  assertEquals([percent(0.034), loss(0.43126), loss(null), rate(312.7), rate(3.14159)], [
    "3 %",
    "0.4313",
    "-",
    "313",
    "3.14",
  ]);
});

Deno.test("storage() shows small sizes exactly", () => {
  assertEquals([storage(8), storage(4096), storage(3 * 2 ** 20)], ["8 bytes", "4,096 bytes", "3 MiB"]);
});
