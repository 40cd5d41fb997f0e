import { HermesError } from "./error.ts";
import type { Answer, Notification, Positions, Request } from "./frames.ts";
import { Requests } from "./requests.ts";
import type { State } from "./state.ts";
import type { Timing } from "./timing.ts";

/** What a tab tells the others. Only the leader, which has the socket, sends the first four. */
interface Message {
  /** How the connection is, and from whom this comes; an answer to `hello`. */
  welcome?: { leader: string; state: { status: State["status"]; code?: string; message?: string } };
  /** How far the leader has come. */
  heads?: Positions;
  /** What the leader has applied. */
  applied?: Notification;
  /** The answer to another tab's request. */
  answer?: Answer;
  /** Is there a leader? */
  hello?: true;
  /** To be sent through the socket. */
  request?: Request;
}

/** What the tabs are made with, and whom they tell. */
export interface TabsOptions {
  /** The same in every tab that shares a connection. */
  name: string;
  timing: Timing;
  /** Keeps a connection until the signal ends it. */
  lead: (signal: AbortSignal) => Promise<void>;
  /** Sends another tab's request through the socket. */
  request: (request: Request) => Promise<unknown>;
  /** How the leader is. */
  status: () => { state: State; heads: Positions };
  onState: (state: State) => void;
  onHeads: (heads: Positions) => void;
  onApplied: (notification: Notification) => void;
}

/**
 * The tabs of one user: the one that holds the lock leads, and has the socket. The browser hands the lock
 * over when its tab is closed. The others take a leader that does not answer any more for dead.
 */
export class Tabs {
  /** Whether this tab has the socket. */
  leads = false;
  #id = crypto.randomUUID();
  #options: TabsOptions;
  #channel: BroadcastChannel;
  #requests = new Requests();
  #leader: string | undefined;
  #heard = true;
  #check: ReturnType<typeof setTimeout> | undefined;
  /** Aborted to take the lock from a dead leader. */
  #queue = new AbortController();

  constructor(options: TabsOptions) {
    this.#options = options;
    this.#channel = new BroadcastChannel(options.name);
    this.#channel.onmessage = ({ data }) => this.#take(data);
  }

  /** Follows, or leads, until `signal` ends it. Fails where no connection can ever come about. */
  async run(signal: AbortSignal): Promise<void> {
    const { name, timing } = this.#options;
    const checks = setInterval(() => this.check(), timing.pingEvery);
    try {
      while (!signal.aborted) {
        this.check();
        const steal = this.#queue.signal.aborted;
        if (steal) this.#queue = new AbortController();
        const options = steal ? { steal } : { signal: AbortSignal.any([signal, this.#queue.signal]) };
        const deposed = new AbortController();
        try {
          await navigator.locks.request(name, options, () => this.#lead([signal, deposed.signal]));
        } catch (error) {
          if (signal.aborted) break;
          if (error instanceof HermesError) throw error;
          // A page that may store nothing may not lock either: it has a connection of its own.
          if ((error as Error).name !== "AbortError") await this.#lead([signal]);
        } finally {
          deposed.abort(); // another tab may have taken the lock
          this.leads = false;
        }
      }
    } finally {
      clearInterval(checks);
      clearTimeout(this.#check);
      this.#requests.fail(new HermesError("closed", { code: "closed" }));
      this.#channel.close();
    }
  }

  /** Sends a request through the leader. */
  request(request: Request): Promise<unknown> {
    const within = this.#options.timing.ackWithin;
    return this.#requests.ask(request, within, (frame) => this.post({ request: frame }));
  }

  /** Tells the other tabs. */
  post(message: Message): void {
    this.#channel.postMessage(message);
  }

  /** Tells the other tabs how the connection is. */
  welcome(): void {
    const { state, heads } = this.#options.status();
    const { status, error } = state;
    const told = error ? { status, code: error.code, message: error.message } : { status };
    this.post({ welcome: { leader: this.#id, state: told }, heads });
  }

  /** Looks whether there is a leader that answers. */
  check(): void {
    if (this.leads) return;
    this.#heard = false;
    this.post({ hello: true });
    clearTimeout(this.#check);
    this.#check = setTimeout(() => {
      if (!this.#heard && !this.leads) this.#queue.abort();
    }, this.#options.timing.answerWithin);
  }

  #lead(signals: AbortSignal[]): Promise<void> {
    this.leads = true;
    this.#leader = this.#id;
    this.#requests.fail(new HermesError("the leading tab is gone", { code: "lost" }));
    return this.#options.lead(AbortSignal.any(signals));
  }

  #take({ welcome, heads, applied, answer, hello, request }: Message): void {
    if (this.leads) {
      if (hello) this.welcome();
      if (request) void this.#relay(request);
      return;
    }
    if (welcome) this.#follow(welcome);
    if (heads) this.#options.onHeads(heads);
    if (applied) this.#options.onApplied(applied);
    if (answer) this.#requests.settle(answer);
  }

  #follow({ leader, state: { status, code, message } }: NonNullable<Message["welcome"]>): void {
    this.#heard = true;
    const lost = this.#leader !== leader || status !== "open";
    this.#leader = leader;
    if (lost) this.#requests.fail(new HermesError("the connection is lost", { code: "lost" }));
    const error = message ? new HermesError(message, { code: code as string }) : undefined;
    this.#options.onState({ status, error });
  }

  async #relay(request: Request): Promise<void> {
    const ref = request.ref as string;
    try {
      const data = await this.#options.request(request);
      this.post({ answer: { system: request.action, ref, data } });
    } catch (error) {
      const { code, message } = error as HermesError;
      this.post({ answer: { system: "error", ref, data: { code, message } } });
    }
  }
}
