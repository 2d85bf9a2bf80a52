/** The sentences in which a PyTorch file is refused. Everything taken from the file is made printable and short. */

import { InputError } from "../util/errors.ts";
import { quoted } from "../util/quoted.ts";

export { quoted };

/** Makes the errors of one file. */
export class TorchErrors {
  /** With the file's name. */
  constructor(readonly file: string) {}

  /** The file is not what its format says. */
  malformed(what: string): InputError {
    return new InputError(`"${this.file}" is not a valid PyTorch file: ${what}`);
  }

  /** The file names a class or function that only its author's code could give a meaning. */
  unsafe(name: string): InputError {
    return new InputError(
      `"${this.file}" is not loaded because it would need to run the code of ${
        quoted(name)
      }, and nothing in a file is ` +
        "ever run; where you trust it, load it in PyTorch and save its state_dict()",
    );
  }

  /** The file is valid, and holds what this program has no use for. */
  unsupported(what: string): InputError {
    return new InputError(`"${this.file}" cannot be read: ${what}`);
  }
}
