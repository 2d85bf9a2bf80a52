/** Values of flags that set no configuration key. */
import { InputError } from "../util/errors.ts";
import type { Arguments } from "./command.ts";

/** The whole number from 1 of a flag, or undefined where it was not given. Throws `InputError` for anything else. */
export function countOf(args: Arguments, flag: string): number | undefined {
  const text = args.value(flag);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new InputError(`--${flag} must be a whole number from 1, not "${text}"`);
}

/** The backend asked for; `auto` by default. Throws `InputError` for one that does not exist. */
export function backendOf(args: Arguments): "auto" | "webgpu" | "cpu" {
  const backend = args.value("backend") ?? "auto";
  if (backend === "auto" || backend === "webgpu" || backend === "cpu") return backend;
  throw new InputError(`--backend must be auto, webgpu or cpu, not "${backend}"`);
}

/** `--split`: a share where it is a number, else the name of a folder. */
export function splitOf(args: Arguments): string | number | undefined {
  const text = args.value("split");
  return text !== undefined && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
