/** Running programs that print their results as lines of JSON. */
import { messageOf } from "../util/errors.ts";
import { baseName } from "../util/files.ts";

/** What a program printed before it ended or was ended. */
export interface Printed {
  /** The lines that are JSON. */
  readonly lines: readonly Record<string, unknown>[];
  /** Why there is no more; null when it ended well. */
  readonly failure: string | null;
}

/** Runs a program for `limit` seconds at most and reads the lines of JSON that it prints. Never asks for permission. */
export async function runProgram(command: string, args: readonly string[], limit: number): Promise<Printed> {
  const denied = notPermitted(command);
  if (denied !== null) return { lines: [], failure: denied };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    return { lines: [], failure: missing ? `${command} is not there` : messageOf(error) };
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, 1000 * limit);
  try {
    const { success, signal, stdout, stderr } = await child.output();
    const lines = jsonLines(new TextDecoder().decode(stdout));
    if (success) return { lines, failure: null };
    if (late) return { lines, failure: `took more than ${limit} s` };
    if (signal !== null) return { lines, failure: `was ended by ${signal}` };
    return { lines, failure: complaint(new TextDecoder().decode(stderr)) || "ended with an error" };
  } finally {
    clearTimeout(timer);
  }
}

/** A benchmark may run unattended. */
function notPermitted(command: string): string | null {
  const granted = Deno.permissions.querySync({ name: "run", command }).state === "granted";
  return granted ? null : `needs leave to run ${baseName(command)}, which deno task bench gives`;
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split("\n").filter((line) => line.startsWith("{")).flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // cut off when the program was ended
    }
  });
}

/** Why a program failed, without colours: its last line that names an error and is no place in its code, else the last. */
function complaint(text: string): string {
  // deno-lint-ignore no-control-regex -- colours start with the escape character
  const lines = text.replace(/\x1b\[[0-9;]*m/g, "").split("\n").map((line) => line.trim());
  const said = lines.filter((line) => line !== "" && !/^at |XDG_RUNTIME_DIR is invalid/.test(line)); // a driver's habit
  const line = said.findLast((line) => /^[\w.]*error: /i.test(line)) ?? said.at(-1) ?? "";
  return line.slice(0, 160);
}
