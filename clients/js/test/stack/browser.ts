/** Chromium, and a web server with pages that use the client. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

import { findChromium } from "../../scripts/chromium.ts";
import { issue } from "./stack.ts";

/** What is closed when the file's last test is done. */
export const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The browser that is there. Each launch has a profile of its own. */
export async function launch(): Promise<Browser> {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("no Chromium: `node scripts/chromium.ts` installs one");
  const browser = await chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: false });
  closing.push(() => browser.close());
  return browser;
}

/** A page: its type and content. */
type Content = [string, string];

/** A web server: `/` is an empty page, `/hermes-token` mints a token, as an application's backend would. */
export class Site {
  /** More pages, by path. */
  pages: Record<string, Content | ((url: URL, body: string) => Promise<Content>)> = {
    "/": ["text/html", "<!doctype html><title>Hermes</title>"],
  };
  /** How often a token was asked for. */
  tokens = 0;
  user = "alice";
  room: string;
  #server = createServer(async (request, response) => {
    const body = (await request.toArray()).join("");
    const [type, content] = await this.#content(new URL(request.url as string, this.url), body);
    response.setHeader("Content-Type", type).end(content);
  });

  constructor(room: string) {
    this.room = room;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return this;
  }

  get url(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async #content(url: URL, body: string): Promise<Content> {
    const page = this.pages[url.pathname];
    if (page) return typeof page === "function" ? page(url, body) : page;
    if (url.pathname === "/hermes-token") {
      this.tokens += 1;
      const user = url.searchParams.get("user") ?? this.user;
      return ["text/plain", (await issue(user, this.room)).token];
    }
    if (url.pathname === "/hermes.min.js") {
      return [
        "text/javascript",
        await readFile(new URL("../../dist/hermes.min.js", import.meta.url), "utf8"),
      ];
    }
    return ["text/plain", ""];
  }
}

declare global {
  interface Window {
    // biome-ignore lint/suspicious/noExplicitAny: it is loaded in the page
    hermes: any;
    told: unknown[];
    gone: string[];
  }
}

/** A tab with a client in it, connected. */
export async function tab(
  context: BrowserContext,
  site: Site,
  url: string,
  options: object = {},
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.url);
  await begin(page, url, options);
  return page;
}

/** Starts a client in a page, and waits until it is connected. */
export async function begin(page: Page, url: string, options: object = {}): Promise<void> {
  await page.evaluate(
    async ([url, { stored, ...options }]) => {
      const path = "/hermes.min.js";
      const { Hermes } = await import(path);
      window.told = [];
      window.gone = [];
      const token = async () => (await fetch("/hermes-token")).text();
      window.hermes = new Hermes({ url, token, ...(stored && { storage: localStorage }), ...options });
      window.hermes.on("*", (data: unknown) => window.told.push(data));
      window.hermes.onHistoryGone((stream: string) => window.gone.push(stream));
    },
    [url, options] as [string, { stored?: boolean }],
  );
  await page.waitForFunction(() => window.hermes.state.getSnapshot().status === "open");
}

export const told = (page: Page): Promise<unknown[]> => page.evaluate(() => window.told);
