/** The server of the demo page, on this machine only: node server.ts --room ROOM --port PORT */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";

import { issue, publish } from "./backend.ts";

/** Whom the page shows: nobody else gets a token. */
const USERS = ["alice", "bob"];

const TYPES = { html: "text/html", css: "text/css", js: "text/javascript" };

/** A status, and perhaps a type and a content. */
type Answer = [number, string?, (string | Buffer)?];

const { values } = parseArgs({
  options: { room: { type: "string", default: "demo" }, port: { type: "string", default: "0" } },
});
const { room } = values;

async function answer(request: IncomingMessage, { pathname, searchParams }: URL): Promise<Answer> {
  switch (`${request.method} ${pathname}`) {
    case "GET /demo.json": {
      const { url } = await issue("alice", room);
      return [200, "application/json", JSON.stringify({ url, room })];
    }
    case "GET /hermes-token": {
      const user = searchParams.get("user") ?? "";
      return USERS.includes(user) ? [200, "text/plain", (await issue(user, room, "1h")).token] : [403];
    }
    case "POST /messages": {
      const message = parse((await request.toArray()).join(""));
      if (!message) return [400];
      await publish(room, message.data, message.to);
      return [202];
    }
    case "GET /hermes.min.js":
      return file("../dist/hermes.min.js");
    default:
      return request.method === "GET" ? file(pathname === "/" ? "index.html" : pathname.slice(1)) : [405];
  }
}

/** A file of the page, which its browser asks for anew each time. */
async function file(name: string): Promise<Answer> {
  const [, type] = name.match(/^(?:\.\.\/dist\/)?(?:hermes\.min|[a-z]+)\.(html|css|js)$/) ?? [];
  const content = type && (await readFile(new URL(name, import.meta.url)).catch(() => undefined));
  return content ? [200, TYPES[type as keyof typeof TYPES], content] : [404];
}

function parse(text: string): { data: unknown; to?: string } | undefined {
  try {
    const message = JSON.parse(text);
    const isOne = "data" in message && (message.to === undefined || USERS.includes(message.to));
    return isOne ? message : undefined;
  } catch {
    return undefined;
  }
}

const server = createServer(async (request, response) => {
  // Another page may not have this one enqueue.
  const { origin, host } = request.headers;
  const isOurs = origin === undefined || origin === `http://${host}`;
  try {
    const url = new URL(request.url as string, `http://${host}`);
    const [status, type = "text/plain", content] = isOurs ? await answer(request, url) : ([403] as Answer);
    const headers = { "Content-Type": `${type}; charset=utf-8`, "Cache-Control": "no-store" };
    response.writeHead(status, headers).end(content);
  } catch (error) {
    console.error(error);
    response.writeHead(502).end();
  }
});
server.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
