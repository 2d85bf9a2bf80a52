/** Refusals of PyTorch files: one sentence of a certain form, in bounded time. */
import { assert, assertRejects, assertStringIncludes } from "../deps.ts";
import { openTorchBytes } from "../../src/formats/torch_file.ts";
import { InputError } from "../../src/util/errors.ts";

/** What opening the bytes and reading every tensor is refused with. */
export async function refusal(bytes: Uint8Array): Promise<string> {
  const start = performance.now();
  const error = await assertRejects(async () => {
    using file = await openTorchBytes(bytes, "x.pth");
    for (const name of file.tensors.keys()) await file.read(name);
  }, InputError);
  assert(performance.now() - start < 60_000, `${error.message} took too long`);
  assert(
    /^"x\.pth" (is not a valid PyTorch file: |is not loaded because |cannot be read: )/.test(error.message),
  );
  assert(error.message.length < 300 && !/\.$|\p{C}/u.test(error.message), error.message);
  return error.message;
}

/** Whether every file is refused with its words. */
export async function refuses(cases: readonly [bytes: Uint8Array, message: string][]): Promise<void> {
  for (const [bytes, message] of cases) assertStringIncludes(await refusal(bytes), message);
}
