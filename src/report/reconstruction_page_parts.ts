/** Style and script of the page of reconstructions: plain CSS and JavaScript, as the browser reads them. */

import { STAGES } from "./reconstructions.ts";

/** Light or dark as the reader has it. On paper and without the script, all stages stand side by side. */
export const pageStyle = `
:root {
  --page: #fafafa; --card: #fff; --text: #18181b; --soft: #5b5b64; --line: #e4e4e7; --accent: #1d4ed8;
  color-scheme: light dark;
  font: 16px/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #131316; --card: #1d1d21; --text: #f4f4f5; --soft: #a6a6b0; --line: #36363c; --accent: #93b4ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 84rem; background: var(--page); color: var(--text); }
h1, h2, h3, p, figure, dl, dd { margin: 0; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.05rem; }
h3 { font-size: .95rem; font-weight: 600; }
header p { color: var(--soft); margin-top: .3rem; }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: var(--line); }
.small img { image-rendering: pixelated; }
figcaption, .score { color: var(--soft); font-size: .85rem; }
figcaption { padding-top: .25rem; text-align: center; }
.score { font-variant-numeric: tabular-nums; }
main, .views { display: grid; gap: 1rem; }
main { margin: 1rem 0 2rem; }
.views { margin-top: .6rem; }
.list .views, .gallery { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
article { min-width: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.view { display: grid; gap: .5rem; align-content: start; min-width: 0; }
.stages { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fit, minmax(5rem, 1fr)); }
#bar {
  display: flex; flex-wrap: wrap; gap: .5rem 2rem; align-items: center; position: sticky; top: 0; z-index: 1;
  margin-top: 1rem; padding: .6rem 0; background: var(--page); border-bottom: 1px solid var(--line);
}
#bar[hidden], #all[hidden] { display: none; }
#all { flex: 1 1 20rem; max-width: 32rem; display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: center; }
#all .control { flex: 1 1 18rem; }
label { display: flex; gap: .5rem; align-items: center; cursor: pointer; }
input { accent-color: var(--accent); }
input[type="checkbox"] { width: 1.1rem; height: 1.1rem; margin: 0; }
.slider input { display: block; width: calc(75% + 16px); height: 1.4rem; margin: 0 auto; cursor: pointer; }
.ticks { display: grid; grid-template-columns: repeat(4, 1fr); font-size: .72rem; line-height: 1.3; color: var(--soft); }
.ticks span { text-align: center; cursor: pointer; white-space: nowrap; padding: .15rem 0; }
.ticks .on { color: var(--accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 4px; }
section h2 { margin: 1.5rem 0 .4rem; }
section > p { color: var(--soft); max-width: 44rem; }
.scroll { overflow-x: auto; margin-top: .5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem 1.25rem .25rem 0; text-align: left; font-weight: 400; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; }
dt { color: var(--soft); }
@media (max-width: 30rem) {
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { padding-bottom: .5rem; }
  #bar { gap: .2rem; padding: .4rem 0; font-size: .85rem; }
}
@media screen {
  .js:not(.side) .stages { grid-template-columns: minmax(0, 1fr); }
  .js:not(.side) .stages figure { grid-area: 1 / 1; opacity: 0; transition: opacity .25s; }
  .js:not(.side) .stages figure.shown { opacity: 1; }
  .js:not(.side) figcaption, .side .control { display: none; }
  .side #all { display: none; }
  .side .gallery, .side .list .views { grid-template-columns: repeat(auto-fill, minmax(min(100%, 36rem), 1fr)); }
}
@media (prefers-reduced-motion: reduce) {
  .js:not(.side) .stages figure { transition: none; }
}
@media print {
  #bar, .control { display: none; }
  body { background: none; padding: 0; }
  article { break-inside: avoid; }
}
`;

/** Puts a slider beneath every picture, and one above that moves them all. A stage lies on those before it. */
export const pageScript = `"use strict";
(() => {
  const names = ${JSON.stringify(STAGES)};
  const root = document.documentElement;
  const bar = document.getElementById("bar");
  const side = document.getElementById("side");
  const template = document.getElementById("slider").content.firstElementChild;

  const addSlider = (host, label, onStage) => {
    const slider = template.cloneNode(true);
    const input = slider.querySelector("input");
    const ticks = [...slider.querySelectorAll("span")];
    const set = (stage) => {
      input.value = stage;
      input.setAttribute("aria-valuetext", names[stage]);
      ticks.forEach((tick, i) => tick.classList.toggle("on", i === stage));
      onStage(stage);
    };
    input.setAttribute("aria-label", label);
    input.addEventListener("input", () => set(input.valueAsNumber));
    ticks.forEach((tick, i) => tick.addEventListener("click", () => set(i)));
    host.append(slider);
    set(names.length - 1);
    return set;
  };

  const setters = [];
  for (const article of document.querySelectorAll("article")) {
    const original = article.querySelector(".original");
    for (const view of article.querySelectorAll(".view")) {
      const stages = view.querySelector(".stages");
      if (!stages.contains(original)) stages.prepend(original.cloneNode(true));
      const figures = [...stages.children];
      const show = (stage) =>
        figures.forEach((figure, i) => {
          figure.classList.toggle("shown", i <= stage);
          figure.toggleAttribute("data-covered", i !== stage);
          figure.ariaHidden = !side.checked && i !== stage ? "true" : null;
        });
      setters.push(addSlider(view.querySelector(".control"), "Stage of " + view.dataset.name, show));
    }
  }
  if (setters.length > 1) {
    addSlider(bar.querySelector(".control"), "Stage of all pictures", (stage) => setters.forEach((set) => set(stage)));
  } else {
    document.getElementById("all").hidden = true;
  }
  side.addEventListener("change", () => {
    root.classList.toggle("side", side.checked);
    for (const figure of document.querySelectorAll(".stages figure")) {
      figure.ariaHidden = !side.checked && figure.hasAttribute("data-covered") ? "true" : null;
    }
  });
  bar.hidden = false;
  root.classList.add("js");
})();
`;
