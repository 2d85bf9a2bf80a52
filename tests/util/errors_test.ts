import { didYouMean, InputError, messageOf, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals } from "../deps.ts";

Deno.test("didYouMean() names the nearest word", () => {
  const words = ["vit_tiny", "vit_small", "vit_base", "vit_large"];
  assertEquals(didYouMean("vit_bsae", words), '; did you mean "vit_base"?');
  assertEquals(didYouMean("VIT_LARGE", words), '; did you mean "vit_large"?');
  assertEquals(didYouMean("vit_smal", words), '; did you mean "vit_small"?');
});

Deno.test("didYouMean() shows the nearest word as it is told to", () => {
  assertEquals(didYouMean("mien", ["mine"], (name) => `runs/${name}`), '; did you mean "runs/mine"?');
});

Deno.test("didYouMean() says nothing when nothing is near", () => {
  assertEquals(didYouMean("resnet50", ["vit_tiny", "vit_small"]), "");
  assertEquals(didYouMean("anything", []), "");
  assertEquals(didYouMean("", ["epochs"]), "");
});

Deno.test("didYouMean() allows two letters of difference in a short word", () => {
  assertEquals(didYouMean("lr", ["blr", "epochs"]), '; did you mean "blr"?');
});

Deno.test("messageOf() gives the words of whatever was thrown", () => {
  assertEquals([messageOf(new Error("an error")), messageOf("text"), messageOf(7), messageOf(undefined)], [
    "an error",
    "text",
    "7",
    "undefined",
  ]);
});

Deno.test("InputError and RunError are errors of their own, with a cause where there is one", () => {
  const cause = new Error("below");
  const error = new RunError("above", { cause });
  assert(error instanceof Error && !(error instanceof InputError));
  assertEquals([error.name, error.cause, new InputError("x").name], ["RunError", cause, "InputError"]);
});
