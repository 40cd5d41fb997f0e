import type { PositionStorage } from "./positions.ts";
import type { Timing } from "./timing.ts";
import type { TokenSource } from "./tokens.ts";

/** How a client is made. */
export interface HermesOptions {
  /** The stack's output `WebSocketUrl`. */
  url: string;
  /** Gives a fresh token; asked before every connection. */
  token: TokenSource;
  /** Where positions are kept, so that the next page recovers what was missed: `localStorage`. */
  storage?: PositionStorage;
  /** Under which key; without one, it is made of the URL, the room and the user. */
  storageKey?: string;
  /** Whether the tabs of one user share one connection. In browsers they do, unless this is `false`. */
  tabs?: boolean;
  /** When what is done, where the defaults do not fit. */
  timing?: Partial<Timing>;
  /** For a runtime without a `WebSocket` of its own: that of the package `ws`. */
  WebSocket?: typeof WebSocket;
}

/** How a message is sent. */
export interface SendOptions {
  /** The one user who receives it; without, everybody in the room. */
  to?: string;
  /** Unique for this user: what is sent again under the same id is stored once. Made where it is missing. */
  id?: string;
}
