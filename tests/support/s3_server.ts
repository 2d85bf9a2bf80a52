/** A server that speaks S3's protocol on loopback, s3rver from npm, in a process of its own. It checks signatures. */
import { projectFolder } from "./deno.ts";

/** The key pair that the server knows. */
export const serverCredentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };

/** The server, with one empty bucket named `data`. */
export class S3Server implements AsyncDisposable {
  private constructor(readonly endpoint: string, private readonly process: Deno.ChildProcess) {}

  /** Starts it; its objects are stored under the folder. */
  static async start(folder: string): Promise<S3Server> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--no-check", "--allow-env", "--allow-sys", "--allow-net=127.0.0.1"],
        ...["--allow-read", `--allow-write=${folder}`],
        `${projectFolder()}/tests/support/s3_server_process.ts`,
        folder,
      ],
      cwd: projectFolder(),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new S3Server(`http://127.0.0.1:${Number(value)}`, process);
  }

  /** Stores an object. */
  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const path = key.split("/").map(encodeURIComponent).join("/");
    const response = await fetch(`${this.endpoint}/data/${path}`, { method: "PUT", body: bytes });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    await response.body?.cancel();
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stdin.close();
    this.process.kill();
    await this.process.status;
  }
}
