import { expandPattern, isPattern } from "../../src/storage/pattern.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../deps.ts";

Deno.test("expandPattern() expands ranges and lists as bash does", () => {
  const cases: [string, string][] = [
    ["x.tar", "x.tar"],
    ["s-{08..11}.tar", "s-08.tar s-09.tar s-10.tar s-11.tar"],
    ["{8..11}", "8 9 10 11"],
    ["{0..01}", "00 01"],
    ["{3..1}", "3 2 1"],
    ["{0..10..4}", "0 4 8"],
    ["{10..0..-5}", "10 5 0"],
    ["{-02..1}", "-02 -01 000 001"],
    ["{-1..1}", "-1 0 1"],
    ["{a..e..2}", "a c e"],
    ["{train,val}/{0..1}", "train/0 train/1 val/0 val/1"],
    ["a{,.bak}", "a a.bak"],
    ["{x,y{1..2},{p,q}r}z", "xz y1z y2z prz qrz"],
    ["{a,b},c", "a,c b,c"],
    ["*-{1,2}", "*-1 *-2"],
  ];
  for (const [pattern, expected] of cases) assertEquals(expandPattern(pattern).join(" "), expected, pattern);
});

Deno.test("expandPattern() names a million shards, in order", () => {
  const names = expandPattern("{000..999}/{000..999}");
  assertEquals(names.length, 1_000_000);
  assertEquals([names[0], names[1000], names[999_999]], ["000/000", "001/000", "999/999"]);
});

Deno.test("expandPattern() refuses what is neither a range nor a list", () => {
  const refused: [string, string][] = [
    ["x{000..}", "{000..}, which is neither"],
    ["x{..9}", "{..9}"],
    ["x{}", "{}"],
    ["x{a}", "{a}"],
    ["x{1.5..3}", "neither"],
    ["x{0..5", "not closed"],
    ["x{a,b", "not closed"],
    ["x0..5}", "not opened"],
    ["{a,{b}", "{b}"],
    ["{a..3}", "mixes a letter and a number"],
    ["{1..9..0}", "step of 0"],
    ["{1..99999999999999999999}", "too large"],
    ["{0..1000000}", "1,000,001 addresses; 1,000,000 are allowed"],
    ["{1..100000}{1..100000}{1..100000}", "addresses"],
    ["{{1..9000000},a}", "addresses"],
  ];
  for (const [pattern, expected] of refused) {
    assertStringIncludes(assertThrows(() => expandPattern(pattern), InputError).message, expected);
  }
});

Deno.test("isPattern() tells patterns from names", () => {
  assertEquals(["a/b.tar", "a*", "{0..1}", "s3://b/k-1"].map(isPattern), [false, true, true, false]);
});
