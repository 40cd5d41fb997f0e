import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { onWake } from "../../src/wake.ts";
import { client, opened, server, status, until } from "./client.ts";

test("a look at the clock that comes far too late means that the machine slept", (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  let woken = 0;
  const end = new AbortController();
  onWake(() => woken++, { tick: 30_000, signal: end.signal });
  for (let times = 10; times > 0; times--) t.mock.timers.tick(30_000);
  assert.equal(woken, 0);
  t.mock.timers.setTime(Date.now() + 100_000); // timers stand still while a machine sleeps
  t.mock.timers.tick(30_000);
  assert.equal(woken, 1);
  t.mock.timers.tick(30_000);
  assert.equal(woken, 1);
  end.abort();
  t.mock.timers.setTime(Date.now() + 1_000_000);
  t.mock.timers.tick(30_000);
  assert.equal(woken, 1);
});

/** The parts of a browser that tell of the network and the page. */
function browser(t: { after: (undo: () => void) => void }) {
  const parts = {
    window: new EventTarget(),
    document: Object.assign(new EventTarget(), { visibilityState: "visible" }),
  };
  Object.assign(globalThis, parts);
  t.after(() => {
    for (const part of Object.keys(parts)) Reflect.deleteProperty(globalThis, part);
  });
  return parts;
}

for (const [target, type] of [
  ["window", "online"],
  ["window", "offline"],
  ["window", "pageshow"],
  ["document", "visibilitychange"],
  ["document", "resume"],
] as const) {
  test(`after "${type}" the connection is looked at`, async (t) => {
    const parts = browser(t);
    const hub = await server();
    const { hermes } = client(hub, { tabs: false });
    await opened(hub, hermes);
    assert.equal(hub.of("ping").length, 0);
    parts[target].dispatchEvent(new Event(type));
    await until(() => hub.of("ping").length === 1);
    hermes.close();
    parts[target].dispatchEvent(new Event(type));
    await sleep(20);
    assert.equal(hub.of("ping").length, 1);
  });
}

test("when the network is back, nobody waits for the next attempt", async (t) => {
  const { window } = browser(t);
  const hub = await server();
  const { hermes } = client(hub, { tabs: false, timing: { firstDelay: 60_000, longestDelay: 60_000 } });
  await opened(hub, hermes);
  await hub.stop();
  await until(() => status(hermes) === "waiting");
  await hub.start();
  window.dispatchEvent(new Event("online"));
  await until(() => status(hermes) === "open");
});

test("a connection that died in the machine's sleep is replaced at once", async (t) => {
  const { document } = browser(t);
  const hub = await server();
  const { hermes, told } = client(hub, { tabs: false });
  await opened(hub, hermes);
  const [dead] = hub.sockets;
  hub.fault = (_request, socket) => (socket === dead ? "silence" : undefined);
  hub.append("missed");
  document.dispatchEvent(new Event("visibilitychange"));
  await until(() => told.length === 1);
  assert.equal(hub.tokens.length, 2);
});
