/** Pickles that no torch.save wrote: each must end in one sentence, soon and in little memory. */
import { assertEquals } from "../deps.ts";
import { openTorchBytes } from "../../src/formats/torch_file.ts";
import {
  bytesOf,
  type Entry,
  joined,
  little,
  op,
  type Part,
  pickle,
  storage,
  tensor,
  torchOld,
  torchZip,
} from "../support/torch_files.ts";
import { refuses } from "../support/torch_refusals.ts";

const FOUR = storage("0", 4);
const DATA = new Uint8Array(16);

/** The same instructions many times. */
function many(count: number, ...parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const piece = bytesOf(...parts);
  const bytes = new Uint8Array(count * piece.length);
  for (let i = 0; i < count; i++) bytes.set(piece, i * piece.length);
  return bytes;
}

/** A zip container around instructions. */
const zip = (...parts: readonly Part[]) => joined(torchZip(pickle(...parts), { 0: DATA }));

Deno.test("openTorch() reads the files that these tests take as their start", async () => {
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const value = pickle(op.dict(op.text("w"), tensor(FOUR, [2, 2], [1, 2])));
  for (const bytes of [joined(torchZip(value, { 0: data })), torchOld(value, [["0", 4, data]])]) {
    using file = await openTorchBytes(bytes);
    assertEquals(await file.read("w"), { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 3, 2, 4) });
  }
  const viewed = tensor(
    storage("0", 4, "FloatStorage", op.tuple(op.text("v"), op.number(1), op.number(3))),
    [2],
    [1],
    1,
  );
  using old = await openTorchBytes(torchOld(pickle(viewed), [["0", 4, data]]));
  assertEquals((await old.read("tensor")).data, Float32Array.of(3, 4));
  const truths = pickle(tensor(storage("0", 4, "BoolStorage"), [4]));
  using odd = await openTorchBytes(joined(torchZip(truths, { 0: Uint8Array.of(0, 1, 2, 255) })));
  assertEquals(await odd.read("tensor"), { dtype: "BOOL", shape: [4], data: Uint8Array.of(0, 1, 1, 1) });
  const long = pickle(op.dict(op.text("t"), op.text("x".repeat(5e6)), op.text("w"), tensor(FOUR, [4])));
  using longer = await openTorchBytes(torchOld(long, [["0", 4, data]])); // more than is read at first
  assertEquals((await longer.read("w")).data, Float32Array.of(1, 2, 3, 4));
  const order: Entry = { name: "x/byteorder", content: bytesOf("big") };
  using big = await openTorchBytes(joined(torchZip(value, { 0: data.toReversed() }, [order])));
  assertEquals((await big.read("w")).data, Float32Array.of(4, 2, 3, 1));
});

Deno.test("openTorch() runs nothing: names beyond plain data and tensors are refused", async () => {
  const unsafe = (name: string) => `is not loaded because it would need to run the code of "${name}"`;
  const line = op.text("true");
  await refuses([
    [zip(op.call("os", "system", line)), unsafe("os.system")],
    [zip(op.call("posix", "system", line)), unsafe("posix.system")],
    [zip(op.call("builtins", "eval", line)), unsafe("builtins.eval")],
    [zip(op.call("__builtin__", "getattr", line)), unsafe("__builtin__.getattr")],
    [zip(op.text("subprocess"), op.text("Popen"), 0x93), unsafe("subprocess.Popen")],
    [zip(op.global("__main__", "Model"), ")", 0x81, "}b"), unsafe("__main__.Model")],
    [zip("(", op.text("x"), "i__main__\nModel\n"), unsafe("__main__.Model")],
    [zip("(", op.global("argparse", "Namespace"), "o"), unsafe("argparse.Namespace")],
    [zip(op.global("collections", "OrderedDict.__init__")), unsafe("collections.OrderedDict.__init__")],
    [zip(op.global("torch.nn.modules.linear", "Linear")), unsafe("torch.nn.modules.linear.Linear")],
    [zip(op.call("builtins", "int", line)), unsafe("builtins.int")],
    [zip(op.call("torch", "FloatStorage")), unsafe("torch.FloatStorage")],
    [zip(op.call("numpy", "ndarray")), unsafe("numpy.ndarray")],
    [zip(op.global("é\u202e", "x")), unsafe("é\\u{202e}.x")],
    [zip(op.global("m".repeat(500), "x")), `${"m".repeat(77)}..."`],
    [
      zip(
        op.call(
          "torch._tensor",
          "_rebuild_from_type_v2",
          op.global("builtins", "set"),
          op.global("torch", "Tensor"),
          ")N",
        ),
      ),
      unsafe("builtins.set"),
    ],
    [
      zip(
        op.call(
          "copyreg",
          "_reconstructor",
          op.global("builtins", "int"),
          op.global("builtins", "object"),
          "N",
        ),
      ),
      unsafe("builtins.int"),
    ],
    [
      zip(op.tuple(op.text("module"), op.global("builtins", "set"), "NN"), "Q"),
      unsafe("builtins.set"),
    ],
  ]);
});

