import type { Positions as Places } from "./frames.ts";

/** Where positions are kept: `localStorage`, or anything like it. */
export interface PositionStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The stored positions of one user in one room. */
export class Positions {
  #storage: PositionStorage;
  #key: string;

  constructor(storage: PositionStorage, key: string) {
    this.#storage = storage;
    this.#key = key;
  }

  /** None where there are none that can be read. */
  load(): Places {
    try {
      return JSON.parse(this.#storage.getItem(this.#key) ?? "{}") ?? {};
    } catch {
      return {};
    }
  }

  save(positions: Places): void {
    try {
      this.#storage.setItem(this.#key, JSON.stringify(positions));
    } catch {
      // It is full, or forbidden: then the next page begins where it connects.
    }
  }
}
