/** Clients in Node.js that are members of a room of the real stack, each through a network of its own. */
import { after } from "node:test";

import { Hermes, type HermesOptions } from "../../src/index.ts";
import { Network } from "./network.ts";
import { issue, until } from "./stack.ts";

/** What is closed when the file's last test is done. */
export const clients: Hermes[] = [];
const networks: Network[] = [];
after(() => {
  for (const client of clients) client.close();
  for (const network of networks) network.stop();
});

/** A client of `user` behind a network of its own, and the data of all that it was told. */
export async function join(room: string, user: string, options: Partial<HermesOptions> = {}) {
  const network = await new Network((await issue(user, room)).url).start();
  networks.push(network);
  const token = async () => (await issue(user, room)).token;
  const timing = { longestDelay: 1_000, ...options.timing };
  const hermes = new Hermes({ url: network.url, token, ...options, timing });
  clients.push(hermes);
  const told: unknown[] = [];
  const gone: string[] = [];
  hermes.on("*", (data) => told.push(data));
  hermes.onHistoryGone((stream) => gone.push(stream));
  await until(() => status(hermes) === "open");
  // A message published before the stack knows the connection comes by recovery: wait for none of that.
  await hermes.send("joined", { to: user });
  await until(() => told.length === 1);
  told.length = 0;
  return { hermes, told, gone, network };
}

export const status = (hermes: Hermes) => hermes.state.getSnapshot().status;
