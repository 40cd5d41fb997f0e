/**
 * The deployed stack, used through the `hermes` command as an operator does: `cargo xtask test` says in the
 * environment where both are.
 */
import { randomUUID } from "node:crypto";

import { hermes } from "../../demo/backend.ts";

export { issue, publish } from "../../demo/backend.ts";

/** How long a test waits for what must come: far longer than it ever takes, also on a busy machine. */
export const PATIENCE = 30_000;

/** Refuses the user's tokens from now on, and closes the user's sockets. */
export async function revoke(user: string, room: string): Promise<void> {
  await hermes("token", "revoke", "--user", user, "--room", room);
}

/** Closes the user's sockets, after it has told them why. */
export async function kick(user: string, room: string, reason: string): Promise<void> {
  await hermes("kick", room, "--user", user, "--reason", reason);
}

/** A room that no other test knows. */
export const newRoom = (): string => `room-${randomUUID()}`;

/** Waits until something is so. */
export async function until(isSo: () => unknown, what = String(isSo)): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
