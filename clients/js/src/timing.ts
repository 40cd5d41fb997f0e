/** When what is done, in milliseconds. */
export interface Timing {
  /** Between two pings: below API Gateway's idle limit of 10 minutes. In a quiet room a lost notification
   * is found within this time. */
  pingEvery: number;
  /** How long a ping, or the question what was missed, may take. */
  answerWithin: number;
  /** How long a message may wait for its `ack`: API Gateway gives up after 29 s. */
  ackWithin: number;
  /** How long a handshake may take, and before it the token. */
  openWithin: number;
  /** How long a notification that overtook another one waits for it, before that is asked for. */
  overtakenWithin: number;
  /** The age at which a connection is replaced: API Gateway ends it at 2 hours. */
  replaceAfter: number;
  /** How long the replaced connection is still read. */
  overlap: number;
  /** Before the second attempt to connect or to send; doubled with each. */
  firstDelay: number;
  /** The longest time between two attempts. */
  longestDelay: number;
  /** Between two looks at the clock. One that comes after three times as long means that the machine slept. */
  tick: number;
}

/** What fits API Gateway. */
export const TIMING: Timing = {
  pingEvery: 5 * 60_000,
  answerWithin: 10_000,
  ackWithin: 30_000,
  openWithin: 30_000,
  overtakenWithin: 200,
  replaceAfter: 110 * 60_000,
  overlap: 2_000,
  firstDelay: 500,
  longestDelay: 30_000,
  tick: 30_000,
};
