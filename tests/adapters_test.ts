/**
 * Every kernel on software adapters that differ in subgroup size, half precision and limits, so that a stranger's GPU finds
 * no path untried. `deno task setup:adapters` installs what there is; what is not there is reported as ignored, or as failed
 * where `MAE_ADAPTERS` is "required", as it is in CI once they are fetched.
 */
import { kernelCases } from "../src/ops/check/kernel_cases.ts";
import { kernelName } from "../src/ops/check/kernel_check.ts";
import { assert, assertEquals, assertStringIncludes } from "./deps.ts";
import { softwareAdapters, traitsOf, tryAdapter } from "./support/adapters.ts";

const required = Deno.env.get("MAE_ADAPTERS") === "required";

for (const adapter of softwareAdapters) {
  const { name, present, is: { description, ...traits }, plan } = adapter;
  const missing = present ? "" : " (not installed: deno task setup, deno task setup:adapters)";
  Deno.test({
    name: `every kernel agrees with its definition on ${name}${missing}`,
    ignore: !present && !required,
    async fn() {
      assert(present, `${name} is not there; see deno task setup:adapters`);
      const outcome = await tryAdapter(adapter);
      assertStringIncludes(outcome.description, description);
      assertEquals(traitsOf(outcome), traits);
      assertEquals(outcome.faults, []);
      const wanted = kernelCases().filter(({ half }) => traits.half || !half).map(kernelName)
        .filter((kernel) => !plan.without?.includes(kernel));
      assertEquals(outcome.tried, [...new Set(wanted)]);
    },
  });
}

Deno.test("every kernel is tried on three adapters, no two of which are alike", () => {
  const traits = softwareAdapters.map(({ is: { lanes, half, threads } }) => `${lanes} ${half} ${threads}`);
  assertEquals(new Set(traits).size, traits.length);
  for (const one of kernelCases()) {
    const adapters = softwareAdapters.filter(({ plan, is }) =>
      (is.half || !one.half) && !plan.without?.includes(kernelName(one))
    );
    assert(adapters.length >= (one.half ? 1 : 3), kernelName(one));
  }
});
