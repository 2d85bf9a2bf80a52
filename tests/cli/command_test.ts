import { type Arguments, type Command, parseArguments } from "../../src/cli/command.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertThrows } from "../deps.ts";

const command: Command = {
  name: "try",
  summary: "",
  flags: [
    { name: "count", value: "N", help: "" },
    { name: "set", value: "K=V", repeatable: true, help: "" },
    { name: "quiet", help: "" },
  ],
  run: () => Promise.resolve(0),
};
const withArgument: Command = { ...command, argument: { name: "FILE", help: "a file" } };

function parse(...args: string[]): Arguments {
  return parseArguments(command, args);
}

function refusal(...args: string[]): string {
  return assertThrows(() => parse(...args), InputError).message;
}

Deno.test("parseArguments() takes values after a space and after an equals sign", () => {
  assertEquals(parse("--count", "3").value("count"), "3");
  assertEquals(parse("--count=3").value("count"), "3");
  assertEquals(parse("--count", "-3").value("count"), "-3");
  assertEquals(parse("--set=a=b=c").value("set"), "a=b=c");
  assertEquals(parse("--count", "007").value("count"), "007");
});

Deno.test("parseArguments() keeps every value of a flag in order, and the last one counts", () => {
  const args = parse("--set", "a=1", "--quiet", "--set=b=2", "--count=1", "--count=2");
  assertEquals(args.values("set"), ["a=1", "b=2"]);
  assertEquals(args.value("count"), "2");
  assertEquals([args.has("quiet"), args.has("debug")], [true, false]);
});

Deno.test("parseArguments() gives nothing for flags that are not there", () => {
  const args = parse();
  assertEquals([args.value("count"), args.values("set"), args.has("quiet")], [undefined, [], false]);
});

Deno.test("parseArguments() takes one argument where the command has one", () => {
  assertEquals(parseArguments(withArgument, ["a.bin", "--quiet"]).argument, "a.bin");
  assertEquals(parseArguments(withArgument, ["--", "--odd-name"]).argument, "--odd-name");
  assertEquals(parseArguments(withArgument, ["123"]).argument, "123");
  assertThrows(() => parseArguments(withArgument, []), InputError, "mae try needs a FILE: a file");
  assertThrows(() => parseArguments(withArgument, ["a", "b"]), InputError, 'Unexpected argument "b"');
});

Deno.test("parseArguments() refuses unknown flags with the nearest one", () => {
  assertEquals(refusal("--cuont", "3"), 'Unknown flag --cuont; see mae try --help; did you mean "--count"?');
  assertEquals(refusal("--quite"), 'Unknown flag --quite; see mae try --help; did you mean "--quiet"?');
  assertEquals(refusal("--zzzzzzzz=3"), "Unknown flag --zzzzzzzz; see mae try --help");
  assertEquals(refusal("-x").startsWith("Unknown flag -x;"), true);
  assertEquals(refusal("--no-quiet").startsWith("Unknown flag --no-quiet;"), true);
  assertEquals(refusal("--__proto__=1").startsWith("Unknown flag --__proto__;"), true);
});

Deno.test("parseArguments() refuses missing and unwanted values", () => {
  const missing = "--count needs a value: --count N";
  for (const args of [["--count"], ["--count="], ["--count", "--quiet"]]) {
    assertEquals(refusal(...args), missing);
  }
  assertEquals(refusal("--quiet=yes"), '--quiet takes no value, not "yes"');
  assertEquals(refusal("--quiet", "false"), '--quiet takes no value, not "false"');
});

Deno.test("parseArguments() takes several arguments where the command does", () => {
  const several: Command = { ...command, argument: { name: "FILE", help: "a file", repeatable: true } };
  const given = parseArguments(several, ["a", "--quiet", "b", "3"]);
  assertEquals([given.argument, given.all], ["a", ["a", "b", "3"]]);
  assertThrows(() => parseArguments(several, []), InputError, "mae try needs a FILE: a file");
});

Deno.test("parseArguments() refuses arguments where there is none", () => {
  assertEquals(refusal("stray"), 'Unexpected argument "stray": mae try takes flags only; see mae try --help');
  assertEquals(refusal("--", "--count").startsWith('Unexpected argument "--count"'), true);
});

Deno.test("parseArguments() lets help win over every mistake", () => {
  for (const help of ["--help", "-h"]) assertEquals(parse("--cuont", "stray", help).has("help"), true);
});
