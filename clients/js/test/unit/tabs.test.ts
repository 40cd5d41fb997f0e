/** Node.js has the browser's locks and channels: here each client is a tab. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { HermesOptions } from "../../src/index.ts";
import { client, opened, server, status, token, until } from "./client.ts";
import type { Server } from "./server.ts";

const tab = (hub: Server, options: Partial<HermesOptions> = {}) => client(hub, { tabs: true, ...options });

/** So many tabs, of which the first leads. */
async function tabs(hub: Server, count: number, options: Partial<HermesOptions> = {}) {
  const all = [tab(hub, options)];
  await opened(hub, (all[0] as ReturnType<typeof tab>).hermes);
  while (all.length < count) all.push(tab(hub, options));
  for (const { hermes } of all) await until(() => status(hermes) === "open");
  await sleep(20);
  return all as [ReturnType<typeof tab>, ReturnType<typeof tab>, ReturnType<typeof tab>];
}

/** A tab that leads and says that it is connected, but answers no request, and dies without a word. */
function impostor(name: string, options: LockOptions = {}) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const dead = navigator.locks.request(name, options, () => promise);
  const channel = new BroadcastChannel(name);
  const requests: unknown[] = [];
  channel.onmessage = ({ data: { hello, request } }: MessageEvent) => {
    if (hello) channel.postMessage({ welcome: { leader: "impostor", state: { status: "open" } } });
    if (request) requests.push(request);
  };
  const die = () => {
    channel.close();
    resolve();
  };
  return { die, dead, requests };
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

test("one socket is enough, and every tab hears everything", async () => {
  const hub = await server();
  hub.append("before");
  const all = await tabs(hub, 3);
  for (let n = 1; n <= 20; n++) hub.publish(n);
  for (const { told } of all) await until(() => told.length === 20);
  for (const { told, gone } of all) assert.deepEqual([told, gone], [numbers(1, 20), []]);
  assert.equal(hub.tokens.length, 1);
  assert.equal(hub.of("recover").length, 2, "the other tabs begin where the first is");
});

test("another user, or another room, has a socket of its own", async () => {
  const hub = await server();
  for (const [user, room] of [
    ["alice", "demo"],
    ["bob", "demo"],
    ["alice", "other"],
  ]) {
    const { hermes } = tab(hub, { token: () => token(user, room) });
    await until(() => status(hermes) === "open");
  }
  assert.equal(hub.sockets.length, 3);
});

test("every tab sends through the one socket", async () => {
  const hub = await server();
  const [first, second, third] = await tabs(hub, 3);
  assert.equal((await second.hermes.send("two", { id: "b" })).id, "b");
  assert.deepEqual(await third.hermes.send("three", { id: "c" }), {
    id: "c",
    stream: "room",
    epoch: "e",
    offset: 2,
  });
  await until(() => first.told.length === 2 && second.told.length === 2 && third.told.length === 2);
  assert.equal(hub.tokens.length, 1);
  hub.fault = () => ({ system: "error", data: { code: "payload_too_large", message: "too large" } });
  await assert.rejects(second.hermes.send("large"), { code: "payload_too_large", retry: false });
});

test("a tab that is closed hands over, without loss or repetition", async () => {
  const hub = await server();
  const [first, second, third] = await tabs(hub, 3, { timing: { ackWithin: 60_000 } });
  hub.publish(1);
  await until(() => third.told.length === 1);
  hub.fault = ({ action }) => (action === "sendMessage" ? "silence" : undefined);
  const sent = third.hermes.send(2); // under way through the tab that goes
  await until(() => hub.of("sendMessage").length === 1);
  hub.fault = () => undefined;
  first.hermes.close();
  assert.equal((await sent).offset, 2);
  hub.publish(3);
  for (const { told } of [second, third]) {
    await until(() => told.length === 3);
    assert.deepEqual(told, [1, 2, 3]);
  }
  assert.deepEqual([hub.tokens.length, hub.sockets.length, hub.log.length], [2, 1, 3]);
});

test("what came while nobody led is recovered in every tab", async () => {
  const hub = await server();
  const [first, second, third] = await tabs(hub, 3);
  hub.publish(1);
  await until(() => third.told.length === 1);
  await hub.stop();
  first.hermes.close();
  for (let n = 2; n <= 10; n++) hub.append(n);
  await hub.start();
  for (const { told, gone } of [second, third]) {
    await until(() => told.length === 10);
    assert.deepEqual([told, gone], [numbers(1, 10), []]);
  }
});

