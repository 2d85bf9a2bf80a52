/** Wrong usage of every kind: exit code 2 and one sentence, whose words are under snapshot. */
import { main } from "../../src/cli/main.ts";
import { assert, assertEquals, assertMatch } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

/** Files that the cases below name as TMP/…. */
const files: Readonly<Record<string, string>> = {
  "syntax.yaml": "model: {encoder: vit_base\n",
  "twice.yaml": "optim: {epochs: 1}\noptim: {epochs: 2}\n",
  "list.yaml": "- model\n",
  "misspelt.yaml": "model:\n  encodr: vit_base\n",
  "section.yaml": "optim: 3\n",
  "no_data.yaml": "model: {encoder: vit_tiny}\n",
  "long_warmup.yaml": "data: {train: x}\noptim: {warmup_epochs: 40}\n",
  "proto.yaml": "__proto__: {polluted: true}\n",
  "binary.yaml": "\u0000\u0001\u0002",
  "cut.safetensors": "\u0008\u0000",
  "text.safetensors": "this is certainly no safetensors file",
};

const set = (value: string): string[] => ["pretrain", "--set", value];

const cases: readonly string[][] = [
  // commands and flags
  ["pretrian"],
  ["distil"],
  ["--hlep"],
  ["help", "docter"],
  ["help", "pretrain", "doctor"],
  ["pretrain", "--epoch", "3"],
  ["pretrain", "-e", "3"],
  ["pretrain", "--data"],
  ["pretrain", "--data", "--dry-run"],
  ["pretrain", "--dry-run=yes"],
  ["pretrain", "photos"],
  ["doctor", "now"],
  // values of flags
  ["pretrain", "--epochs", "many"],
  ["pretrain", "--epochs", "0"],
  ["pretrain", "--batch-size", "1.5"],
  ["pretrain", "--seed", "-3"],
  ["pretrain", "--backend", "cuda"],
  ["pretrain", "--set", "optim.lr"],
  ["pretrain", "--set", "optim.lr=[1"],
  // configuration files
  ["pretrain", "--config", "TMP/missing.yaml"],
  ["pretrain", "--config", "vit_bsae"],
  ["pretrain", "--config", "TMP/syntax.yaml"],
  ["pretrain", "--config", "TMP/twice.yaml"],
  ["pretrain", "--config", "TMP/list.yaml"],
  ["pretrain", "--config", "TMP/misspelt.yaml"],
  ["pretrain", "--config", "TMP/section.yaml"],
  ["pretrain", "--config", "TMP/no_data.yaml"],
  ["pretrain", "--config", "TMP/long_warmup.yaml", "--epochs", "5"],
  ["pretrain", "--config", "TMP/proto.yaml"],
  ["pretrain", "--config", "TMP/binary.yaml"],
  ["pretrain", "--resume", "--out", "TMP/no_run"],
  // keys and values
  set("optim.batchsize=3"),
  set("optm.lr=1e-3"),
  set("batch_size=3"),
  set("__proto__.polluted=true"),
  set("optim=3"),
  set("model.encoder=vit_bse"),
  set("model.encoder={widht: 96}"),
  set("model.encoder.width=95"),
  set("model.encoder.heads=5"),
  set("model.encoder.mlp_ratio=2.3"),
  set("model.decoder.depth=0"),
  set("model.patch_size=[8, 8, 3]"),
  set("model.patch_size=0"),
  set("model.image_size=65"),
  set("model.image_size=4"),
  set("model.image_size=8"),
  set("model.image_size=[64, 60]"),
  set("model.channels=0"),
  set("mask.ratio=1"),
  set("mask.ratio=75 %"),
  set("mask.ratio=0.999"),
  set("mask.ratio=1e-20"),
  set("mask.sampling=rnadom"),
  ["pretrain", "--set", "mask.sampling=grid", "--set", "mask.ratio=0.5"],
  set("target.kind=tokens"),
  set("target.normalize=yes"),
  set("data.train=3"),
  set("data.train=''"),
  set("data.workers=-1"),
  set("data.workers=all"),
  set("data.mean=[0.5]"),
  set("data.std=[0, 1, 1]"),
  set("data.augment.crop_scale=[1, 0.2]"),
  set("data.augment.crop_scale=0.5"),
  set("optim.lr=fast"),
  set("optim.lr=.inf"),
  set("optim.epochs=.nan"),
  set("optim.betas=[0.9, 1]"),
  set("optim.min_lr=1"),
  set("run.checkpoint_every=1 epcoh"),
  set("run.seed=9007199254740992"),
  set("run.precision=bf16"),
  // fine-tuning, evaluation, prediction
  ["finetune"],
  ["finetune", "--quiet", "--data", "TMP/no_data"],
  ["finetune", "--quiet", "--data", "TMP/empty_folder"],
  ["finetune", "--data", "TMP", "--from", "TMP/nowhere"],
  ["finetune", "--data", "TMP", "--from", "TMP/text.safetensors"],
  ["finetune", "--data", "TMP", "--from", "TMP/empty_folder"],
  ["finetune", "--data", "TMP", "--train-blocks", "13"],
  ["finetune", "--data", "TMP", "--train-blocks", "0.7"],
  ["finetune", "--data", "TMP", "--split", "half"],
  ["finetune", "--quiet", "--data", "TMP", "--split", "0.1"],
  ["finetune", "--resume"],
  ["evaluate"],
  ["evaluate", "TMP/nowhere"],
  ["evaluate", "TMP/empty_folder"],
  ["evaluate", "TMP", "--batch-size", "0"],
  ["evaluate", "TMP", "--backend", "cuda"],
  ["predict"],
  ["predict", "TMP/cat.jpg"],
  ["predict", "TMP/cat.jpg", "--from", "TMP/nowhere"],
  ["predict", "TMP/list.yaml", "--from", "TMP/nowhere"],
  ["predict", "TMP/empty_folder", "--from", "TMP/nowhere"],
  ["predict", "TMP", "--from", "TMP/nowhere", "--top", "all"],
  // data
  ["data", "pak"],
  ["help", "data", "pak"],
  ["help", "data", "pack", "now"],
  ["data", "chekc"],
  ["data", "check"],
  ["data", "check", "TMP/nowhere", "--out", "TMP/report"],
  ["data", "check", "TMP/empty_folder", "--out", "TMP/report"],
  ["data", "check", "TMP", "--stirct"],
  ["data", "pack"],
  ["data", "pack", "TMP"],
  ["data", "pack", "TMP/nowhere", "--to", "TMP/shards"],
  ["data", "pack", "TMP/empty_folder", "--to", "TMP/shards"],
  ["data", "pack", "TMP", "--to", "TMP/shards", "--shard-size", "1 XB"],
  ["data", "pack", "TMP", "--to", "TMP/shards", "--shard-size", "0"],
  ["data", "pack", "TMP", "--to", "TMP/shards", "--samples", "none"],
  ["data", "pack", "TMP", "--to", "TMP/shards", "--on-error", "skpi"],
  ["data", "pack", "TMP", "--to", "TMP/shards", "--name", "../x"],
  // convert
  ["convert"],
  ["convert", "a.pth"],
  ["convert", "a.pth", "b.safetensors", "c"],
  ["convert", "a.pth", "b.safetensors", "--to", "torch"],
  ["convert", "a.pth", "b.safetensors", "--precision", "f8"],
  ["convert", "a.pth", "b.safetensors", "--heads", "none"],
  ["convert", "a.pth", "b.pth"],
  ["convert", "a.pth", "b.onnx", "--to", "timm"],
  ["convert", "TMP/missing.pth", "b.safetensors"],
  ["convert", "TMP/text.safetensors", "TMP/b.safetensors"],
  // inspect
  ["inspect"],
  ["inspect", "a", "b"],
  ["inspect", "TMP/missing.safetensors"],
  ["inspect", "TMP/empty_folder"],
  ["inspect", "TMP/cut.safetensors"],
  ["inspect", "TMP/text.safetensors"],
];

