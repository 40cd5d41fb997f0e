/** The demo page, from the server that `cargo xtask up` starts. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import type { Browser, Locator, Page } from "playwright-core";

import { closing, launch } from "./browser.ts";
import { newRoom, until } from "./stack.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const axe = readFileSync(`${root}node_modules/axe-core/axe.min.js`, "utf8");

let browser: Browser;
before(async () => {
  browser = await launch();
});

/** The server's URL. */
async function serve(room = newRoom()): Promise<string> {
  const server = spawn(process.execPath, [`${root}demo/server.ts`, "--room", room], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(() => server.kill());
  for await (const line of server.stdout) return String(line).trim();
  throw new Error("the server ended");
}

/** The page, where both users are connected. */
async function demo(colorScheme: "light" | "dark" = "light", room?: string) {
  const url = await serve(room);
  const page = await browser.newPage({ colorScheme, viewport: { width: 1120, height: 900 } });
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  await page.goto(url);
  const [alice, bob] = ["Alice", "Bob"].map((name) => page.getByRole("region", { name, exact: true }));
  if (!alice || !bob) throw new Error("two users");
  for (const user of [alice, bob]) await user.getByText("Connected", { exact: true }).waitFor();
  return { page, alice, bob, errors };
}

/** A user writes to everybody. */
async function say(user: Locator, text: string): Promise<void> {
  await user.getByLabel("Message to everybody").fill(text);
  await user.getByRole("button", { name: "Send" }).click();
}

/** What the screenshots name. Whoever joins a room is told of what was published just before. */
const ROOMS = { light: "demo", dark: "demo-dark" };

/** What axe finds wrong. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: it is loaded in the page
    const { violations } = await (window as any).axe.run();
    // biome-ignore lint/suspicious/noExplicitAny: see above
    return violations.map(({ id, nodes }: any) => `${id}: ${nodes.map(({ html }: any) => html)}`);
  });
}

test("with the keyboard alone: a backend's message reaches both users, or the one who is meant", async () => {
  const { page, alice, bob, errors } = await demo();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("Three files");
  await page.keyboard.press("Enter");
  await page.getByText("It is on the queue.").waitFor();
  for (const user of [alice, bob]) {
    await user.getByRole("listitem").getByText("backup.finished: Three files").waitFor();
    await user.locator(".toast").getByText("backup.finished: Three files").waitFor();
  }
  await page.getByLabel("For").selectOption("Bob");
  await page.getByLabel("Text", { exact: true }).fill("Only for you");
  await page.getByRole("button", { name: "Enqueue" }).click();
  await bob.getByRole("listitem").getByText("Only for you").waitFor();
  assert.equal(await alice.getByRole("listitem").count(), 1);
  assert.deepEqual(errors, []);
});

test("a user whose network is cut catches up, and what was written meanwhile goes out once", async () => {
  const { alice, bob, errors } = await demo();
  await bob.getByRole("switch", { name: "Network of Bob" }).click();
  await bob.getByText("Not connected; trying again").waitFor();
  await say(bob, "from the tunnel");
  await bob.getByText("1 on the way").waitFor();
  for (const text of ["one", "two", "three"]) {
    await say(alice, text);
    await alice.getByRole("listitem").getByText(`message: ${text}`).waitFor();
  }
  assert.equal(await bob.getByRole("listitem").count(), 0);
  await bob.getByRole("switch").press("Space");
  await bob.getByText("Connected", { exact: true }).waitFor();
  for (const user of [alice, bob]) {
    await until(async () => (await user.getByRole("listitem").count()) === 4);
    const texts = await user
      .getByRole("listitem")
      .evaluateAll((items) => items.map((item) => item.firstChild?.textContent));
    assert.deepEqual(
      texts.reverse(),
      ["one", "two", "three", "from the tunnel"].map((text) => `message: ${text}`),
    );
  }
  assert.deepEqual(errors, []);
});

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing wrong, ${scheme}`, async () => {
    const { HERMES_SCREENSHOTS } = process.env;
    const { page, alice, bob } = await demo(scheme, HERMES_SCREENSHOTS && ROOMS[scheme]);
    const enqueue = async (type: string, text: string) => {
      await page.getByLabel("Type").selectOption(type);
      await page.getByLabel("Text", { exact: true }).fill(text);
      await page.getByRole("button", { name: "Enqueue" }).click();
      await alice.getByRole("listitem").getByText(text).waitFor();
    };
    await enqueue("backup.finished", "All 17 files are safe.");
    await say(alice, "Thank you.");
    await bob.getByRole("listitem").getByText("Thank you.").waitFor();
    await bob.getByRole("switch").click();
    await say(bob, "I am in a tunnel.");
    await bob.getByText("1 on the way").waitFor();
    await enqueue("deploy.failed", "Two tests of the server fail.");
    const toasts = alice.locator(".toasts");
    await toasts.getByText("Two tests").waitFor();
    await toasts.evaluate(({ children }) =>
      Promise.all([...children].flatMap((toast) => toast.getAnimations().map(({ finished }) => finished))),
    );
    assert.deepEqual(await violations(page), []);
    if (HERMES_SCREENSHOTS) await page.screenshot({ path: `${HERMES_SCREENSHOTS}/demo-${scheme}.png` });
  });
}

test("the server refuses what the page does not ask for", async () => {
  const url = await serve();
  const ask = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);
  const post = (body: string, headers = {}) => ask("/messages", { method: "POST", body, headers });
  const refused = await Promise.all([
    ask("/hermes-token?user=mallory"),
    ask("/server.ts"),
    ask("/..%2Fpackage.json"),
    ask("/none.html"),
    ask("/", { method: "DELETE" }),
    post("no JSON"),
    post('{"data": 1, "to": "mallory"}'),
    post('{"data": 1}', { Origin: "https://example.com" }),
  ]);
  assert.deepEqual(
    refused.map(({ status }) => status),
    [403, 404, 404, 404, 405, 400, 400, 403],
  );
});

test("on a telephone nothing is cut off", async () => {
  const { page } = await demo();
  await page.setViewportSize({ width: 320, height: 640 });
  const { scroll, client } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return { scroll: scrollWidth, client: clientWidth };
  });
  assert.ok(scroll <= client, `${scroll} > ${client}`);
});
