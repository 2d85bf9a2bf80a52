/** Pages of HTML in which no text can become markup. */

/** A piece of a page, to be taken as it is. */
export class Html {
  /** Only for markup of this program's own; use `html` for what holds text from elsewhere. */
  constructor(readonly markup: string) {}
}

/** What may stand in a template: text is escaped, pieces are not, lists are joined. */
export type HtmlValue = string | number | Html | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as content or quoted attribute value; control characters become U+FFFD. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character])
    // deno-lint-ignore no-control-regex -- control characters are what it looks for
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}

function markupOf(value: HtmlValue): string {
  if (value instanceof Html) return value.markup;
  return typeof value === "object" ? value.map(markupOf).join("") : escapeHtml(String(value));
}

/** A template of markup: ``html`<p title="${name}">${name}</p>` ``. Values are safe as content and in quoted attributes. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.reduce((markup, string, i) => markup + markupOf(values[i - 1]) + string));
}

/** What a page is made of. */
export interface Page {
  /** For the browser's tab. */
  readonly title: string;
  /** Content of the body. */
  readonly body: Html;
  /** CSS. */
  readonly style: string;
  /** JavaScript that runs after the body was read; none by default. */
  readonly script?: string;
}

/**
 * A whole page in one file, which a policy of its own keeps from loading or sending anything: the only script and style that
 * run are these, and pictures come from `data:` addresses alone.
 */
export async function pageText({ title, body, style, script }: Page): Promise<string> {
  const policy = [
    "default-src 'none'",
    "img-src data:",
    `style-src '${await hashOf(style)}'`,
    ...(script === undefined ? [] : [`script-src '${await hashOf(script)}'`]),
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const page = html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${policy}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title}</title>
        <style>${new Html(style)}</style>
      </head>
      <body>
    ${body}
    ${script === undefined ? "" : html`<script>${new Html(script)}</script>`}
      </body>
    </html>
  `;
  return page.markup.trimStart();
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${new Uint8Array(digest).toBase64()}`;
}

/** A picture inside the page. */
export function dataUri(png: Uint8Array): string {
  return `data:image/png;base64,${png.toBase64()}`;
}