Deno.test("openTorch() refuses by name what is valid and not read here", async () => {
  const holds = (what: string) => `"x.pth" cannot be read: it holds ${what}`;
  await refuses([
    [
      zip(op.call("torch._utils", "_rebuild_sparse_tensor")),
      holds('a sparse tensor ("torch._utils._rebuild_sparse_tensor")'),
    ],
    [zip(op.call("torch._utils", "_rebuild_qtensor")), holds("a quantized tensor")],
    [
      zip(op.call("torch._utils", "_rebuild_device_tensor_from_numpy")),
      holds("a tensor of a device that keeps"),
    ],
    [zip(op.call("torch._utils", "_rebuild_meta_tensor_no_storage")), holds("a tensor of the meta device")],
    [
      zip(op.call("torch.storage", "_load_from_bytes")),
      holds("a tensor that was pickled without torch.save"),
    ],
    [
      zip(storage("0", 2, "ComplexFloatStorage")),
      holds('a tensor of complex numbers ("torch.ComplexFloatStorage")'),
    ],
    [zip(storage("0", 2, "QUInt8Storage")), holds("a quantized tensor")],
    [
      zip(op.call(
        "torch._utils",
        "_rebuild_tensor_v3",
        storage("0", 16, "UntypedStorage"),
        op.number(0),
        op.numbers([1]),
        op.numbers([1]),
        0x89,
        "}",
        op.global("torch", "float8_e5m2"),
      )),
      holds('a tensor of "torch.float8_e5m2"'),
    ],
    [
      joined(torchZip(pickle("N"), {}, [{ name: "x/constants.pkl", content: pickle("N") }])),
      "it is a TorchScript program",
    ],
  ]);
});

