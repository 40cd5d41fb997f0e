import { createNanoEvents } from "nanoevents";

import { HermesError } from "./error.ts";
import type { Ack, Notification, Request, StreamName } from "./frames.ts";
import { Link } from "./link.ts";
import { guarded, type Observable, Value } from "./observable.ts";
import type { HermesOptions, SendOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Positions } from "./positions.ts";
import { Recovery } from "./recovery.ts";
import type { State } from "./state.ts";
import { Tabs } from "./tabs.ts";
import { TIMING, type Timing } from "./timing.ts";
import { Tokens } from "./tokens.ts";
import { onWake } from "./wake.ts";

// biome-ignore lint/suspicious/noExplicitAny: without a map of the application's own, data is anything
type AnyEvents = Record<string, any>;

/** The types of notifications: their `data.type`, or `*` for all. */
type Type<Events> = (keyof Events & string) | "*";

/** What is told about a notification. */
export type Listener<Data> = (data: Data, notification: Notification<Data>) => void;

/** A client of one user in one room. `Events` maps each `data.type` to its `data`. */
export class Hermes<Events extends object = AnyEvents> {
  #options: HermesOptions;
  #timing: Timing;
  #tokens: Tokens;
  #state = new Value<State>({ status: "connecting" });
  #listeners = createNanoEvents();
  #goneListeners = createNanoEvents<{ gone: (stream: StreamName) => void }>();
  #end = new AbortController();
  #outbox: Outbox;
  #recovery: Recovery;
  #positions: Positions | undefined;
  #link: Link | undefined;
  #tabs: Tabs | undefined;

  /** Connects, and stays connected until {@link close}. */
  constructor(options: HermesOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#tokens = new Tokens(options.token, this.#timing);
    this.#listeners.events = Object.create(null); // types come from the network: `toString` is one
    const shared = { timing: this.#timing, request: (request: Request) => this.#request(request) };
    this.#outbox = new Outbox({ ...shared, signal: this.#end.signal, connected: () => this.#connected() });
    this.#recovery = new Recovery({
      ...shared,
      onApplied: (notification) => this.#apply(notification),
      onGone: (stream) => this.#goneListeners.emit("gone", stream),
      onRecovered: () => this.#moved(),
    });
    void this.#run();
  }

  /** How the connection is. */
  get state(): Observable<State> {
    return this.#state;
  }

  /**
   * Calls `listener` for each notification whose `data.type` is `type`, or for each where it is `*`, until
   * the returned function is called.
   */
  on<K extends Type<Events>>(
    type: K,
    listener: Listener<K extends keyof Events ? Events[K] : Events[keyof Events]>,
  ): () => void {
    return this.#listeners.on(type, guarded(listener as Listener<unknown>));
  }

  /**
   * Calls `listener` where notifications of a stream were lost for good, because the log does not go back to
   * the last one that was seen: the application has to load its state anew.
   */
  onHistoryGone(listener: (stream: StreamName) => void): () => void {
    return this.#goneListeners.on("gone", guarded(listener));
  }

  /**
   * Sends `data` to everybody in the room, or to one user. Settles when the message is in the log, however long
   * the connection is away; messages are sent one after the other. Fails with a {@link HermesError}.
   */
  async send(data: unknown, { to, id = crypto.randomUUID() }: SendOptions = {}): Promise<Ack> {
    let copy: unknown;
    try {
      copy = JSON.parse(JSON.stringify(data));
    } catch (cause) {
      throw new HermesError("data is not JSON", { code: "invalid_message", cause });
    }
    return this.#outbox.send({ action: "sendMessage", data: copy, id, ...(to !== undefined && { to }) });
  }

  /** Ends it for good. What is not acknowledged yet fails with the code `closed`. */
  close(): void {
    this.#close(new HermesError("closed by the application", { code: "closed" }));
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const failed = (error: HermesError) => this.#setState({ status: "waiting", error });
    onWake(() => this.#woke(), { tick: this.#timing.tick, signal });
    try {
      const identity = await this.#tokens.identify({ signal, failed });
      const name = `hermes ${this.#options.url} ${identity}`;
      const { storage, storageKey = name } = this.#options;
      this.#positions = storage && new Positions(storage, storageKey);
      this.#recovery.restore(this.#positions?.load() ?? {});
      await (this.#isShared() ? this.#share(name) : this.#lead(signal));
    } catch (error) {
      this.#close(HermesError.from(error));
    }
  }

  #isShared(): boolean {
    const canShare = "BroadcastChannel" in globalThis && navigator.locks !== undefined;
    return canShare && (this.#options.tabs ?? "document" in globalThis);
  }

  #share(name: string): Promise<void> {
    this.#tabs = new Tabs({
      name,
      timing: this.#timing,
      lead: (signal) => this.#lead(signal),
      request: (request) => this.#request(request),
      status: () => ({ state: this.#state.getSnapshot(), heads: this.#recovery.positions }),
      onState: (state) => this.#setState(state),
      onHeads: (heads) => this.#recovery.begin(heads),
      onApplied: (notification) => this.#recovery.take(notification),
    });
    return this.#tabs.run(this.#end.signal);
  }

  async #lead(signal: AbortSignal): Promise<void> {
    this.#link = new Link({
      url: this.#options.url,
      WebSocket: this.#options.WebSocket ?? WebSocket,
      timing: this.#timing,
      tokens: this.#tokens,
      onOpen: () => this.#recovery.connected(),
      onState: (state) => this.#setState(state),
      onNotification: (notification) => this.#recovery.take(notification),
      onHeads: (heads) => this.#recovery.heads(heads),
    });
    try {
      await this.#link.run(signal);
    } finally {
      this.#link = undefined;
    }
  }

  #request(request: Request): Promise<unknown> {
    const way = this.#link ?? this.#tabs;
    return way?.request(request) ?? Promise.reject(new HermesError("not connected", { code: "lost" }));
  }

  #woke(): void {
    this.#link?.nudge();
    this.#tabs?.check();
  }

  #apply(notification: Notification): void {
    if (this.#link) this.#tabs?.post({ applied: notification });
    const { data } = notification;
    const type = (data as { type?: unknown } | null)?.type;
    if (typeof type === "string" && type !== "*") this.#listeners.emit(type, data, notification);
    this.#listeners.emit("*", data, notification);
    this.#moved(false);
  }

  /** The positions changed. Of several tabs only the leader tells and stores it. */
  #moved(tell = true): void {
    if (!this.#link) return;
    const { positions } = this.#recovery;
    if (tell) this.#tabs?.post({ heads: positions });
    this.#positions?.save(positions);
  }

  #setState(state: State): void {
    if (this.#end.signal.aborted) return;
    this.#state.set(state);
    if (this.#link) this.#tabs?.welcome();
  }

  #connected(): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve, reject) => {
      const look = () => {
        if (signal.aborted) reject(signal.reason);
        else if (this.#state.getSnapshot().status === "open") resolve();
        else return;
        unsubscribe();
      };
      const unsubscribe = this.#state.subscribe(look);
      look();
    });
  }

  #close(error: HermesError): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort(error);
    this.#recovery.stop();
    this.#state.set({ status: "closed", ...(error.code !== "closed" && { error }) });
  }
}
