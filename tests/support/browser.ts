/** Headless Chromium, spoken to in its DevTools protocol over a WebSocket on this machine: pages as their readers see them. */
import { decodeImage } from "../../src/images/decode.ts";
import type { Image } from "../../src/images/image.ts";
import { assert } from "../deps.ts";

/** Debian's Chromium, which .ci/run installs; the test task may run this file and no other browser. */
export const browserPath = "/usr/bin/chromium";

/** Whether it is there. */
export const browserPresent: boolean = await Deno.stat(browserPath).then(() => true, () => false);

/** Whether tests that need it fail without it. */
export const browserRequired: boolean = Deno.env.get("MAE_BROWSER") === "required";

/** Registers a test with a page of its own; ignored, and said so, where there is no browser and none is required. */
export function testInBrowser(name: string, test: (page: BrowserPage) => Promise<void>): void {
  const missing = browserPresent ? "" : " (not installed: apt-get install chromium)";
  Deno.test({
    name: `${name}${missing}`,
    ignore: !browserPresent && !browserRequired,
    async fn() {
      assert(browserPresent, `${browserPath} is not there; see .ci/run`);
      await inBrowser(test);
    },
  });
}

// As root there is no sandbox; the rest keeps it from looking for updates and services.
const flags = [
  ...[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
  ],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"],
  ...["--disable-extensions", "--force-color-profile=srgb", "--remote-debugging-port=0"],
];

/** Starts a browser, gives the test a page in it, and ends it. */
export async function inBrowser(test: (page: BrowserPage) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const process = new Deno.Command(browserPath, {
    args: [...flags, `--user-data-dir=${folder}`, "about:blank"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const connection = await Connection.open(await addressOf(folder));
    try {
      await test(await BrowserPage.open(connection));
    } finally {
      await connection.quit();
    }
  } finally {
    const late = setTimeout(() => process.kill("SIGKILL"), 5000);
    await process.status;
    clearTimeout(late);
    await removeFolder(folder);
  }
}

/** The browser's last helpers may still be writing. */
async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch {
      await pause(100);
    }
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The browser writes where it listens into its folder: the port, and the path. */
async function addressOf(folder: string): Promise<string> {
  for (const start = Date.now(); Date.now() - start < 60_000; await pause(50)) {
    const [port, path] = (await Deno.readTextFile(`${folder}/DevToolsActivePort`).catch(() => "")).split(
      "\n",
    );
    if (path) return `ws://127.0.0.1:${port}${path}`;
  }
  throw new Error("Chromium did not begin to listen within a minute");
}

type Params = Readonly<Record<string, unknown>>;

/** What is looked at in the answers to requests; which of it is there depends on the request. */
interface Answer {
  readonly targetId?: string;
  readonly sessionId?: string;
  readonly errorText?: string;
  readonly result?: { readonly value?: unknown };
  readonly exceptionDetails?: unknown;
  readonly data?: string;
}

/** What is looked at in events; which of it is there depends on the event. */
interface EventParams {
  readonly exceptionDetails?: unknown;
  readonly entry?: { readonly text: string };
  readonly message?: string;
  readonly args?: unknown;
  readonly type?: string;
  readonly request?: { readonly url: string };
}

/** What comes from the browser: an answer or an event. */
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: EventParams;
  readonly result?: Answer;
  readonly error?: { readonly message: string };
}

type Listener = (method: string, params: EventParams) => void;

/** The part of an answer that its request always brings. */
function present<Value>(value: Value | undefined): Value {
  assert(value !== undefined, "The browser left out what it was asked for");
  return value;
}

/** The protocol: numbered requests with answers, and events. */
class Connection {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();
  readonly #listeners = new Set<Listener>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("The browser has gone"));
    };
  }

  static async open(address: string): Promise<Connection> {
    const socket = new WebSocket(address);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`Chromium does not answer at ${address}`));
    });
    return new Connection(socket);
  }

  #receive({ id = 0, method, params = {}, result = {}, error }: Message): void {
    if (method !== undefined) return this.#listeners.forEach((listener) => listener(method, params));
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }

  send(method: string, params: Params = {}, sessionId?: string): Promise<Answer> {
    const id = ++this.#last;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks the browser to end, which closes the connection. */
  async quit(): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve, { once: true }));
    this.send("Browser.close").catch(() => {}); // which it may do before it answers
    await closed;
  }
}