Deno.test("openTorch() refuses malformed pickles", async () => {
  const namespace = bytesOf(op.global("argparse", "Namespace"), ")", 0x81);
  const dtype = (code: string) => op.call("numpy", "dtype", op.text(code), 0x89, 0x88);
  const scalar = (code: string, text: string) =>
    op.call("numpy.core.multiarray", "scalar", dtype(code), bytesOf("C", text.length, text));
  const old = pickle(op.dict(op.text("w"), tensor(FOUR, [4])));
  await refuses([
    [zip(), "takes from an empty stack at byte 3"],
    [zip("NN"), "ends with values left over"],
    [zip("N("), "takes from an empty stack"],
    [zip("(N0."), "takes from an empty stack"],
    [zip("e"), "has no mark"],
    [zip(0x80, 6, "N"), "is of the unknown protocol 6"],
    [zip(0xff), "has the instruction 0xff, which torch.save never writes"],
    [zip(0x82, 1), "has the instruction 0x82"],
    [zip("P1\n"), "has the instruction 0x50"],
    [zip("S'x'\n"), "has the instruction 0x53"],
    [zip("h", 0), "recalls the unknown value 0"],
    [zip("Nr", little(2 ** 32 - 1, 4)), "remembers a value as number 4294967295"],
    [zip("Np-1\n"), "an impossible memo number"],
    [zip("X", little(2 ** 32 - 1, 4)), "its data.pkl ends inside the pickle"],
    [zip(0x8d, little(2n ** 60n, 8)), "has the impossible length 1152921504606846976"],
    [zip("T", little(-1, 4)), "a string of negative length"],
    [zip("X", little(2, 4), 0xff, 0xfe), "a string that is not UTF-8 text"],
    [zip("X", little(3, 4), 0xed, 0xa0, 0x80), "a string that is not UTF-8 text"],
    [zip(0x8b, little(2 ** 31, 4)), "has an integer of 2147483648 bytes"],
    [zip("L", "9".repeat(2000), "\n"), "a line of more than 1024 bytes"],
    [zip("I1.5\n"), "an integer that is none"],
    [zip("F0x10\n"), "a number that is none"],
    [zip("F1"), "ends inside the pickle"],
    [zip("]N."), "values left over"],
    [zip(")Na"), "appends to what is no list"],
    [zip("}Na"), "appends to what is no list"],
    [zip("](NNu"), "sets an item of what is no dictionary"],
    [zip("}(Nu"), "has a key without a value"],
    [zip(op.dict(op.text("a"), "N", op.text("a"), "N")), "a dictionary with the same key twice"],
    [zip(op.dict("]", "N")), "a key that cannot be one"],
    [zip("](N", 0x90), "adds to what is no set"],
    [zip("NNR"), "calls what is no class or function"],
    [
      zip(op.global("collections", "OrderedDict"), "NR"),
      "gives collections.OrderedDict no list of arguments",
    ],
    [zip(op.call("collections", "OrderedDict", "N")), "gives OrderedDict no list"],
    [zip(op.global("argparse", "Namespace"), ")", op.dict(op.text("a"), "N"), 0x92), "with named arguments"],
    [zip("NN", 0x93), "names a class without text"],
    [zip("]}b"), "gives a state to what has none"],
    [zip(op.global("torch", "Tensor"), "}b"), "gives a state to what has none"],
    [zip(namespace, "Kxb"), "attributes that are none"],
    [zip(namespace, op.dict("N", "N"), "b"), "an attribute without a name"],
    [zip(namespace, op.dict(op.text("a"), "N"), "2", 0x86, "b"), "the same attribute twice"],
    [zip(op.call("_codecs", "encode", op.text("x"), op.text("rot13"))), "otherwise than by latin1"],
    [zip(op.call("_codecs", "encode", op.text("日"), op.text("latin1"))), "has bytes beyond 255"],
    [zip(op.call("torch", "device", "N")), "has a device that is none"],
    [zip(op.call("pathlib", "PosixPath", "N")), "a path that is not of text"],
    [zip(scalar("f8", "short")), "has a scalar of 5 bytes"],
    [zip(scalar("O8", "pointer!")), 'an array of NumPy of the type "O8"'],
    [zip(dtype("not a type")), "an element type of NumPy that is none"],
    [zip("N."), "its data.pkl goes on after the pickle"],
    [torchOld(pickle(op.call("os", "system"))), 'the code of "os.system"'],
    [torchOld(old, [["0", 5, DATA]]), 'its storage "0" has 5 elements, and takes 16 bytes'],
    [torchOld(old, [["0", 2n ** 63n, DATA]]), "has 9223372036854775808 elements"],
    [torchOld(old, [["1", 4, DATA]]), 'it lists the storage "1", which no tensor uses'],
    [torchOld(old, [["0", 4, DATA], ["0", 4, DATA]]), 'it lists the storage "0" twice'],
    [torchOld(old), 'it lacks its storage "0"'],
    [bytesOf(torchOld(old, [["0", 4, DATA]]), 0), "1 bytes follow its last storage"],
    [
      bytesOf(torchOld(pickle("N")).slice(0, 15), pickle(many(100_000, 0x85).with(0, 0x4e))),
      "it is not of version 1001",
    ],
    [bytesOf(pickle(op.number(7)), pickle("N")), "not one that torch.save wrote"],
  ]);
});

