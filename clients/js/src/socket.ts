import { HermesError } from "./error.ts";
import { type Notification, type Positions, type Request, read } from "./frames.ts";
import { Requests } from "./requests.ts";
import type { Timing } from "./timing.ts";

/** API Gateway closes the socket (1009) at a larger frame, and a browser may not split a message. */
const FRAME_MAX_BYTES = 32 * 1024;

/** What a socket is made with, and whom it tells. */
export interface SocketOptions {
  url: string;
  WebSocket: typeof WebSocket;
  timing: Timing;
  onNotification: (notification: Notification) => void;
  /** A ping was answered: where the streams end. */
  onHeads: (heads: Positions) => void;
}

/** One WebSocket, open until {@link Socket.closed} says why it is not any more. */
export class Socket {
  /** Settles when nothing will come any more. */
  readonly closed: Promise<HermesError>;
  #webSocket: WebSocket;
  #options: SocketOptions;
  #requests = new Requests();
  /** The requests that may be too large. */
  #large: string[] = [];
  #heardAt = 0;
  /** Why a backend closes it. */
  #reason: string | undefined;
  #ended!: (why: HermesError) => void;
  #pings: ReturnType<typeof setInterval> | undefined;

  private constructor(webSocket: WebSocket, options: SocketOptions) {
    this.#webSocket = webSocket;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#ended = resolve;
    });
    webSocket.onmessage = ({ data }) => this.#take(data);
    webSocket.onclose = ({ code, reason }) => {
      if (code === 1009) this.#refuseLarge();
      const why = this.#reason ? `: ${this.#reason}` : ` with ${code}${reason && `, ${reason}`}`;
      this.#end(`closed by the server${why}`);
    };
    webSocket.onerror = () => {}; // `close` follows; packages for Node.js want a listener
  }

  /** Connects; `signal` closes. A browser does not tell why a handshake failed. */
  static open(token: string, options: SocketOptions, signal: AbortSignal): Promise<Socket> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      let webSocket: WebSocket;
      try {
        webSocket = new options.WebSocket(options.url, ["bearer", token]);
      } catch (cause) {
        // No such URL, or no such token, can ever be.
        throw new HermesError((cause as Error).message, { code: "invalid_url", retry: false, cause });
      }
      const socket = new Socket(webSocket, options);
      const close = () => socket.close();
      signal.addEventListener("abort", close);
      const timer = setTimeout(() => socket.#end("no handshake in time"), options.timing.openWithin);
      socket.closed.then(({ message }) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", close);
        reject(new HermesError(`cannot connect: ${message}`, { code: "unreachable" }));
      });
      webSocket.onopen = () => {
        clearTimeout(timer);
        socket.#pings = setInterval(() => void socket.ping(), options.timing.pingEvery);
        resolve(socket);
      };
    });
  }

  /** Sends a request, and gives the `data` of its answer. */
  request(request: Request): Promise<unknown> {
    const { ackWithin, answerWithin } = this.#options.timing;
    const within = request.action === "sendMessage" ? ackWithin : answerWithin;
    return this.#requests.ask(request, within, (frame) => {
      const text = JSON.stringify(frame);
      if (new TextEncoder().encode(text).length > FRAME_MAX_BYTES) this.#large.push(frame.ref as string);
      this.#webSocket.send(text);
    });
  }

  /** Asks whether the socket is alive. Where nothing comes, it is not. */
  async ping(): Promise<void> {
    const askedAt = performance.now();
    try {
      const pong = (await this.request({ action: "ping" })) as { heads?: Positions } | undefined;
      this.#options.onHeads(pong?.heads ?? {});
    } catch {
      if (this.#heardAt < askedAt) this.#end("no answer to a ping");
    }
  }

  /** Closes it. Nothing comes from it any more. */
  close(): void {
    this.#end("closed by this client");
  }

  /** Sent again, these would close the next socket, too. */
  #refuseLarge(): void {
    const data = { code: "payload_too_large", message: "API Gateway takes no frame of more than 32 KiB" };
    for (const ref of this.#large) this.#requests.settle({ system: "error", ref, data });
  }

  #end(why: string): void {
    clearInterval(this.#pings);
    this.#webSocket.onopen = this.#webSocket.onmessage = this.#webSocket.onclose = null;
    // Where the network is gone, the closing handshake takes minutes: nobody waits for it.
    this.#webSocket.close();
    const error = new HermesError(why, { code: "lost" });
    this.#requests.fail(error);
    this.#ended(error);
  }

  #take(text: unknown): void {
    this.#heardAt = performance.now();
    const frame = read(text);
    if (!frame) return;
    if (!("system" in frame)) this.#options.onNotification(frame);
    else if (frame.system === "closing") this.#reason = (frame.data as { reason?: string })?.reason;
    else this.#requests.settle(frame);
  }
}
