import type { Notification, Position, Recovered } from "./frames.ts";

/** How many notifications wait for an earlier one. What goes beyond is asked for instead. */
const WAITING_MAX = 256;

/** What an answer brought. */
export interface Step {
  /** What is applied now, in order. */
  applied: Notification[];
  /** Whether what lies before it cannot be had any more. */
  gone: boolean;
  /** Whether the answer was of use: the same question again would bring something else. */
  helped: boolean;
}

/**
 * The order of one stream: each notification is applied once, one offset after the other. It does no
 * input or output and has no clock.
 */
export class Stream {
  /** The last one that was applied; none before it is known where to begin. */
  place: Position | undefined;
  /** Whether to ask, whatever else is known. */
  due = false;
  /** Notifications that came before those in front of them, by offset. */
  #waiting = new Map<number, [Position, Notification]>();
  /** How far the stream goes at least, where that is not applied yet. */
  #ahead: Position | undefined;

  /** Whether something is missing. */
  get isBehind(): boolean {
    return this.due || this.#ahead !== undefined || this.#waiting.size > 0;
  }

  /** A push came. Gives what is applied now. */
  take(position: Position, notification: Notification): Notification[] {
    this.isAtLeastAt(position);
    this.#waiting.set(position.offset, [position, notification]);
    if (this.#waiting.size > WAITING_MAX) this.#waiting.delete(Math.max(...this.#waiting.keys()));
    return this.#drain();
  }

  /** The stream is known to go to `position`. */
  isAtLeastAt(position: Position): void {
    const { epoch, offset } = this.#ahead ?? {};
    const isFurther = epoch !== position.epoch || (offset as number) < position.offset;
    if (isFurther && !this.#covers(position)) this.#ahead = position;
  }

  /** Begins behind `position`, unless it is known where to begin. Gives what is applied now. */
  begin({ epoch, offset }: Position): Notification[] {
    this.#beginBefore({ epoch, offset: offset + 1 });
    this.isAtLeastAt({ epoch, offset });
    return this.#drain();
  }

  /** The position to ask with. The answer covers all that was known of before it. */
  question(): Position | undefined {
    this.#ahead = undefined;
    return this.place;
  }

  /** An answer came. */
  recovered({ epoch, head, complete, more, messages }: Recovered): Step {
    const before = this.place;
    const gone = before !== undefined && !(complete && epoch === before.epoch);
    this.due = true;
    if (epoch === null) {
      // The log is lost. The next question, without a place, begins a new one.
      this.place = undefined;
      return { applied: [], gone, helped: gone };
    }
    if (gone) this.place = { epoch, offset: head };
    this.#beginBefore({ epoch, offset: messages[0]?.offset ?? head + 1 });
    const applied: Notification[] = [];
    for (const message of messages) {
      if (this.#isNext({ epoch, offset: message.offset as number })) applied.push(message);
    }
    this.isAtLeastAt({ epoch, offset: head });
    applied.push(...this.#drain());
    this.due = more;
    const helped = before?.epoch !== this.place?.epoch || before?.offset !== this.place?.offset;
    return { applied, gone, helped };
  }

  /** There is no log: gives what has waited for others. */
  flush(): Notification[] {
    const waiting = [...this.#waiting.values()].map(([, notification]) => notification);
    this.#waiting.clear();
    this.place = this.#ahead = undefined;
    this.due = false;
    return waiting;
  }

  /** Where it is not known where to begin, that is before `position`, and before all that came already. */
  #beginBefore({ epoch, offset }: Position): void {
    const waiting = [...this.#waiting.values()].filter(([at]) => at.epoch === epoch);
    this.place ??= { epoch, offset: Math.min(offset, ...waiting.map(([at]) => at.offset)) - 1 };
  }

  /** Applies what waits, as far as nothing is missing. */
  #drain(): Notification[] {
    const applied: Notification[] = [];
    const waiting = [...this.#waiting.values()].sort(([one], [other]) => one.offset - other.offset);
    for (const [position, notification] of this.place ? waiting : []) {
      if (position.epoch === this.place?.epoch && position.offset > this.place.offset + 1) break;
      // What is not the next one was applied before, or belongs to another epoch.
      this.#waiting.delete(position.offset);
      if (this.#isNext(position)) applied.push(notification);
    }
    if (this.#ahead && this.#covers(this.#ahead)) this.#ahead = undefined;
    return applied;
  }

  /** Moves on to `position`, where it is the next one. */
  #isNext(position: Position): boolean {
    const { epoch, offset } = this.place as Position;
    const isNext = position.epoch === epoch && position.offset === offset + 1;
    if (isNext) this.place = position;
    return isNext;
  }

  /** Whether this was applied, or is not to be applied. */
  #covers(position: Position): boolean {
    return this.place?.epoch === position.epoch && this.place.offset >= position.offset;
  }
}
