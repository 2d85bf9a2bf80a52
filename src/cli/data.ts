/** `mae data`: commands for data sets. */

import type { CommandGroup } from "./command.ts";
import { check } from "./data_check.ts";
import { pack } from "./data_pack.ts";

/** `mae data` */
export const data: CommandGroup = {
  name: "data",
  summary: "check and prepare data sets",
  commands: [check, pack],
};
