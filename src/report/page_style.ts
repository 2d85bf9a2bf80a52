/** What all pages of HTML look alike in: plain CSS, light or dark as the reader has it. */

/** Colours, type and spacing of headings, text, tables and lists of facts. */
export const baseStyle = `
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
section h2 { margin: 1.5rem 0 .4rem; }
section > p { color: var(--soft); max-width: 44rem; }
.scroll { overflow-x: auto; margin-top: .5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem 1.25rem .25rem 0; text-align: left; font-weight: 400; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; }
dt { color: var(--soft); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 4px; }
@media (max-width: 30rem) {
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { padding-bottom: .5rem; }
}
@media print {
  body { background: none; padding: 0; }
}
`;
