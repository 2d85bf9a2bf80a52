/** What stands for a place that bytes are read from: a path of this machine, an HTTP URL, or an object in a bucket. */
import { didYouMean, InputError } from "../util/errors.ts";
import { directoryOf, joinPath } from "../util/files.ts";

/** A file of this machine. */
export interface LocalAddress {
  /** Which kind it is. */
  readonly kind: "local";
  /** The path. */
  readonly path: string;
  /** For messages. */
  readonly shown: string;
}

/** Something behind `http://` or `https://`. */
export interface HttpAddress {
  /** Which kind it is. */
  readonly kind: "http";
  /** The URL, without user and password. */
  readonly url: string;
  /** Value of the `Authorization` header, where the address names user and password. */
  readonly authorization?: string;
  /** For messages: without user, password and query, which may hold a signature. */
  readonly shown: string;
}

/** An object, or all whose keys begin alike, in a bucket of Amazon S3 or whatever speaks its protocol. */
export interface S3Address {
  /** Which kind it is. */
  readonly kind: "s3";
  /** Name of the bucket. */
  readonly bucket: string;
  /** The key as it is, not percent-encoded; empty for the whole bucket. */
  readonly key: string;
  /** For messages. */
  readonly shown: string;
}

/** A place that bytes are read from. */
export type Address = LocalAddress | HttpAddress | S3Address;

/** What to use instead of the schemes of other storage. */
const insteadOf: Record<string, string> = {
  gs: 'use "https://storage.googleapis.com/BUCKET/KEY", or "s3://BUCKET/KEY" with an HMAC key and ' +
    "AWS_ENDPOINT_URL_S3=https://storage.googleapis.com",
  gcs: 'use "https://storage.googleapis.com/BUCKET/KEY"',
  az: 'use its https:// address with a signature ("…?sv=…&sig=…")',
  abfs: 'use its https:// address with a signature ("…?sv=…&sig=…")',
  hdfs: "use WebHDFS's http:// addresses, or copy the files to a disk or a bucket",
  hf: 'use "https://huggingface.co/datasets/OWNER/NAME/resolve/main/FILE"',
  ftp: "use its https:// address, or copy the files to a disk or a bucket",
  s3a: 'use "s3://BUCKET/KEY"',
  s3n: 'use "s3://BUCKET/KEY"',
};
const schemes = ["http", "https", "s3", "file"];

function unknownScheme(text: string, scheme: string): InputError {
  const known = Object.hasOwn(insteadOf, scheme)
    ? `; ${insteadOf[scheme]}`
    : didYouMean(scheme, schemes, (nearest) => `${nearest}://`);
  return new InputError(
    `"${shownUrl(text)}" begins with ${scheme}://, which cannot be read: ` +
      `paths, http://, https:// and s3:// can${known}`,
  );
}

/** An address as it may be shown: without user, password, query and fragment. */
export function shownUrl(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1").replace(/\?.+$/s, "?…").replace(
    /#.*$/s,
    "",
  );
}

function parseHttp(text: string): HttpAddress {
  const shown = shownUrl(text);
  const url = URL.parse(text);
  if (url === null || url.hostname === "") {
    throw new InputError(`"${shown}" is no address: it should look like https://host/path`);
  }
  const named = url.username !== "" || url.password !== "";
  const login = named ? `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` : "";
  url.username = url.password = url.hash = "";
  const authorization = named
    ? `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(login)))}`
    : undefined;
  return { kind: "http", url: url.href, authorization, shown };
}

function parseS3(text: string): S3Address {
  const [, bucket, key] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(text) ?? [];
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket)) {
    throw new InputError(
      `"${text}" is no address of a bucket: it should look like s3://bucket/key, with a bucket of at least 3 letters, ` +
        "digits, dots and hyphens",
    );
  }
  if (key.split("/").some((part) => part === "." || part === "..") || !key.isWellFormed()) {
    throw new InputError(`"${text}" cannot be read: a key has no parts "." and "..", and is Unicode text`);
  }
  return { kind: "s3", bucket, key, shown: text };
}

function parseFile(text: string): LocalAddress {
  const url = URL.parse(text);
  if (url === null || url.host !== "") {
    throw new InputError(`"${text}" is no address of a file: it should look like file:///folder/file`);
  }
  const path = decodeURIComponent(url.pathname);
  return { kind: "local", path: Deno.build.os === "windows" ? path.slice(1) : path, shown: path };
}

/** The address of a file beside another one; undefined where there can be none, because a query makes the address. */
export function addressBeside(text: string, name: string): string | undefined {
  const address = parseAddress(text);
  if (address.kind === "local") return joinPath(directoryOf(address.path), name);
  if (address.kind === "http" && text.includes("?")) return undefined;
  const slash = text.replace(/#.*$/s, "").lastIndexOf("/");
  return text.slice(0, slash + 1) + (address.kind === "http" ? encodeURIComponent(name) : name);
}

/**
 * Understands what a user names: a path, `file://`, `http://`, `https://` or `s3://bucket/key`.
 *
 * @throws {InputError} where the address is malformed or its scheme is not known
 */
export function parseAddress(text: string): Address {
  if (text === "" || text.includes("\0")) throw new InputError("an address is empty or holds a zero byte");
  const [, scheme, slashes] = /^([a-z][a-z0-9+.-]+):(\/*)/i.exec(text) ?? [];
  const name = scheme?.toLowerCase();
  if (name === undefined || (slashes.length < 2 && !schemes.includes(name))) {
    return { kind: "local", path: text, shown: text };
  }
  if (!schemes.includes(name)) throw unknownScheme(text, name);
  if (slashes.length < 2) {
    throw new InputError(`"${shownUrl(text)}" lacks slashes: ${name} addresses begin with ${name}://`);
  }
  try {
    return name === "s3" ? parseS3(text) : name === "file" ? parseFile(text) : parseHttp(text);
  } catch (error) {
    if (error instanceof URIError) throw new InputError(`"${shownUrl(text)}" has a broken percent-encoding`);
    throw error;
  }
}
