import { again } from "./backoff.ts";
import { HermesError } from "./error.ts";
import type { Timing } from "./timing.ts";

/** What is known to whoever makes a token. */
export interface TokenContext {
  /**
   * Handshakes that failed since the last connection. A browser does not say why one failed: where it is
   * more than a few, the server may refuse these tokens (401, 403).
   */
  readonly failures: number;
}

/** Makes a token. Throw a {@link HermesError} with `retry: false` where there will be none any more. */
export type TokenSource = (context: TokenContext) => string | Promise<string>;

/** For how long a token is as good as new. */
const FRESH = 10_000;

/** The tokens of one user in one room. */
export class Tokens {
  /** Of whom they are: the same for every tab of one user in one room. */
  identity: string | undefined;
  #source: TokenSource;
  #timing: Timing;
  #first: { token: string; madeAt: number } | undefined;

  constructor(source: TokenSource, timing: Timing) {
    this.#source = source;
    this.#timing = timing;
  }

  /** Finds out of whom they are. */
  async identify(options: { signal: AbortSignal; failed: (error: HermesError) => void }): Promise<string> {
    const make = () => this.#make({ failures: 0 });
    const token = await again(make, { ...options, timing: this.#timing });
    this.#first = { token, madeAt: Date.now() };
    return this.identity as string;
  }

  /** A fresh one. */
  async next(context: TokenContext): Promise<string> {
    const first = this.#first;
    this.#first = undefined;
    return first && Date.now() - first.madeAt < FRESH ? first.token : this.#make(context);
  }

  async #make(context: TokenContext): Promise<string> {
    const token = await this.#ask(context);
    const identity = claims(token);
    this.identity ??= identity;
    if (this.identity !== identity) {
      const message = "this token is of another user or room: each needs a client of its own";
      throw new HermesError(message, { code: "identity", retry: false });
    }
    return token;
  }

  /** Whoever waits for a token that never comes would wait for ever. */
  async #ask(context: TokenContext): Promise<string> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no token in time")), this.#timing.openWithin);
    });
    try {
      return await Promise.race([this.#source(context), late]);
    } catch (thrown) {
      throw HermesError.from(thrown, "token");
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The room and the user whom a JWT names. */
function claims(token: string): string {
  try {
    const payload = (token.split(".")[1] as string).replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const { room_id, user_id } = JSON.parse(new TextDecoder().decode(bytes));
    return JSON.stringify([room_id, user_id]);
  } catch (cause) {
    throw new HermesError("this is no token of Hermes", { code: "token", retry: true, cause });
  }
}