/** How a page is shown. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  readonly reducedMotion?: boolean;
  /** Whether the page's scripts run; they do by default. */
  readonly scripts?: boolean;
}

/** One tab. */
export class BrowserPage {
  /** Errors and warnings of the console, exceptions, dialogs. */
  readonly problems: string[] = [];
  /** Addresses that the page asked for, itself and `data:` left out. */
  readonly requests: string[] = [];

  private constructor(private readonly connection: Connection, private readonly session: string) {}

  static async open(connection: Connection): Promise<BrowserPage> {
    const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new BrowserPage(connection, present(sessionId));
    connection.listen((method, params) => page.#note(method, params));
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.#send(`${domain}.enable`);
    return page;
  }

  #send(method: string, params?: Params): Promise<Answer> {
    return this.connection.send(method, params, this.session);
  }

  #note(method: string, params: EventParams): void {
    if (method === "Runtime.exceptionThrown") this.problems.push(JSON.stringify(params.exceptionDetails));
    if (method === "Log.entryAdded") this.problems.push(present(params.entry).text);
    if (method === "Page.javascriptDialogOpening") this.problems.push(`dialog ${params.message}`);
    if (method === "Runtime.consoleAPICalled") this.problems.push(JSON.stringify(params.args));
    if (method === "Network.requestWillBeSent" && params.type !== "Document") {
      const { url } = present(params.request);
      if (!url.startsWith("data:")) this.requests.push(url);
    }
  }

  /** Sets how pages are shown from now on. */
  async show({ width, height, dark = false, reducedMotion = false, scripts = true }: View): Promise<void> {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.#send("Emulation.setDeviceMetricsOverride", metrics);
    await this.#send("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
        { name: "prefers-reduced-motion", value: reducedMotion ? "reduce" : "no-preference" },
      ],
    });
    await this.#send("Emulation.setScriptExecutionDisabled", { value: !scripts });
  }

  /** Opens a file and waits until everything in it is there. */
  async goto(path: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      const stop = this.connection.listen((method) => {
        if (method !== "Page.loadEventFired") return;
        stop();
        resolve();
      });
    });
    const { errorText } = await this.#send("Page.navigate", { url: `file://${encodeURI(path)}` });
    if (errorText) throw new Error(`${path}: ${errorText}`);
    await loaded;
  }

  /** The value of an expression of JavaScript in the page. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return present(result).value as Value; // the caller knows what its expression is
  }

  /** What is seen, as the bytes of a PNG file; `whole` for all of the page, however far it reaches. */
  async screenshot({ whole = false } = {}): Promise<Uint8Array> {
    const { data } = await this.#send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: whole,
    });
    return Uint8Array.fromBase64(present(data));
  }

  /** What is seen, as pixels. */
  async pixels(): Promise<Image> {
    return await decodeImage(await this.screenshot(), { channels: 3, exif: "ignore" });
  }

  /** Presses a key: `Tab`, `ArrowLeft`, `Space`. */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = {
      Tab: 9,
      Space: 32,
      End: 35,
      Home: 36,
      ArrowLeft: 37,
      ArrowRight: 39,
    };
    const event = { key: key === "Space" ? " " : key, code: key, windowsVirtualKeyCode: codes[key] };
    await this.#send("Input.dispatchKeyEvent", {
      type: "keyDown",
      ...event,
      ...(key === "Space" && { text: " " }),
    });
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Presses the mouse's button at the first point, moves to the others, and lets it go at the last. */
  async drag(...points: readonly (readonly [x: number, y: number])[]): Promise<void> {
    const mouse = (type: string, [x, y]: readonly [number, number]) =>
      this.#send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons: 1, clickCount: 1 });
    await mouse("mousePressed", points[0]);
    for (const point of points.slice(1)) await mouse("mouseMoved", point);
    await mouse("mouseReleased", points[points.length - 1]);
  }
}
