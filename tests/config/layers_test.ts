import { nested, parseSet, parseYamlLayer, show } from "../../src/config/layers.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertThrows } from "../deps.ts";

Deno.test("parseSet() reads the value as YAML", () => {
  const values = (assignment: string) => parseSet(assignment).values;
  assertEquals(values("optim.blr=1e-3"), { optim: { blr: 0.001 } });
  assertEquals(values("optim.blr=1.5e-4"), { optim: { blr: 0.00015 } });
  assertEquals(values("data.augment.crop_scale=[0.2, 1]"), { data: { augment: { crop_scale: [0.2, 1] } } });
  assertEquals(values("run.out=a=b"), { run: { out: "a=b" } });
  assertEquals(values("model.encoder={width: 8}"), { model: { encoder: { width: 8 } } });
  assertEquals(values("run.seed="), { run: { seed: null } });
});

Deno.test("parseSet() refuses what has no key, no value or no YAML", () => {
  for (const wrong of ["optim.lr", "=3", "", "optim.lr=[1", "optim.lr=a: b: c"]) {
    assertThrows(() => parseSet(wrong), InputError, "--set");
  }
});

Deno.test("nested() makes __proto__ an own key and leaves the prototype alone", () => {
  const value = nested("__proto__.polluted", true);
  assertEquals(Object.keys(value as object), ["__proto__"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("parseYamlLayer() reads an empty file, comments and a byte order mark", () => {
  assertEquals(parseYamlLayer("", "a.yaml").values, {});
  assertEquals(parseYamlLayer("# nothing\n", "a.yaml").values, {});
  assertEquals(parseYamlLayer("\uFEFFrun: {seed: 1}\r\n", "a.yaml").values, { run: { seed: 1 } });
});

Deno.test("parseYamlLayer() names file, line and column of a mistake, in one line", () => {
  for (
    const [yaml, place] of [
      ["run:\n  seed: 1\n  seed: 2\n", "line 3, column 3"],
      ["run: [1, 2", "line 2, column 1"],
      ["run: a: b", "line 1, column 7"],
      ["a: 1\n---\nb: 2\n", "line 2, column 1"],
      ["a: *nowhere\n", "line 1, column 12"],
      ["a: !!js/function 1\n", "line 1, column 19"],
    ]
  ) {
    const { message } = assertThrows(
      () => parseYamlLayer(yaml, "my.yaml"),
      InputError,
      `my.yaml, ${place}, is not valid YAML: `,
    );
    assertEquals(message.includes("\n"), false);
  }
});

Deno.test("parseYamlLayer() refuses a top that is no mapping", () => {
  for (const yaml of ["- 1\n", "3\n", "text\n"]) {
    assertThrows(() => parseYamlLayer(yaml, "my.yaml"), InputError, "my.yaml must hold sections");
  }
});

Deno.test("show() is one short line for anything", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  assertEquals(show(NaN), "NaN");
  assertEquals(show("a\nb"), '"a\\nb"');
  assertEquals(show(circle), "a value that contains itself");
  assertEquals(show("x".repeat(100)).length, 60);
  assertEquals(show(null), "null");
});
