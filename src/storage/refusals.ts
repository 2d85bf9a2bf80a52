/** What a server's refusal means, in one sentence. */
import { InputError, RunError } from "../util/errors.ts";
import { PassingFailure } from "./retry.ts";

/** A response that is not what was asked for. */
export interface Refusal {
  /** The HTTP status. */
  readonly status: number;
  /** The response's headers. */
  readonly headers: Headers;
  /** S3's code of the error, `ExpiredToken`. */
  readonly code?: string;
  /** The region that S3 names in its error. */
  readonly region?: string;
}

/** Who asks, as far as it matters for what to advise. */
export interface Asker {
  /** The address, without credentials. */
  readonly shown: string;
  /** Where the credentials come from; null where requests are not signed, undefined where that is not known of the address. */
  readonly credentials?: string | null;
  /** Whether the object was readable before: then it is no mistake of the user's. */
  readonly wasReadable: boolean;
}

const statusNames: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  410: "Gone",
  412: "Precondition Failed",
  416: "Range Not Satisfiable",
  425: "Too Early",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Statuses after which the same request may succeed later. */
const passing = new Set([408, 425, 429, 500, 502, 503, 504]);
/** The same among S3's codes, which come with other statuses too. */
const passingCodes = new Set([
  "SlowDown",
  "RequestTimeout",
  "InternalError",
  "ServiceUnavailable",
  "Throttling",
]);

/** Milliseconds that `Retry-After` asks for, by seconds or by a date; 0 where it does not. */
export function retryAfter(headers: Headers, now = Date.now()): number {
  const value = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

const checkClock = "this machine's clock is wrong: set it by NTP";
/** What S3's codes mean, after the name of the object; `{who}` is where the credentials come from. */
const meanings: Record<string, string> = {
  ExpiredToken: "the temporary credentials of {who} have expired: renew them",
  TokenRefreshRequired: "the temporary credentials of {who} have expired: renew them",
  InvalidToken: "the session token of {who} is not valid: renew it, or remove AWS_SESSION_TOKEN",
  InvalidAccessKeyId: "the access key of {who} is not known there: check it, and the endpoint",
  SignatureDoesNotMatch: "the signature is wrong: check the secret access key of {who}",
  RequestTimeTooSkewed: checkClock,
  RequestExpired: checkClock,
  NoSuchBucket: "there is no such bucket: check its name and the endpoint",
  NoSuchKey: "there is no such key: check its spelling",
  InvalidObjectState: "the object is archived: restore it first",
};

function advice(refusal: Refusal, { shown, credentials }: Asker): string {
  const { status, code } = refusal;
  if (code !== undefined && Object.hasOwn(meanings, code)) {
    return meanings[code].replace("{who}", credentials ?? "the address");
  }
  const denied = status === 401 || status === 403;
  if (denied && credentials === null) {
    return "the request was not signed, and this is not public: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
      "or AWS_PROFILE";
  }
  if (denied && credentials !== undefined) {
    return `the credentials of ${credentials} may not read this, or there is nothing: check their rights ` +
      "(s3:GetObject, s3:ListBucket), or set AWS_NO_SIGN_REQUEST=true for public data";
  }
  if (denied && shown.startsWith("https://huggingface.co/")) {
    return "it is not public: agree to its terms on its page, and set HF_TOKEN to a token of yours";
  }
  if (status === 401) {
    return "it needs a login: put https://user:password@ before the host, or use a signed address";
  }
  if (status === 403) return "it may not be read: check the address, and whether its signature has expired";
  if (status === 404 || status === 410) return "there is nothing: check the address";
  return "the server refuses";
}

/** A server's refusal to hand out what an address names. */
export class RefusedError extends InputError {
  /** With the HTTP status. */
  constructor(message: string, readonly status: number) {
    super(message);
  }
}

/** What to throw for a refusal: something that passes, a mistake of the user's, or a failure while running. */
export function failureOf(refusal: Refusal, asker: Asker): Error {
  const { status, code } = refusal;
  const answer = [status, statusNames[status], code && `(${code})`].filter(Boolean).join(" ");
  if (passing.has(status) || (code !== undefined && passingCodes.has(code))) {
    return new PassingFailure(`the server answers ${answer}`, true, retryAfter(refusal.headers));
  }
  const sentence = `cannot read "${asker.shown}": ${advice(refusal, asker)} (the server answers ${answer})`;
  return asker.wasReadable ? new RunError(sentence) : new RefusedError(sentence, status);
}
