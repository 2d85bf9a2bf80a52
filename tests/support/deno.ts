/** Deno as a user runs it: in a process of its own, with the permissions given and nothing else. */
import { assertEquals } from "../deps.ts";

/** How a process ended and what it said. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and with which environment to run; the environment is added to that of the tests. */
export interface DenoOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Runs Deno with these arguments, without colours. Never asks for permissions. */
export async function runDeno(args: readonly string[], options: DenoOptions = {}): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    ...options,
    args: [...args],
    env: { NO_COLOR: "1", DENO_NO_PROMPT: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}

/** Runs Deno and gives its standard output; fails the test when it fails. */
export async function denoOutput(args: readonly string[], options: DenoOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runDeno(args, options);
  assertEquals(code, 0, `deno ${args.join(" ")}:\n${stdout}${stderr}`);
  return stdout;
}

/** The folder with this project's deno.json. */
export function projectFolder(): string {
  return decodeURIComponent(new URL("../../", import.meta.url).pathname).replace(/\/$/, "");
}
