/** Comma-separated text of Deno's standard library, apart from the rest of it because data sets in tables need it and little else. */
// @ts-types="./std_csv.d.ts"
export { parse as parseCsv } from "npm:deno-std@1.4.0/csv/parse.js";
