import { again } from "./backoff.ts";
import { HermesError } from "./error.ts";
import {
  type Notification,
  type Position,
  type Positions,
  position,
  type Recovered,
  type Request,
  STREAMS,
  type StreamName,
} from "./frames.ts";
import { Stream } from "./stream.ts";
import type { Timing } from "./timing.ts";

/** What recovery is made with, and whom it tells. */
export interface RecoveryOptions {
  timing: Timing;
  request: (request: Request) => Promise<unknown>;
  /** A notification is applied. */
  onApplied: (notification: Notification) => void;
  /** What lies before the next one cannot be had any more. */
  onGone: (stream: StreamName) => void;
  /** An answer was applied: the positions may have changed without a notification. */
  onRecovered: () => void;
}

/** How many notifications without a position are remembered, to know one that comes twice. */
const SEEN_MAX = 256;

/** Both streams, and the questions about what is missing of them. */
export class Recovery {
  #followers: Record<StreamName, Follower>;
  #options: RecoveryOptions;
  #seen = new Set<string>();

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#followers = { room: new Follower("room", options), user: new Follower("user", options) };
  }

  /** There is a new connection: what came about meanwhile is asked for. */
  connected(): void {
    for (const name of STREAMS) this.#followers[name].connected();
  }

  /** No more questions. */
  stop(): void {
    for (const name of STREAMS) this.#followers[name].stop();
  }

  /** A push came. */
  take(notification: Notification): void {
    const at = position(notification);
    if (at) this.#followers[at[0]].take(at[1], notification);
    else if (this.#isNew(notification)) this.#options.onApplied(notification);
  }

  /** The streams are known to go as far as this. */
  heads(heads: Positions): void {
    this.#each(heads, (follower, head) => follower.isAtLeastAt(head));
  }

  /** Another tab, which has applied this much, will tell of what follows. */
  begin(heads: Positions): void {
    this.#each(heads, (follower, head) => follower.begin(head));
  }

  /** Goes on where an earlier client ended. */
  restore(positions: Positions): void {
    this.#each(positions, ({ stream }, { epoch, offset }) => {
      stream.place ??= { epoch, offset };
    });
  }

  /** The last ones that were applied. */
  get positions(): Positions {
    return { room: this.#followers.room.stream.place, user: this.#followers.user.stream.place };
  }

  #each(positions: Positions, act: (follower: Follower, position: Position) => void): void {
    for (const name of STREAMS) {
      const at = positions[name];
      if (at) act(this.#followers[name], at);
    }
  }

  /** While a connection is replaced, the same may come on both. */
  #isNew({ user_id, to, id }: Notification): boolean {
    const key = JSON.stringify([user_id, to, id]);
    const isNew = !this.#seen.has(key);
    this.#seen.add(key);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value as string);
    return isNew;
  }
}

/** One stream: asks until nothing is missing. */
class Follower {
  readonly stream = new Stream();
  #name: StreamName;
  #options: RecoveryOptions;
  #asking: AbortController | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;
  #hasLog = true;

  constructor(name: StreamName, options: RecoveryOptions) {
    this.#name = name;
    this.#options = options;
  }

  connected(): void {
    this.stop();
    this.#hasLog = this.stream.due = true;
    void this.#catchUp();
  }

  stop(): void {
    this.#asking?.abort();
    this.#asking = undefined;
    clearTimeout(this.#soon);
    this.#soon = undefined;
  }

  take(at: Position, notification: Notification): void {
    this.#apply(this.#hasLog ? this.stream.take(at, notification) : [notification]);
    this.#plan();
  }

  begin(head: Position): void {
    this.#apply(this.stream.begin(head));
    this.#plan();
  }

  isAtLeastAt(head: Position): void {
    this.stream.isAtLeastAt(head);
    this.#plan();
  }

  #apply(notifications: Notification[]): void {
    for (const notification of notifications) this.#options.onApplied(notification);
  }

  /** Notifications overtake each other, and the missing one may be on its way. */
  #plan(): void {
    if (this.#asking || !this.#hasLog || !this.stream.isBehind) return;
    this.#soon ??= setTimeout(() => void this.#catchUp(), this.#options.timing.overtakenWithin);
  }

  async #catchUp(): Promise<void> {
    this.#soon = undefined;
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    const { timing } = this.#options;
    try {
      while (this.stream.isBehind) await again(() => this.#ask(signal), { timing, signal });
      this.#asking = undefined;
    } catch {
      if (signal.aborted) return;
      // There is no log: notifications are shown as they come.
      this.#asking = undefined;
      this.#hasLog = false;
      this.#apply(this.stream.flush());
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const seen = this.stream.question();
    let answer: Recovered;
    try {
      const request = { action: "recover", stream: this.#name, ...seen };
      answer = (await this.#options.request(request)) as Recovered;
    } catch (error) {
      this.stream.due = true;
      const { code, message } = error as HermesError;
      if (code !== "invalid_message" || !seen) {
        throw new HermesError(message, { code, retry: code !== "unknown_action" });
      }
      // What was stored is no position: all that lies before now is as good as gone.
      answer = { epoch: null, head: 0, complete: false, more: false, messages: [] };
    }
    if (signal.aborted) return; // whoever aborted it asked anew
    const { applied, gone, helped } = this.stream.recovered(answer);
    if (gone) this.#options.onGone(this.#name);
    this.#apply(applied);
    this.#options.onRecovered();
    // The same question would be answered the same for a while.
    if (this.stream.isBehind && !helped) throw new HermesError("nothing new", { retry: true });
  }
}
