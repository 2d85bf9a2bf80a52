/** Deno's standard library, republished on npm by `deno-std` because JSR is not reachable everywhere. */
// deno-std is plain JavaScript: each line names declarations of ours, so that a misspelt import does not type-check.
// @ts-types="./std_yaml.d.ts"
export { parse as parseYaml, stringify as stringifyYaml } from "npm:deno-std@1.4.0/yaml/mod.js";
// @ts-types="./std_cli.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
// @ts-types="./std_text.d.ts"
export { closestString } from "npm:deno-std@1.4.0/text/closest_string.js";
// @ts-types="./std_text_distance.d.ts"
export { levenshteinDistance } from "npm:deno-std@1.4.0/text/levenshtein_distance.js";
