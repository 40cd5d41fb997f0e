import type { HermesError } from "./error.ts";

/** How the connection is. */
export interface State {
  /**
   * - `connecting`: an attempt is under way;
   * - `open`: notifications come in, messages go out;
   * - `waiting`: the connection was lost, or an attempt failed; the next one comes by itself;
   * - `closed`: for good, by {@link Hermes.close} or because of `error`.
   */
  readonly status: "connecting" | "open" | "waiting" | "closed";
  /** Why it is not open. */
  readonly error?: HermesError | undefined;
}
