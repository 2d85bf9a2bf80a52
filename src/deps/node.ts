/** Node's built-in modules under Deno, where Deno has no function of its own. */
/** Hashes of what comes in parts: the Web's own take all bytes at once. */
export { createHash } from "node:crypto";
/** Free space of a file system. */
export { statfs } from "node:fs/promises";
