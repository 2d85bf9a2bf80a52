/** The two kinds of XML that S3 answers with: errors and listings. Flat, so that no parser of all of XML is needed. */

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Resolves the five entities of XML and character references. */
function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi,
    (whole, decimal, hex, name) => {
      if (name) return entities[name.toLowerCase()];
      const code = decimal ? Number(decimal) : parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

/** The text of the first element of this name; undefined where there is none. */
function elementText(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  const end = start < 0 ? -1 : xml.indexOf(`</${name}>`, start);
  return end < 0 ? undefined : unescapeXml(xml.slice(start + name.length + 2, end));
}

/** Code and region that an error's body names. Whatever is no such body has neither. */
export function parseS3Error(body: string): { code?: string; region?: string } {
  if (!body.includes("<Error>")) return {};
  const plain = (name: string) => {
    const text = elementText(body, name);
    return text !== undefined && /^[A-Za-z0-9.-]{1,64}$/.test(text) ? text : undefined;
  };
  return { code: plain("Code"), region: plain("Region") };
}

/** One page of a listing. */
export interface S3Page {
  /** Keys and their sizes in bytes, in the server's order. */
  readonly objects: readonly { readonly key: string; readonly size: number }[];
  /** Asks for the next page; undefined on the last. */
  readonly next?: string;
}

/** Reads a page of `ListObjectsV2`; undefined where the text is none. */
export function parseS3Page(xml: string): S3Page | undefined {
  if (!xml.includes("<ListBucketResult")) return undefined;
  const decode = elementText(xml, "EncodingType") === "url"
    ? (key: string) => decodeURIComponent(key.replaceAll("+", " "))
    : (key: string) => key;
  const objects: { key: string; size: number }[] = [];
  for (let at = xml.indexOf("<Contents>"); at >= 0;) {
    const end = xml.indexOf("</Contents>", at);
    if (end < 0) return undefined;
    const entry = xml.slice(at, end);
    const key = elementText(entry, "Key"), size = Number(elementText(entry, "Size"));
    if (key === undefined || !Number.isSafeInteger(size)) return undefined;
    objects.push({ key: decode(key), size });
    at = xml.indexOf("<Contents>", end);
  }
  const truncated = elementText(xml, "IsTruncated") === "true";
  return { objects, next: truncated ? elementText(xml, "NextContinuationToken") : undefined };
}
