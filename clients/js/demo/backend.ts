/**
 * What an application's backend does, done through the `hermes` command: `HERMES_CLI` says where that is,
 * `HERMES_STACK` for which stack, and `AWS_ENDPOINT_URL` at which AWS.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

const ADVICE =
  "there is no deployed stack. Run `cargo xtask test`; or run `cargo xtask up` and set AWS_ENDPOINT_URL " +
  "to the URL that it prints, AWS_ACCESS_KEY_ID=test, AWS_SECRET_ACCESS_KEY=test, AWS_REGION=us-east-1, and " +
  "HERMES_CLI to target/debug/hermes";

/** Runs the command, and gives what it printed. */
export async function hermes(...args: string[]): Promise<string> {
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

/** Enqueues data for the room, or for one user in it. */
export async function publish(room: string, data: unknown, to?: string): Promise<void> {
  await hermes("publish", "--room", room, JSON.stringify(data), ...(to ? ["--to", to] : []));
}
