/** What the unit tests have in common: clients that are in a hurry. */
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Hermes, type HermesOptions, type State, type Timing } from "../../src/index.ts";
import { Server } from "./server.ts";

export const QUICK: Partial<Timing> = {
  pingEvery: 60_000,
  answerWithin: 300,
  ackWithin: 300,
  openWithin: 1_000,
  overtakenWithin: 20,
  overlap: 50,
  firstDelay: 10,
  longestDelay: 80,
};

/** A token of Hermes' shape. */
export function token(user = "alice", room = "demo"): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS512" })}.${part({ user_id: user, room_id: room })}.c2lnbmVk`;
}

const open: (() => unknown)[] = [];
after(async () => {
  for (const close of open.reverse()) await close();
});

export async function server(): Promise<Server> {
  const server = await new Server().start();
  open.push(() => server.stop());
  return server;
}

/** A client, and the data of all that it was told. */
export function client(server: Server, options: Partial<HermesOptions> = {}) {
  const hermes = new Hermes({
    url: server.url,
    token: () => token(),
    ...options,
    timing: { ...QUICK, ...options.timing },
  });
  open.push(() => hermes.close());
  const told: unknown[] = [];
  const gone: string[] = [];
  hermes.on("*", (data) => told.push(data));
  hermes.onHistoryGone((stream) => gone.push(stream));
  return { hermes, told, gone };
}

/** Waits until something is so. */
export async function until(isSo: () => unknown, what = String(isSo)): Promise<void> {
  for (let waited = 0; !isSo(); waited += 5) {
    if (waited > 5_000) throw new Error(`never: ${what}`);
    await sleep(5);
  }
}

export const status = (hermes: Hermes): State["status"] => hermes.state.getSnapshot().status;

/** Waits until a client is connected, and knows where the streams are. */
export async function opened(server: Server, hermes: Hermes, times = 1): Promise<void> {
  await until(() => status(hermes) === "open");
  await until(() => server.of("recover").length >= 2 * times, "both streams are recovered");
  await sleep(20);
}
