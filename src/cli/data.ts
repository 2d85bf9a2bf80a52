/** `mae data`: commands for data sets. */

import type { CommandGroup } from "./command.ts";
import { pack } from "./data_pack.ts";

/** `mae data` */
export const data: CommandGroup = {
  name: "data",
  summary: "prepare data sets",
  commands: [pack],
};