Deno.test("openTorch() refuses tensors that cannot be", async () => {
  const lies = "that lies outside of its storage of 4 elements";
  const far = 2 ** 52;
  await refuses([
    [zip(tensor(FOUR, [5])), `has a tensor of shape [5] ${lies}`],
    [zip(tensor(FOUR, [4], [1], 1)), lies],
    [zip(tensor(FOUR, [2], [4])), lies],
    [zip(tensor(FOUR, [], [], 4)), lies],
    [zip(tensor(FOUR, [2, 2], [far, far])), lies],
    [zip(tensor(FOUR, Array(64).fill(2 ** 30), Array(64).fill(0))), `1073741824,...] ${lies}`],
    [zip(tensor(FOUR, [-1])), "an impossible number in its shape"],
    [zip(tensor(FOUR, [2], [-1], 3)), "an impossible number in its strides"],
    [zip(tensor(FOUR, [2], [1], -1)), "an impossible number in its offset"],
    [zip(tensor(FOUR, [2, 2], [1])), "has a tensor of 2 dimensions and 1 strides"],
    [zip(tensor(FOUR, Array(65).fill(1))), "has a tensor without its shape"],
    [zip(tensor(bytesOf("N"), [1])), "has a tensor without a storage"],
    [zip(op.call("torch._utils", "_rebuild_parameter", "N")), "has a parameter without a tensor"],
    [zip("(", storage("0", 4), storage("0", 5), "t"), 'its storage "0" has two types or sizes'],
    [zip("(", storage("0", 4), storage("0", 4, "IntStorage"), "t"), 'its storage "0" has two types or sizes'],
    [zip(storage("0", -1)), "a reference that is not to a storage"],
    [zip("NQ"), "a reference that is not to a storage"],
    [zip(storage("1", 4)), 'it lacks its storage "1"'],
    [zip(storage("../data.pkl", 4)), 'it lacks its storage "../data.pkl"'],
    [zip(storage("0", 3)), 'its storage "0" has 16 bytes, and should have 12'],
    [zip(storage("0", 4, "FloatStorage", op.tuple("N", op.number(3), op.number(2)))), "views its storage"],
    [
      zip(op.dict(op.text("a.b"), tensor(FOUR, [1]), op.text("a"), op.dict(op.text("b"), tensor(FOUR, [1])))),
      "the name",
    ],
    [zip(op.dict(op.text("n".repeat(1001)), tensor(FOUR, [1]))), "is longer than 1000"],
  ]);
});

Deno.test("openTorch() bounds what a small file can ask for", async () => {
  const doubling = bytesOf("]", ...Array.from({ length: 60 }, () => bytesOf("2", 0x86)));
  const megabyte = bytesOf(op.text("x".repeat(2 ** 20)), "q", 0, "0");
  const copied = bytesOf(op.global("_codecs", "encode"), "h", 0, op.text("latin1"), 0x86, "R0");
  await refuses([
    [zip("]q", 0, "h", 0, "a"), "something in it contains itself"],
    [zip("}q", 0, "Nh", 0, "s"), "something in it contains itself"],
    [zip("]", many(1000, 0x85)), "more than 200 deep"],
    [zip(many(100_000, "]"), many(99_999, "a")), "more than 200 deep"],
    [zip(doubling), "it holds more than 20000000 values"],
    [zip(many(2_100_000, "]0"), "N"), "has more than 2000000 containers"],
    [zip(many(8_100_000, "N0"), "N"), "has more than 16000000 instructions"],
    [zip(megabyte, many(200, copied), "N"), "asks for far more memory than it has bytes"],
    [zip(tensor(FOUR, [2 ** 40], [0])), "its tensors would take more than"],
    [zip("(", many(40, tensor(FOUR, [2 ** 20], [0])), "t"), "its tensors would take more than"],
  ]);
});
