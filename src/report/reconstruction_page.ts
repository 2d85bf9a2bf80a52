/** Reconstructions as a page of HTML in one file: a slider between the stages of every picture. */

import { encodePng } from "../formats/png.ts";
import { dataUri, type Html, html, pageText } from "./html.ts";
import { pageScript, pageStyle } from "./reconstruction_page_parts.ts";
import {
  lossText,
  type MaskSetting,
  meanScores,
  percentOf,
  psnrText,
  type ReconstructedView,
  type ReconstructionRow,
  type ReconstructionText,
  scoreText,
  settingTitles,
  STAGES,
} from "./reconstructions.ts";

/** What the page shows. */
export interface ReconstructionPage extends ReconstructionText {
  /** The pictures. */
  readonly rows: readonly ReconstructionRow[];
  /** Names and values, such as the checkpoint and the command: at the end of the page. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
}

/** Pictures up to this many pixels a side are enlarged with sharp edges. */
const SMALL = 128;

/**
 * The page. It loads nothing, works from a file, with the keyboard and without JavaScript (then all stages stand side by
 * side), and its pictures are PNG at full size. All text is escaped: names of files may hold anything.
 */
export async function reconstructionPage(page: ReconstructionPage): Promise<string> {
  const { title = "Reconstructions", notes = [], footer = "", rows, settings, facts = [] } = page;
  const body = html`
    <header>
    <h1><bdi>${title}</bdi></h1>
    ${[...notes, footer].filter((note) => note !== "").map((note) => html`<p>${note}</p>\n`)}</header>
    <div id="bar" hidden>
      <div id="all"><b>All pictures</b><div class="control"></div></div>
      <label><input type="checkbox" id="side" autocomplete="off"> All stages side by side</label>
    </div>
    <main class="${settings.length === 1 ? "gallery" : "list"}">
    ${rows.map((row) => articleOf(row, settings))}</main>
    ${scoresTable(rows, settings)}
    ${facts.length === 0 ? "" : factsList(facts)}
    ${sliderTemplate}
  `;
  return await pageText({ title, body, style: pageStyle, script: pageScript });
}

function articleOf(row: ReconstructionRow, settings: readonly MaskSetting[]): Html {
  const titles = settingTitles(settings);
  return html`
    <article>
      <h2><bdi>${row.label}</bdi></h2>
      <div class="views">
    ${row.views.map((view, s) =>
      viewOf(row, view, settings[s], settings.length === 1 ? "" : titles[s], s === 0)
    )}</div>
    </article>
  `;
}

/** One setting of one picture. The original is in the first alone; the script copies it to the others. */
function viewOf(
  row: ReconstructionRow,
  view: ReconstructedView,
  { ratio }: MaskSetting,
  title: string,
  isFirst: boolean,
): Html {
  const { label, original } = row;
  const name = title === "" ? label : `${label}, masked ${title}`;
  const [first, second, third, fourth] = STAGES;
  const score = scoreText(view);
  return html`
    <section class="view" data-name="${name}">
    ${title === "" ? "" : html`<h3>masked ${title}</h3>\n`}<div class="stages">
    ${isFirst ? stageOf(row, original, first, `${label}: ${first}`, "original") : ""}${stageOf(
      row,
      view.masked,
      second,
      `${name}: ${percentOf(ratio)} of its patches removed`,
    )}${stageOf(row, view.reconstruction, third, `${name}: ${third}`)}${stageOf(
      row,
      view.pasted,
      fourth,
      `${name}: ${fourth}`,
    )}</div>
    <div class="control"></div>
    ${score === "" ? "" : html`<p class="score">${score}</p>\n`}</section>
  `;
}

function stageOf(
  { size: [height, width] }: ReconstructionRow,
  data: Uint8Array,
  caption: string,
  alt: string,
  kind = "",
): Html {
  const classes = [kind, Math.max(height, width) <= SMALL ? "small" : ""].join(" ").trim();
  const source = dataUri(encodePng({ data, height, width, channels: 3 }));
  return html`
    <figure class="${classes}"><img src="${source}" alt="${alt}" width="${width}" height="${height}">
    <figcaption>${caption}</figcaption></figure>
  `;
}

/** What the script puts beneath every picture. The ticks are for the eye and the mouse; the slider says what it is at. */
const sliderTemplate = html`
  <template id="slider">
    <div class="slider">
      <input type="range" min="0" max="${STAGES.length - 1}" step="1" autocomplete="off">
      <div class="ticks" aria-hidden="true">${STAGES.map((name, i) =>
        html`<span>${i === STAGES.length - 1 ? "+ visible" : name}</span>`
      )}</div>
    </div>
  </template>
`;

function scoresTable(rows: readonly ReconstructionRow[], settings: readonly MaskSetting[]): Html | string {
  const means = meanScores(rows, settings);
  if (means.every(({ loss, psnr }) => loss === null && psnr === null)) return "";
  return html`
    <section>
      <h2>Scores</h2>
      <p>Means over ${rows.length === 1
        ? "the picture"
        : `the ${rows.length} pictures`}, of the removed patches alone: the loss in the
    scale of the model's target, as training reports it; peak signal-to-noise ratio of the pixels.</p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">removed</th>
              <th scope="col">sampling</th>
              <th scope="col">seed</th>
              <th scope="col">loss</th>
              <th scope="col">PSNR</th>
            </tr>
          </thead>
          <tbody>
    ${settings.map(({ ratio, sampling, seed }, s) =>
      html`
        <tr>
          <th scope="row">${percentOf(ratio)}</th>
          <td>${sampling}</td>
          <td>${seed}</td>
          <td>${lossOrNone(means[s].loss)}</td>
          <td>${psnrText(means[s].psnr)}</td>
        </tr>
      `
    )}</tbody>
        </table>
      </div>
    </section>
  `;
}

const lossOrNone = (loss: number | null): string => loss === null ? "–" : lossText(loss);

function factsList(facts: readonly (readonly [name: string, value: string])[]): Html {
  return html`
    <section>
      <h2>How they were made</h2>
      <dl>
    ${facts.map(([name, value]) => html`<dt>${name}</dt><dd><bdi>${value}</bdi></dd>\n`)}</dl>
    </section>
  `;
}
