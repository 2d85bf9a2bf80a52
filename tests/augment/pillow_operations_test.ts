import { type Interpolation, rotate, transformAffine } from "../../src/augment/affine.ts";
import type { Image } from "../../src/images/image.ts";
import { withChannels } from "../../src/images/pixels.ts";
import { applyOperation, type OperationName, operationNames } from "../../src/augment/rand_augment.ts";
import { assert, assertEquals } from "../deps.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";
import { fromBase64, noise } from "../data/support.ts";

interface Recorded {
  readonly fill: number[];
  readonly inputs: Record<string, { width: number; height: number; channels: 1 | 3; pixels: string }>;
  readonly cases: {
    readonly operation: OperationName;
    readonly argument: number;
    readonly interpolation?: Interpolation;
    readonly pixels: Record<string, string>;
    readonly sha256: Record<string, string>;
  }[];
}

async function sha256(pixels: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", pixels as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function recorded(): Promise<Recorded> {
  return await fixtureJson("pillow_operations.json") as unknown as Recorded;
}

function inputsOf({ inputs }: Recorded): Map<string, Image> {
  return new Map(
    Object.entries(inputs).map((
      [name, { pixels, ...size }],
    ) => [name, { ...size, data: fromBase64(pixels) }]),
  );
}

Deno.test("every operation gives Pillow's pixels, on small, thin, flat and gray pictures", async () => {
  const golden = await recorded();
  const inputs = inputsOf(golden);
  const seen = new Set<string>();
  const wrong: string[] = [];
  for (const { operation, argument, interpolation, pixels } of golden.cases) {
    seen.add(operation);
    for (const [name, image] of inputs) {
      const before = image.data.slice();
      const { data } = applyOperation(
        image,
        operation,
        argument,
        () => interpolation ?? "bilinear",
        golden.fill,
      );
      const expected = fromBase64(pixels[name]);
      const different = data.reduce((count, value, i) => count + (value === expected[i] ? 0 : 1), 0);
      if (different > 0 || data.length !== expected.length) {
        wrong.push(`${operation} ${argument} ${interpolation ?? ""} of ${name}: ${different} values`);
      }
      assertEquals(image.data, before, "the picture itself must stay as it is");
    }
  }
  assertEquals(wrong, []);
  assertEquals([...seen].sort(), [...operationNames].sort());
});

Deno.test("every operation gives Pillow's pixels on a whole photograph, in colour and gray", async () => {
  const golden = await recorded();
  const { data, shape: [height, width, channels] } = (await Fixture.read("transforms.safetensors")).get(
    "photo",
  );
  const photo = { data: data as Uint8Array, height, width, channels };
  const pictures: Record<string, Image> = { photo, gray_photo: withChannels(photo, 1) };
  const wrong: string[] = [];
  for (const { operation, argument, interpolation, sha256: expected } of golden.cases) {
    for (const [name, image] of Object.entries(pictures)) {
      const { data } = applyOperation(
        image,
        operation,
        argument,
        () => interpolation ?? "bilinear",
        golden.fill,
      );
      if (await sha256(data) !== expected[name]) {
        wrong.push(`${operation} ${argument} ${interpolation ?? ""} of ${name}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("operations leave alpha as it is, and move it where they move pixels", () => {
  const image = noise(9, 7, 4);
  const alpha = (data: Uint8Array) => data.filter((_, i) => i % 4 === 3);
  const colors = withChannels(image, 3);
  const moved = new Set<OperationName>(["Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"]);
  for (const name of operationNames) {
    const argument = moved.has(name) ? 0.3 : 1;
    const { data } = applyOperation(image, name, argument, () => "bicubic", [1, 2, 3, 4]);
    const expected = applyOperation(colors, name, argument, () => "bicubic", [1, 2, 3]).data;
    assertEquals(withChannels({ ...image, data }, 3).data, expected, name);
    if (!moved.has(name)) assertEquals(alpha(data), alpha(image.data), name);
  }
  const away = transformAffine(image, [1, 0, 7, 0, 1, 0], "bilinear", [1, 2, 3, 4]);
  assertEquals(away.data, Uint8Array.from(image.data, (_, i) => 1 + i % 4));
});

Deno.test("rotate() turns whole turns and signs as Python's remainder does", () => {
  const image = noise(8, 8, 3);
  assertEquals(rotate(image, -720, "bicubic", [0, 0, 0]).data, image.data);
  assertEquals(rotate(image, -27, "bicubic", [0, 0, 0]).data, rotate(image, 333, "bicubic", [0, 0, 0]).data);
  const turned = rotate(image, 20, "bilinear", [0, 0, 0]).data;
  assert(turned.some((value, i) => value !== rotate(image, -20, "bilinear", [0, 0, 0]).data[i]));
});
