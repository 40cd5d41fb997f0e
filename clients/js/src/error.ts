/** Codes of failures that trying again later can mend. Whoever throws another one says so. */
const RETRIED = new Set(["internal", "token_expired", "timeout", "lost", "unreachable", "token"]);

/** How {@link HermesError} is made. */
export interface HermesErrorOptions extends ErrorOptions {
  /** What went wrong, for programs. Without one, `failed`. */
  code?: string;
  /** Whether trying again later can help. Without a word the code decides. */
  retry?: boolean;
}

/**
 * What went wrong. `code` is one of the protocol's error codes, or one of the client's own: `lost`,
 * `unreachable`, `timeout`, `token`, `identity`, `closed`.
 */
export class HermesError extends Error {
  override readonly name = "HermesError";
  /** What went wrong, for programs. */
  readonly code: string;
  /** Whether trying again later can help; where not, never try the same again. */
  readonly retry: boolean;

  constructor(message: string, { code = "failed", retry, cause }: HermesErrorOptions = {}) {
    super(message, { cause });
    this.code = code;
    this.retry = retry ?? RETRIED.has(code);
  }

  /** What any thrown value means: what is not ours may go away by itself. */
  static from(thrown: unknown, code = "failed"): HermesError {
    if (thrown instanceof HermesError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new HermesError(message, { code, retry: true, cause: thrown });
  }
}
