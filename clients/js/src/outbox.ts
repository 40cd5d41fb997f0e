import { again } from "./backoff.ts";
import type { Ack, Request } from "./frames.ts";
import type { Timing } from "./timing.ts";

/** What an outbox is made with. */
export interface OutboxOptions {
  timing: Timing;
  /** Ends it: nothing more is sent. */
  signal: AbortSignal;
  /** Settles when there is a connection. */
  connected: () => Promise<void>;
  request: (request: Request) => Promise<unknown>;
}

/** Messages on their way out: one after the other, each until it is acknowledged. */
export class Outbox {
  #options: OutboxOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Sends a message that has an `id`: sent again, it is stored once. */
  send(message: Request): Promise<Ack> {
    const { connected, request } = this.#options;
    const sent = this.#last.then(() =>
      again(async () => {
        await connected();
        return (await request(message)) as Ack;
      }, this.#options),
    );
    this.#last = sent.catch(() => {});
    return sent;
  }
}
