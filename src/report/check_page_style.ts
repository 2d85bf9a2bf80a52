/** Style of the page of a check: plain CSS. */

import { baseStyle } from "./page_style.ts";

/** Light or dark as the reader has it. */
export const checkPageStyle = `${baseStyle}
h3 { margin: .9rem 0 .3rem; color: var(--soft); }
tbody th { color: var(--text); }
td bdi, th bdi { white-space: normal; overflow-wrap: anywhere; }
td:has(svg) { padding-right: 0; }
rect { fill: var(--accent); }
.tables { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: start; }
.cards {
  display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
  margin: .5rem 0 0; padding: 0; list-style: none;
}
.cards > li { min-width: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.cards img { flex: none; image-rendering: pixelated; border-radius: 4px; outline: 1px solid var(--line); }
figure, .equal { display: flex; gap: .75rem; align-items: start; }
figcaption, .equal div { min-width: 0; font-size: .85rem; overflow-wrap: anywhere; }
figcaption span { display: block; color: var(--soft); font-variant-numeric: tabular-nums; }
.equal h3 { margin: 0; color: var(--text); }
.equal em { padding: 0 .4em; font-style: normal; font-weight: 400; border: 1px solid var(--line); border-radius: 1em; white-space: nowrap; }
.equal ul { margin: .3rem 0 0; padding: 0; list-style: none; }
.equal li + li { margin-top: .2rem; }
@media print {
  .cards > li { break-inside: avoid; }
}
`;
