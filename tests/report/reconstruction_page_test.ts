/** The page of reconstructions, as text and as its readers see it in a browser. */
import { decodeImage } from "../../src/images/decode.ts";
import { type ReconstructionPage, reconstructionPage } from "../../src/report/reconstruction_page.ts";
import type { MaskSetting, ReconstructionRow } from "../../src/report/reconstructions.ts";
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "../deps.ts";
import { type BrowserPage, testInBrowser } from "../support/browser.ts";
import { inFolder } from "../support/folder.ts";
import { flat } from "./support.ts";

const wicked = `<img src=x onerror=alert(1)>"'&\u202e.png`;
const long = `${"a-name-without-any-space-".repeat(8)}.png`;

/** The gray of each stage. */
const grays = [40, 90, 140, 190];

function rowOf(label: string, settings: number): ReconstructionRow {
  const size = [24, 32] as const;
  const [original, masked, reconstruction, pasted] = grays.map((gray) => flat(size, gray));
  const view = { masked, reconstruction, pasted, loss: 0.25, psnr: 20 };
  return { label, size, original, views: Array.from({ length: settings }, () => view) };
}

const setting = (ratio: number): MaskSetting => ({ ratio, sampling: "random", seed: 0 });

function pageOf(labels: readonly string[], ratios: readonly number[]): ReconstructionPage {
  return {
    title: "A <model>",
    notes: ["Checkpoint of something", "64 x 64 pixels"],
    footer: "The model predicts pixels: nothing is denormalised.",
    settings: ratios.map(setting),
    rows: labels.map((label) => rowOf(label, ratios.length)),
    facts: [["Command", `mae reconstruct '${wicked}'`]],
  };
}

