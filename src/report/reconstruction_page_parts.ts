/** Style and script of the page of reconstructions: plain CSS and JavaScript, as the browser reads them. */

import { baseStyle } from "./page_style.ts";
import { STAGES } from "./reconstructions.ts";

/** Light or dark as the reader has it. On paper and without the script, all stages stand side by side. */
export const pageStyle = `${baseStyle}
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
@media (max-width: 30rem) {
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
