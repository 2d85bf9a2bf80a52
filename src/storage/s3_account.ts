/** Requests to S3: where a bucket is, and signatures. */
import { AwsV4Signer } from "../deps/aws.ts";
import type { Refusal } from "./refusals.ts";
import type { Route, RoutedRequest } from "./route.ts";
import type { S3Settings } from "./s3_settings.ts";

const DEFAULT_REGION = "us-east-1";

/** Percent-encodes all but what RFC 3986 leaves unreserved, as signatures want it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Codes after which credentials are read again: they may have been renewed since. */
const staleCodes = new Set(["ExpiredToken", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"]);

/** What requests to S3 share: settings, regions of buckets that were found out, and signing keys. */
export class S3Account {
  #settings: Promise<S3Settings> | undefined;
  #known: S3Settings | undefined;
  readonly #regions = new Map<string, string>();
  readonly #signingKeys = new Map<string, ArrayBuffer>();

  /** Reads nothing yet; `load` reads the settings, when the first request is made and when they have expired. */
  constructor(private readonly load: () => Promise<S3Settings>) {}

  /** The settings, as they are known by now. */
  async settings(): Promise<S3Settings> {
    return this.#known = await (this.#settings ??= this.load());
  }

  /** Where the credentials come from; null without any, undefined before the first request. */
  get credentials(): string | null | undefined {
    return this.#known && (this.#known.credentials ? this.#known.origin ?? "the settings" : null);
  }

  /** The way to an object, or with an empty key and a query to a listing. */
  route(bucket: string, key: string, query: Record<string, string>, shown: string): Route {
    return {
      shown,
      redirect: "manual", // S3 redirects to other regions, where the signature would be wrong
      credentials: () => this.credentials,
      request: () => this.#request(bucket, key, query),
      ledTo: () => {},
      amend: (refusal) => this.#amend(bucket, refusal),
    };
  }

  #urlOf(
    settings: S3Settings,
    region: string,
    bucket: string,
    key: string,
    query: Record<string, string>,
  ): string {
    const path = key === "" ? "" : `/${key.split("/").map(encode).join("/")}`;
    const search = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`).sort()
      .join("&");
    const tail = path + (search && `?${search}`);
    if (settings.endpoint !== undefined) return `${settings.endpoint.replace(/\/+$/, "")}/${bucket}${tail}`;
    const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
    // A certificate for *.s3… covers no bucket with dots.
    return bucket.includes(".")
      ? `https://${host}/${bucket}${tail}`
      : `https://${bucket}.${host}${path || "/"}${tail.slice(path.length)}`;
  }

  async #request(bucket: string, key: string, query: Record<string, string>): Promise<RoutedRequest> {
    const settings = await this.settings();
    const region = this.#regions.get(bucket) ?? settings.region ?? DEFAULT_REGION;
    const url = this.#urlOf(settings, region, bucket, key, query);
    const headers: Record<string, string> = settings.requesterPays
      ? { "x-amz-request-payer": "requester" }
      : {};
    if (settings.credentials === undefined) return { url, headers };
    const signer = new AwsV4Signer({
      ...settings.credentials,
      url,
      headers,
      service: "s3",
      region,
      cache: this.#signingKeys,
    });
    return { url, headers: Object.fromEntries((await signer.sign()).headers) };
  }

  async #amend(bucket: string, { headers, code, region }: Refusal): Promise<boolean> {
    const named = headers.get("x-amz-bucket-region") ??
      (code === "AuthorizationHeaderMalformed" ? region : undefined);
    const { credentials, region: own } = await this.settings();
    if (named && named !== (this.#regions.get(bucket) ?? own ?? DEFAULT_REGION)) {
      this.#regions.set(bucket, named);
      return true;
    }
    if (code === undefined || !staleCodes.has(code)) return false;
    this.#settings = undefined;
    const renewed = (await this.settings()).credentials;
    return renewed?.accessKeyId !== credentials?.accessKeyId ||
      renewed?.sessionToken !== credentials?.sessionToken;
  }
}
