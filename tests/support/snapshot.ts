/** Texts compared with files. `UPDATE_SNAPSHOTS=1` writes the files anew; the change is then for the reviewer to see. */
import { assertEquals } from "../deps.ts";

/** Fails unless the text is that of `tests/<folder>/__snapshots__/<name>.txt`. */
export async function assertSnapshot(folder: string, name: string, text: string): Promise<void> {
  const file = new URL(`../${folder}/__snapshots__/${name}.txt`, import.meta.url);
  const content = `${text.trimEnd()}\n`;
  if (updating()) {
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, content);
  }
  const stored = (await Deno.readTextFile(file)).replaceAll("\r\n", "\n"); // git on Windows
  assertEquals(
    content,
    stored,
    `${name} has changed; if that is meant, run the test with UPDATE_SNAPSHOTS=1`,
  );
}

function updating(): boolean {
  const permission = { name: "env", variable: "UPDATE_SNAPSHOTS" } as const;
  return Deno.permissions.querySync(permission).state === "granted" &&
    Deno.env.get("UPDATE_SNAPSHOTS") === "1";
}
