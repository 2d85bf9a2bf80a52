/** The `mae` program. */

import { main, reportStrayErrors } from "./src/cli/main.ts";

if (import.meta.main) {
  reportStrayErrors(Deno.args);
  Deno.exit(await main(Deno.args));
}
