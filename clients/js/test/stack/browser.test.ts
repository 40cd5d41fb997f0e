/** The client in Chromium against the real stack, through a network that fails. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import type { Browser, Page } from "playwright-core";

import { begin, closing, launch, Site, tab, told } from "./browser.ts";
import { Network } from "./network.ts";
import { issue, newRoom, publish, revoke, until } from "./stack.ts";

let browser: Browser;
before(async () => {
  browser = await launch();
});

const QUICK = { longestDelay: 1_000 };

/** A user at a desk: a site, a network, and a browser profile. */
async function desk() {
  const room = newRoom();
  const site = await new Site(room).start();
  const network = await new Network((await issue("alice", room)).url).start();
  closing.push(() => network.stop());
  const context = await browser.newContext();
  const open = (options: object = {}) => tab(context, site, network.url, { timing: QUICK, ...options });
  return { room, site, network, context, open };
}

const hears = async (page: Page, expected: unknown[]) => {
  await until(async () => (await told(page)).length >= expected.length, `hears ${expected}`);
  assert.deepEqual(await told(page), expected);
};

const send = (page: Page, data: unknown) => page.evaluate((data) => window.hermes.send(data), data);
const status = (page: Page) => page.evaluate(() => window.hermes.state.getSnapshot().status);
const becomes = (page: Page, expected: string) =>
  until(async () => (await status(page)) === expected, expected);

/** Stops a page as browsers freeze hidden tabs, until the returned function is called. */
async function freeze(page: Page): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Debugger.enable");
  const paused = new Promise((resolve) => session.once("Debugger.paused", resolve));
  await session.send("Debugger.pause"); // at the next statement
  session.send("Runtime.evaluate", { expression: "0" }).catch(() => {});
  await paused;
  return () => session.detach();
}

/** Stops every page, as a laptop does whose lid is closed, until the returned function is called. */
async function sleep(): Promise<() => void> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer");
  for (const { id } of pages) process.kill(id, "SIGSTOP");
  return () => {
    for (const { id } of pages) process.kill(id, "SIGCONT");
  };
}

test("a page hears and sends, and the position outlives it", async () => {
  const { room, network, site, context, open } = await desk();
  const page = await open({ stored: true });
  await publish(room, { type: "backup.finished", size: 17 });
  await hears(page, [{ type: "backup.finished", size: 17 }]);
  assert.equal((await send(page, "hello")).offset, 2);
  await hears(page, [{ type: "backup.finished", size: 17 }, "hello"]);
  await page.close();
  await publish(room, "while there was no page");
  const next = await tab(context, site, network.url, { stored: true });
  await hears(next, ["while there was no page"]);
});

test("when the server closes the connection, what was missed follows with a new token", async () => {
  const { room, site, open } = await desk();
  const page = await open({ timing: { firstDelay: 3_000 } });
  await publish(room, 1);
  await hears(page, [1]);
  const { tokens } = site;
  await revoke("alice", room);
  await becomes(page, "waiting");
  await publish(room, 2);
  await hears(page, [1, 2]);
  assert.equal(site.tokens, tokens + 1);
});

test("offline and online again: nothing is lost, and what was sent goes out once, at once", async () => {
  const { room, network, context, open } = await desk();
  // It would take a minute, if it were not for the event.
  const page = await open({ timing: { firstDelay: 60_000, longestDelay: 60_000, answerWithin: 2_000 } });
  await publish(room, 1);
  await hears(page, [1]);
  network.cut();
  await context.setOffline(true);
  await becomes(page, "waiting");
  await publish(room, 2);
  await page.evaluate(() => void window.hermes.send(3));
  network.mend();
  await context.setOffline(false);
  await hears(page, [1, 2, 3]);
});

test("a laptop that slept looks at its connection when it wakes", async () => {
  const { room, network, open } = await desk();
  const page = await open({ timing: { ...QUICK, tick: 500, answerWithin: 2_000 } });
  await publish(room, 1);
  await hears(page, [1]);
  const wake = await sleep();
  network.silence(); // the connection dies, and nobody is told
  await Promise.all([publish(room, 2), setTimeout(2_000)]);
  network.mend();
  wake();
  await hears(page, [1, 2]);
  assert.equal(network.count, 2);
});

test("two tabs share a connection, and the second takes over when the first is closed", async () => {
  const { room, network, open } = await desk();
  const first = await open();
  const second = await open();
  await publish(room, 1);
  for (const page of [first, second]) await hears(page, [1]);
  assert.equal((await send(second, 2)).offset, 2);
  for (const page of [first, second]) await hears(page, [1, 2]);
  assert.equal(network.count, 1);
  const sent = send(second, 3); // through a tab that is about to go
  await Promise.all([first.close(), publish(room, 4), sent]);
  await publish(room, 5);
  await until(async () => (await told(second)).length === 5);
  const all = (await told(second)) as number[];
  assert.deepEqual([all.toSorted(), all[4]], [[1, 2, 3, 4, 5], 5]);
  assert.deepEqual([await second.evaluate(() => window.gone), network.count], [[], 2]);
  await until(() => network.open === 1);
});

test("a frozen tab loses the lead to one that is looked at, and follows when it thaws", async () => {
  const { room, open } = await desk();
  const timing = { ...QUICK, answerWithin: 1_000 };
  const first = await open({ timing });
  const second = await open({ timing });
  await publish(room, 1);
  for (const page of [first, second]) await hears(page, [1]);
  const thaw = await freeze(first);
  await publish(room, 2);
  await second.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await hears(second, [1, 2]);
  await thaw();
  await publish(room, 3);
  for (const page of [first, second]) await hears(page, [1, 2, 3]);
  assert.equal(await status(first), "open");
});

test("another user in the same browser has a connection of its own", async () => {
  const { room, site, network, context, open } = await desk();
  const alice = await open();
  site.user = "bob";
  const bob = await tab(context, site, network.url);
  await publish(room, "for bob", "bob");
  await publish(room, "for both");
  await until(async () => (await told(bob)).length === 2);
  await hears(alice, ["for both"]);
  assert.equal(network.count, 2);
});

test("a page that is loaded anew, again and again, leaves nothing behind", async () => {
  const { room, network, open } = await desk();
  const page = await open({ stored: true });
  for (let n = 1; n <= 3; n++) {
    await publish(room, n);
    await hears(page, [n]);
    await page.reload();
    await begin(page, network.url, { stored: true, timing: QUICK });
  }
  await until(() => network.open === 1);
});

test("a client of the old kind, with ?token= and data.type, is told all the same", async () => {
  const { room, site, context } = await desk();
  const { url, token } = await issue("old", room);
  const page = await context.newPage();
  await page.goto(site.url);
  await page.evaluate(
    (address) =>
      new Promise((resolve, reject) => {
        window.told = [];
        const socket = new WebSocket(address);
        socket.onmessage = ({ data }) => {
          const notification = JSON.parse(data);
          switch (notification.data.type) {
            case "greeting":
              window.told.push(notification.data.data);
          }
        };
        socket.onopen = resolve;
        socket.onerror = reject;
      }),
    `${url}?token=${token}`,
  );
  await publish(room, { type: "other" });
  await publish(room, { type: "greeting", data: "Hello" });
  await hears(page, ["Hello"]);
});
