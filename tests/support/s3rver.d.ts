/** A server that speaks S3's protocol. */
export default class S3rver {
  constructor(options: {
    address: string;
    port: number;
    silent: boolean;
    directory: string;
    configureBuckets: { name: string; configs: string[] }[];
  });
  run(): Promise<{ port: number }>;
}
