/** A value that changes. React's `useSyncExternalStore` takes both functions as they are. */
export interface Observable<T> {
  /** The value now; the same object until it changes. */
  readonly getSnapshot: () => T;
  /** Calls `listener` after each change, until the returned function is called. */
  readonly subscribe: (listener: () => void) => () => void;
}

/** An observable value, for its owner. */
export class Value<T> implements Observable<T> {
  #value: T;
  #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  getSnapshot = (): T => this.#value;

  subscribe = (listener: () => void): (() => void) => {
    // Whoever subscribes twice is called twice, and unsubscribes each by itself.
    const own = guarded(listener);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }
}

/** A listener's failure is its own: neither the other listeners nor the client suffer from it. */
export function guarded<A extends unknown[]>(listener: (...values: A) => void): (...values: A) => void {
  return (...values) => {
    try {
      listener(...values);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}
