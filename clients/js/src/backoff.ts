import pRetry from "p-retry";

import { HermesError } from "./error.ts";
import type { Timing } from "./timing.ts";

/** What {@link again} may be told. */
export interface Again {
  timing: Timing;
  /** Ends it, with the signal's reason. */
  signal: AbortSignal;
  /** The pause after the first failure, if not the usual one; doubled after each. */
  firstDelay?: number;
  /** Told of each failure, before the pause. */
  failed?: (error: HermesError) => void;
}

/**
 * Tries until it succeeds, or fails for ever. With jitter: when a server drops all its clients, they must
 * not come back all at once.
 */
export function again<T>(
  attempt: (number: number) => T | Promise<T>,
  { timing, signal, firstDelay = timing.firstDelay, failed }: Again,
): Promise<T> {
  const wrapped = async (number: number) => {
    try {
      return await attempt(number);
    } catch (thrown) {
      throw HermesError.from(thrown);
    }
  };
  return pRetry(wrapped, {
    retries: Number.POSITIVE_INFINITY,
    randomize: true,
    minTimeout: Math.min(firstDelay, timing.longestDelay),
    maxTimeout: timing.longestDelay * (1 - Math.random() / 4),
    signal,
    shouldRetry: ({ error }) => (error as HermesError).retry,
    onFailedAttempt: ({ error }) => failed?.(error as HermesError),
  });
}
