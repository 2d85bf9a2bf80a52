/** Signature Version 4 of AWS requests: 11 kB without dependencies, on the web's own cryptography. */
// @ts-types="./aws4fetch.d.ts"
export { AwsV4Signer } from "npm:aws4fetch@1.0.20";