test("history that is gone is told in every tab", async () => {
  const hub = await server();
  const all = await tabs(hub, 3);
  hub.publish(1);
  for (const { told } of all) await until(() => told.length === 1);
  hub.append(2);
  hub.expired = 2;
  hub.close();
  for (const { gone } of all) await until(() => gone.length === 1);
  hub.publish(3);
  for (const { told, gone } of all) {
    await until(() => told.length === 2);
    assert.deepEqual([told, gone], [[1, 3], ["room"]]);
  }
});

test("a notification that one tab did not hear is recovered through the other", async () => {
  const hub = await server();
  const [, second] = await tabs(hub, 2);
  hub.publish(1);
  await until(() => second.told.length === 1);
  // The channel is of the same name for whoever is of the same origin.
  const channel = new BroadcastChannel(`hermes ${hub.url} ["demo","alice"]`);
  channel.postMessage({ heads: { room: { epoch: "e", offset: 3 } } });
  hub.append(2);
  hub.append(3);
  await until(() => second.told.length === 3);
  channel.close();
  assert.deepEqual(second.told, [1, 2, 3]);
  assert.equal(hub.of("recover").length, 3);
});

test("a page that may not lock has a connection of its own", { timeout: 10_000 }, async (t) => {
  t.mock.method(navigator.locks, "request", async () => {
    await sleep(1);
    throw new DOMException("storage is forbidden", "SecurityError");
  });
  const hub = await server();
  const { hermes, told } = tab(hub);
  await opened(hub, hermes);
  hub.publish(1);
  await until(() => told.length === 1);
  hermes.close();
  await until(() => hub.sockets.length === 0);
  assert.equal(hub.tokens.length, 1);
});

test("a leader that does not answer any more is replaced", async () => {
  const hub = await server();
  const name = `hermes ${hub.url} ["demo","alice"]`;
  // Holds the lock and never says a word, like a tab that is frozen.
  const dead = navigator.locks.request(name, () => new Promise(() => {}));
  dead.catch(() => {});
  await sleep(20);
  const first = tab(hub, { timing: { answerWithin: 100 } });
  const second = tab(hub, { timing: { answerWithin: 100 } });
  for (const { hermes } of [first, second]) await until(() => status(hermes) === "open");
  await assert.rejects(dead, { name: "AbortError" });
  await until(() => hub.sockets.length === 1);
  hub.publish(1);
  for (const { told } of [first, second]) await until(() => told.length === 1);
});

test("what a tab sent through one that died is sent again through the next", {
  timeout: 20_000,
}, async () => {
  const hub = await server();
  const name = `hermes ${hub.url} ["demo","alice"]`;
  const { die, dead, requests } = impostor(name);
  const followers = [1, 2].map(() => tab(hub, { timing: { ackWithin: 60_000 } }));
  for (const { hermes } of followers) await until(() => status(hermes) === "open");
  const sent = followers.map(({ hermes }, index) => hermes.send(index));
  await until(() => requests.length === 2);
  die();
  await dead;
  await Promise.all(sent);
  for (const { told } of followers) await until(() => told.length === 2);
  assert.deepEqual([hub.log.length, hub.tokens.length], [2, 1]);
});

test("a tab that lost the lead follows the new one at once", async () => {
  const hub = await server();
  const { hermes } = tab(hub, { timing: { firstDelay: 60_000, longestDelay: 60_000 } });
  await opened(hub, hermes);
  await hub.stop();
  await until(() => status(hermes) === "waiting");
  const { die } = impostor(`hermes ${hub.url} ["demo","alice"]`, { steal: true });
  await until(() => status(hermes) === "open");
  die();
});

test("the state is the same in every tab, until each is closed for itself", async () => {
  const hub = await server();
  const [first, second] = await tabs(hub, 2);
  await hub.stop();
  for (const { hermes } of [first, second]) await until(() => status(hermes) === "waiting");
  assert.equal(second.hermes.state.getSnapshot().error?.code, first.hermes.state.getSnapshot().error?.code);
  await hub.start();
  for (const { hermes } of [first, second]) await until(() => status(hermes) === "open");
  second.hermes.close();
  await sleep(20);
  assert.deepEqual([status(first.hermes), status(second.hermes)], ["open", "closed"]);
});
