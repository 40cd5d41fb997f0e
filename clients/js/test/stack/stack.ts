/**
 * The deployed stack, used through the `hermes` command as an operator does: `cargo xtask test` says in the
 * environment where both are.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";

const ADVICE =
  "these tests need a deployed stack. Run `cargo xtask test`; or run `cargo xtask up` and set AWS_ENDPOINT_URL " +
  "to the URL that it prints, AWS_ACCESS_KEY_ID=test, AWS_SECRET_ACCESS_KEY=test, AWS_REGION=us-east-1, and " +
  "HERMES_CLI to target/debug/hermes";

/** How long a test waits for what must come: far longer than it ever takes, also on a busy machine. */
export const PATIENCE = 30_000;

const run = promisify(execFile);

async function hermes(...args: string[]): Promise<string> {
  const { AWS_ENDPOINT_URL, HERMES_CLI, HERMES_STACK = "hermes-local" } = process.env;
  if (!AWS_ENDPOINT_URL || !HERMES_CLI) throw new Error(ADVICE); // never the real AWS
  const { stdout } = await run(HERMES_CLI, ["--stack", HERMES_STACK, ...args]);
  return stdout;
}

/** A token, and the URL to connect to. */
export async function issue(
  user: string,
  room: string,
  ttl = "10m",
): Promise<{ token: string; url: string }> {
  return JSON.parse(await hermes("token", "issue", "--user", user, "--room", room, "--ttl", ttl, "--json"));
}

/** Refuses the user's tokens from now on, and closes the user's sockets. */
export async function revoke(user: string, room: string): Promise<void> {
  await hermes("token", "revoke", "--user", user, "--room", room);
}

/** Enqueues data for the room, as a backend does. */
export async function publish(room: string, data: unknown, to?: string): Promise<void> {
  await hermes("publish", "--room", room, JSON.stringify(data), ...(to ? ["--to", to] : []));
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
