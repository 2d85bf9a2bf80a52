/** Signs one request with Signature Version 4. */
export class AwsV4Signer {
  /** Takes what is to be signed; `cache` keeps signing keys, which hold for a day. */
  constructor(options: {
    url: string;
    headers?: Record<string, string>;
    method?: string;
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string;
    service: string;
    region: string;
    cache?: Map<string, ArrayBuffer>;
  });
  /** The request's headers with those of the signature. */
  sign(): Promise<{ headers: Headers }>;
}
