/** Node's built-in modules under Deno, where Deno has no function of its own. */
/** Free space of a file system. */
export { statfs } from "node:fs/promises";
