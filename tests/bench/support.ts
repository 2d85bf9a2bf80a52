/** A configuration that takes no time. */
import { type BenchConfig, benchConfigs } from "../../src/bench/configurations.ts";
import { inFolder } from "../support/folder.ts";

/** A model so small that every kernel of it takes no time; its sizes are no powers of two. */
export const smallModel = `
model: {image_size: 12, patch_size: 4, encoder: {width: 24, depth: 1, heads: 2}, decoder: {width: 12, depth: 1, heads: 3}}
optim: {batch_size: 3, warmup_epochs: 0}
`;

/** Its configuration. */
export async function smallConfig(): Promise<BenchConfig> {
  let config: BenchConfig | undefined;
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/small.yaml`, smallModel);
    [config] = await benchConfigs(`${folder}/small.yaml`);
  });
  if (!config) throw new Error("There is no configuration");
  return config;
}