Deno.test("reconstructionPage() holds everything, as PNG at full size, and nothing from outside", async () => {
  const text = await reconstructionPage(pageOf(["a.png", wicked], [0.75, 0.85]));
  assertEquals(await reconstructionPage(pageOf(["a.png", wicked], [0.75, 0.85])), text);
  assertEquals(/https?:|<link|@import|url\(|\ssrc="(?!data:image\/png;base64,)/i.exec(text)?.[0], undefined);
  const sources = [...text.matchAll(/src="data:image\/png;base64,([^"]+)"/g)];
  assertEquals(sources.length, 2 * (1 + 2 * 3));
  for (const [i, [, base64]] of sources.slice(0, 4).entries()) {
    const picture = await decodeImage(Uint8Array.fromBase64(base64), { channels: 3, exif: "ignore" });
    assertEquals([picture.height, picture.width], [24, 32]);
    assertEquals(picture.data, flat([24, 32], grays[i]));
  }
  assertEquals(text.includes("<img src=x"), false);
  assertEquals((text.match(/<script/g) ?? []).length, 1);
  assertStringIncludes(text, "The model predicts pixels: nothing is denormalised.");
  assertStringIncludes(text, "loss 0.2500, PSNR 20.0 dB");
  const cells = ["<td>random</td>", "<td>0</td>", "<td>0.2500</td>", "<td>20.0 dB</td>"].join("\\s*");
  assertMatch(text, new RegExp(`<th scope="row">85%</th>\\s*${cells}`));
  assertStringIncludes(text, "mae reconstruct &#39;&lt;img");
});

/** Writes a page and opens it. */
async function open(page: BrowserPage, folder: string, content: ReconstructionPage): Promise<void> {
  const path = `${folder}/a page.html`;
  await Deno.writeTextFile(path, await reconstructionPage(content));
  await page.goto(path);
}

/** A rectangle in the page. */
interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const placeOf = (page: BrowserPage, selector: string, index = 0) =>
  page.evaluate<Place>(
    `document.querySelectorAll(${JSON.stringify(selector)})[${index}].getBoundingClientRect().toJSON()`,
  );

/** The gray that is seen in the middle of each view's picture. */
async function shown(page: BrowserPage): Promise<number[]> {
  const image = await page.pixels();
  const count = await page.evaluate<number>(`document.querySelectorAll(".stages").length`);
  const places = await Promise.all(Array.from({ length: count }, (_, i) => placeOf(page, ".stages", i)));
  return places.map(({ x, y, width, height }) => {
    const [column, row] = [Math.round(x + width / 2), Math.round(y + height / 2)];
    return image.data[(row * image.width + column) * 3];
  });
}

const clean = (page: BrowserPage) => assertEquals([page.problems, page.requests], [[], []]);

testInBrowser(
  "a browser shows the stage that the slider is at, by keyboard and by mouse",
  (page) =>
    inFolder(async (folder) => {
      await page.show({ width: 1100, height: 900, reducedMotion: true });
      await open(page, folder, pageOf(["a.png"], [0.75, 0.85]));
      assertEquals(await shown(page), [190, 190]);

      // By keyboard: the first stop is the slider of all pictures, then the box, then a slider for each.
      const focused = () =>
        page.evaluate<string>(`document.activeElement.ariaLabel ?? document.activeElement.id`);
      const stops: string[] = [];
      for (let i = 0; i < 4; i++) {
        await page.press("Tab");
        stops.push(await focused());
      }
      const [first, second] = ["75", "85"].map((percent) => `Stage of a.png, masked ${percent}%`);
      assertEquals(stops, ["Stage of all pictures", "side", first, second]);
      const said = () => page.evaluate<string>(`document.activeElement.getAttribute("aria-valuetext")`);
      assertEquals(await said(), "reconstruction + visible");
      for (
        const [gray, name] of [[140, "reconstruction"], [90, "masked"], [40, "original"], [40, "original"]]
      ) {
        await page.press("ArrowLeft");
        assertEquals([await shown(page), await said()], [[190, gray], name]);
      }
      await page.press("ArrowRight");
      assertEquals(await shown(page), [190, 90]);
      await page.press("End");
      assertEquals(await shown(page), [190, 190]);

      // By mouse: along the first picture's slider, on the name of a stage, and on the slider of all.
      const { x, y, width, height } = await placeOf(page, ".view .slider input");
      const stop = (stage: number) => [x + 8 + stage / 3 * (width - 16), y + height / 2] as const;
      await page.drag(stop(3), stop(2), stop(1));
      assertEquals(await shown(page), [90, 190]);
      const tick = await placeOf(page, ".view .ticks span", 2);
      await page.drag([tick.x + tick.width / 2, tick.y + tick.height / 2]);
      assertEquals(await shown(page), [140, 190]);
      const all = await placeOf(page, "#all input");
      await page.drag([all.x + 8, all.y + all.height / 2]);
      assertEquals(await shown(page), [40, 40]);
      clean(page);
    }),
);

testInBrowser("a browser shows any name as text", (page) =>
  inFolder(async (folder) => {
    await page.show({ width: 800, height: 600 });
    await open(page, folder, pageOf([wicked], [0.75]));
    assertEquals(await page.evaluate(`document.querySelector("h2").textContent`), wicked);
    assertEquals(await page.evaluate(`document.title`), "A <model>");
    assertEquals(await page.evaluate(`document.compatMode`), "CSS1Compat");
    assertEquals(
      await page.evaluate(`document.querySelector(".view input").ariaLabel`),
      `Stage of ${wicked}`,
    );
    assertEquals(await page.evaluate(`document.querySelectorAll("img:not(.stages img), script").length`), 1);
    clean(page);
  }));

testInBrowser(
  "a browser fits the page into a phone, in light and dark",
  (page) =>
    inFolder(async (folder) => {
      const labels = ["a.png", long];
      const corners: number[] = [];
      for (const dark of [false, true]) {
        await page.show({ width: 390, height: 844, dark, reducedMotion: true });
        await open(page, folder, pageOf(labels, [0.75, 0.85, 0.95]));
        for (const side of [false, true]) {
          if (side) await page.evaluate(`document.getElementById("side").click()`);
          const wide = await page.evaluate<string[]>(
            `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll"))
            .map((e) => e.outerHTML.slice(0, 80))`,
          );
          assertEquals(wide, []);
          assertEquals(await page.evaluate(`document.documentElement.scrollWidth`), 390);
        }
        const { data } = await page.pixels();
        corners.push(data[0]);
      }
      assert(corners[0] > 230 && corners[1] < 50, `${corners}`);
      clean(page);
    }),
);

testInBrowser(
  "a browser shows all stages side by side on demand, and without scripts",
  (page) =>
    inFolder(async (folder) => {
      const lefts =
        `[...document.querySelectorAll(".view:last-child .stages figure")].map((e) => e.getBoundingClientRect().x)`;
      const opacities =
        `[...document.querySelectorAll(".stages figure")].map((e) => getComputedStyle(e).opacity)`;
      const hidden = `document.querySelectorAll("[aria-hidden=true]:not(.ticks)").length`;
      await page.show({ width: 1300, height: 900, reducedMotion: true });
      await open(page, folder, pageOf(["a.png"], [0.75, 0.85]));
      assertEquals(new Set(await page.evaluate<number[]>(lefts)).size, 1);
      assertEquals(await page.evaluate(hidden), 6); // three of each view's four lie beneath the one that is seen
      const { x, y } = await placeOf(page, "#side");
      await page.drag([x + 5, y + 5]);
      assertEquals(new Set(await page.evaluate<number[]>(lefts)).size, 4);
      assertEquals(new Set(await page.evaluate<string[]>(opacities)), new Set(["1"]));
      assertEquals(await page.evaluate(hidden), 0);
      await page.press("Space");
      assertEquals(await page.evaluate(hidden), 6);

      await page.show({ width: 1300, height: 900, scripts: false });
      await open(page, folder, pageOf(["a.png"], [0.75]));
      assertEquals(new Set(await page.evaluate<number[]>(lefts)).size, 4);
      assertEquals(new Set(await page.evaluate<string[]>(opacities)), new Set(["1"]));
      assertNotEquals(await page.evaluate(`document.getElementById("bar").hidden`), false);
      clean(page);
    }),
);
