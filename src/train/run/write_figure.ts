/** Keeping the figure at the end of a run. */
import { encodePng, type Picture } from "../../formats/png.ts";
import { messageOf, RunError } from "../../util/errors.ts";
import { joinPath, writeFileAtomic } from "../../util/files.ts";
import type { RunParts } from "./training_job.ts";

/**
 * Writes a figure as `figures/<name>-step-00001000.png`, and for TensorBoard; where it is there already, as after a finished
 * run was resumed, nothing is written again.
 * @returns the file
 * @throws {RunError} when it cannot be written
 */
export async function writeFigure(
  { folder, log }: Pick<RunParts, "folder" | "log">,
  name: string,
  step: number,
  picture: Picture,
): Promise<string> {
  const path = joinPath(folder.figures, `${name}-step-${String(step).padStart(8, "0")}.png`);
  const png = encodePng(picture);
  if (await holds(path, png)) return path;
  try {
    await Deno.mkdir(folder.figures, { recursive: true });
    await writeFileAtomic(path, png);
  } catch (error) {
    throw new RunError(
      `The figure could not be written to ${path} (${messageOf(error)}); the checkpoint of step ${step} is ` +
        "intact, free some space and draw it with --resume",
    );
  }
  await log.image(step, name, picture);
  return path;
}

/** Whether there is a file with these bytes. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const there = await Deno.readFile(path).catch(() => null);
  return there !== null && there.length === bytes.length && there.every((byte, i) => byte === bytes[i]);
}
