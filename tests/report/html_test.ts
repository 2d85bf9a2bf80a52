import { dataUri, escapeHtml, Html, html, pageText } from "../../src/report/html.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";

Deno.test("html`` escapes text and takes pieces as they are", () => {
  const name = `<b title="x">&'é`;
  assertEquals(escapeHtml(name), "&lt;b title=&quot;x&quot;&gt;&amp;&#39;é");
  assertEquals(escapeHtml("a\0b\x1bc\x9fd\te\nf"), "a\ufffdb\ufffdc\ufffdd\te\nf");
  const items = ["a", "<"].map((item) => html`<li>${item}</li>`);
  assertEquals(
    html`<ul title="${name}">${items}</ul>${7}${new Html("<hr>")}`.markup,
    `<ul title="${escapeHtml(name)}"><li>a</li><li>&lt;</li></ul>7<hr>`,
  );
});

Deno.test("pageText() lets only its own style and script run", async () => {
  const parts = {
    title: "</title><script>",
    body: html`<p>${"<"}</p>`,
    style: "p { color: red }",
    script: "let a = 1 < 2;",
  };
  const page = await pageText(parts);
  assertMatch(page, /^<!DOCTYPE html>\s+<html lang="en">/);
  assertStringIncludes(page, "<title>&lt;/title&gt;&lt;script&gt;</title>");
  assertStringIncludes(page, "<style>p { color: red }</style>");
  assertStringIncludes(page, "<script>let a = 1 < 2;</script>");
  const hash = async (text: string) => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return btoa(String.fromCharCode(...new Uint8Array(digest)));
  };
  assertStringIncludes(page, `style-src &#39;sha256-${await hash(parts.style)}&#39;`);
  assertStringIncludes(page, `script-src &#39;sha256-${await hash(parts.script)}&#39;`);
  assertStringIncludes(page, "default-src &#39;none&#39;");
});

Deno.test("dataUri() is the file in base64", () => {
  assertEquals(dataUri(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xff)), "data:image/png;base64,iVBOR/8=");
});
