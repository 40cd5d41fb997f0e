import { again } from "./backoff.ts";
import { HermesError } from "./error.ts";
import type { Request } from "./frames.ts";
import { Socket, type SocketOptions } from "./socket.ts";
import type { State } from "./state.ts";
import type { Tokens } from "./tokens.ts";

/** What a link is made with, and whom it tells. */
export interface LinkOptions extends SocketOptions {
  tokens: Tokens;
  /** There is a connection; what came about meanwhile has to be asked for. */
  onOpen: () => void;
  onState: (state: State) => void;
}

/** One connection after the other, each with a fresh token. */
export class Link {
  #options: LinkOptions;
  #socket: Socket | undefined;
  /** Ends the pause between two attempts. */
  #pause: AbortController | undefined;
  #isPausing = false;
  #replaceTimer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  /** Connections in a row that were lost soon after they were opened. */
  #shortLives = 0;
  #end = new AbortController();
  #failed!: (error: unknown) => void;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Keeps a connection until `signal` ends it. Fails where no connection can ever come about. */
  run(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const stop = () => {
        this.#stop();
        resolve();
      };
      this.#failed = (error) => {
        this.#stop();
        reject(error);
      };
      signal.addEventListener("abort", stop, { once: true });
      void this.#connect();
    });
  }

  /** Sends a request, and gives the `data` of its answer. */
  async request(request: Request): Promise<unknown> {
    if (!this.#socket) throw new HermesError("not connected", { code: "lost" });
    try {
      return await this.#socket.request(request);
    } catch (error) {
      // This socket still receives. The next one, with a fresh token, may send.
      if ((error as HermesError).code === "token_expired") void this.#connect();
      throw error;
    }
  }

  /** Something happened to the machine or its network: looks at the connection at once. */
  nudge(): void {
    void this.#socket?.ping();
    if (this.#isPausing) this.#pause?.abort();
  }

  /** Opens a connection, instead of one that was `lost` or beside one that is to be replaced. */
  async #connect(lost?: HermesError): Promise<void> {
    if (this.#pause || this.#end.signal.aborted) return;
    const { timing } = this.#options;
    const firstDelay = timing.firstDelay * 2 ** Math.min(this.#shortLives, 16);
    let reason = lost;
    for (;;) {
      const pause = new AbortController();
      this.#pause = pause;
      const attempt = (number: number) => {
        if (number === 1 && reason) throw reason; // the lost one counts as the first attempt
        return this.#open();
      };
      const failed = (error: HermesError) => this.#wait(error);
      try {
        this.#adopt(await again(attempt, { timing, signal: pause.signal, firstDelay, failed }));
        return;
      } catch (error) {
        if (this.#end.signal.aborted) return;
        if (!pause.signal.aborted) return this.#failed(error);
        reason = undefined;
      }
    }
  }

  async #open(): Promise<Socket> {
    this.#isPausing = false;
    if (!this.#socket) this.#options.onState({ status: "connecting" });
    const token = await this.#options.tokens.next({ failures: this.#failures });
    this.#failures += 1;
    return Socket.open(token, this.#options, this.#end.signal);
  }

  #wait(error: HermesError): void {
    this.#isPausing = true;
    if (!this.#socket && error.retry) this.#options.onState({ status: "waiting", error });
  }

  #adopt(socket: Socket): void {
    const { timing, onOpen, onState } = this.#options;
    this.#isPausing = false;
    this.#pause = undefined;
    this.#failures = 0;
    // A message whose members were read before the successor joined comes only on the old one.
    const replaced = this.#socket;
    if (replaced) setTimeout(() => replaced.close(), timing.overlap);
    this.#socket = socket;
    const openedAt = performance.now();
    void socket.closed.then((why) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#shortLives = performance.now() - openedAt < timing.longestDelay ? this.#shortLives + 1 : 0;
      if (this.#end.signal.aborted) return;
      onState({ status: this.#pause && !this.#isPausing ? "connecting" : "waiting", error: why });
      void this.#connect(why);
    });
    clearTimeout(this.#replaceTimer);
    // Not all at the same time, which had connected at the same time.
    const age = timing.replaceAfter * (1 - Math.random() / 10);
    this.#replaceTimer = setTimeout(() => void this.#connect(), age);
    onState({ status: "open" });
    onOpen();
  }

  #stop(): void {
    this.#end.abort();
    this.#pause?.abort();
    clearTimeout(this.#replaceTimer);
  }
}