Deno.test("mae refuses wrong usage with exit code 2 and one sentence", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/empty_folder`);
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, content);
    }
    const lines: string[] = [];
    for (const args of cases) {
      const sentence = (await refusal(args.map((arg) => arg.replace("TMP", folder)))).replaceAll(
        folder,
        "TMP",
      );
      lines.push(`$ mae ${args.join(" ")}`, sentence, "");
    }
    await assertSnapshot("cli", "bad_input", lines.join("\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function refusal(args: string[]): Promise<string> {
  const terminal = new RecordingTerminal();
  const code = await main(args, terminal);
  const shown = `mae ${args.join(" ")}`;
  assertEquals([code, terminal.output, terminal.errors.length], [2, [], 1], `${shown}: ${terminal.errors}`);
  const [sentence] = terminal.errors;
  assert(!sentence.includes("\n"), `${shown} prints several lines`);
  assertMatch(sentence, /^mae: .*[^.]$/, shown);
  return sentence;
}

Deno.test("mae --debug adds where an error comes from", async () => {
  const terminal = new RecordingTerminal();
  assertEquals(await main(["pretrain", "--set", "mask.ratio=2", "--debug"], terminal), 2);
  assertEquals(terminal.errors.length, 2);
  assertMatch(terminal.errors[1], /InputError: mask\.ratio[^]*\n +at /);
});
