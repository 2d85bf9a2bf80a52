/** What the names, states and outside references of PyTorch's pickles mean. */

import { itemSize } from "./dtypes.ts";
import { buildNumpy, NUMPY_GLOBALS } from "./numpy_globals.ts";
import { PickleGlobal, type PickleHost, type PickleMachine } from "./pickle_machine.ts";
import { PLAIN_GLOBALS, setAttributes } from "./plain_globals.ts";
import { quoted, type TorchErrors } from "./torch_errors.ts";
import { StorageClass, torchGlobal } from "./torch_globals.ts";
import { TorchRecord, TorchStorage, type TorchValue } from "./torch_value.ts";

/** Reads the pickles of one file and collects the storages that they name. */
export class TorchHost implements PickleHost {
  /** The storages by their names in the file. */
  readonly storages = new Map<string, TorchStorage>();

  /** With what makes the file's errors. */
  constructor(readonly errors: TorchErrors) {}

  /** The class, function or constant of this name. */
  global(module: string, name: string): TorchValue {
    const key = `${module} ${name}`;
    const found = PLAIN_GLOBALS.get(key) ?? NUMPY_GLOBALS.get(key) ?? torchGlobal(module, name, this.errors);
    if (found === undefined) throw this.errors.unsafe(`${module}.${name}`);
    return found;
  }

  /** The storage of a reference: "storage", class, name, device, number of elements, and a view in old files. */
  persistent(id: TorchValue): TorchValue {
    if (Array.isArray(id) && id[0] === "module" && id[1] instanceof PickleGlobal) {
      throw this.errors.unsafe(id[1].class);
    }
    const [kind, type, key, , count, view] = Array.isArray(id) ? id : [];
    if (
      kind !== "storage" || !(type instanceof StorageClass) || typeof key !== "string" || !isCount(count)
    ) {
      throw this.errors.malformed("its pickle has a reference that is not to a storage");
    }
    const { dtype } = type;
    const size = dtype === null ? 1 : itemSize(dtype);
    let root = this.storages.get(key);
    if (root === undefined) {
      root = new TorchStorage(key, dtype, count * size);
      this.storages.set(key, root);
    }
    if (root.dtype !== dtype || root.byteLength !== count * size) {
      throw this.errors.malformed(`its storage ${quoted(key)} has two types or sizes`);
    }
    if (view === undefined || view === null) return root;
    const [, offset, viewCount] = Array.isArray(view) ? view : [];
    if (!isCount(offset) || !isCount(viewCount) || offset + viewCount > count) {
      throw this.errors.malformed(`it views its storage ${quoted(key)} beyond its end`);
    }
    return new TorchStorage(key, dtype, viewCount * size, offset * size);
  }

  /** Gives an object its state. */
  build(object: TorchValue, state: TorchValue, machine: PickleMachine): void {
    if (object instanceof Map) return; // attributes of an OrderedDict, such as a state dict's `_metadata`
    if (buildNumpy(object, state, machine)) return;
    const isBlank = object instanceof TorchRecord &&
      !(object instanceof PickleGlobal || object instanceof TorchStorage);
    if (!isBlank) throw machine.malformed("gives a state to what has none");
    setAttributes(object, state, machine);
  }
}

function isCount(value: TorchValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= 2 ** 48;
}
