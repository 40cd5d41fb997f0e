/**
 * A server of one room that keeps a log and can be told to misbehave: what the real one does only rarely.
 * The tests in ../stack are run against the real one.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { type WebSocket, WebSocketServer } from "ws";

import type { Notification, Position, Request } from "../../src/frames.ts";

interface Message extends Notification {
  epoch: string;
  offset: number;
}

/** What a client asked. */
export type Asked = Request & { ref: string; id?: string; data?: unknown; epoch?: string; offset?: number };

/** Answers a request: with an answer, with silence, or as usual. */
type Fault = (request: Asked, socket: WebSocket) => object | "silence" | undefined;

export class Server {
  /** Every request, in order. */
  asked: Asked[] = [];
  /** The tokens that were shown. */
  tokens: string[] = [];
  sockets: WebSocket[] = [];
  log: Message[] = [];
  epoch = "e";
  /** What has expired: the log begins behind it. */
  expired = 0;
  fault: Fault = () => undefined;
  /** Refuses handshakes with this status. */
  refuse: number | undefined;
  #port = 0;
  #server: WebSocketServer | undefined;

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/dev`;
  }

  async start(): Promise<this> {
    const server = new WebSocketServer({
      host: "127.0.0.1",
      port: this.#port,
      handleProtocols: (protocols) => (protocols.has("bearer") ? "bearer" : false),
      verifyClient: (_info, accept) => accept(this.refuse === undefined, this.refuse),
    });
    await once(server, "listening");
    this.#port = (server.address() as AddressInfo).port;
    server.on("connection", (socket, request) => this.#connected(socket, request.headers));
    this.#server = server;
    return this;
  }

  /** Ends every connection, without a word, and takes no new ones. */
  async stop(): Promise<void> {
    for (const socket of this.#server?.clients ?? []) socket.terminate();
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    await closed;
    this.sockets = [];
  }

  /** Closes every connection as API Gateway does. */
  close(code = 1001): void {
    for (const socket of this.sockets) socket.close(code, "Going away");
  }

  /** Appends to the log. */
  append(data: unknown, id = `id-${this.log.length + 1}`, user_id = "bob"): Message {
    const offset = (this.log.at(-1)?.offset ?? 0) + 1;
    const sent_at = "2026-11-21T10:00:00.123Z";
    const message = {
      user_id,
      data,
      room_id: "demo",
      id,
      sent_at,
      stream: "room",
      epoch: this.epoch,
      offset,
    };
    this.log.push(message as Message);
    return message as Message;
  }

  push(message: object): void {
    for (const socket of this.sockets) socket.send(JSON.stringify(message));
  }

  /** As usual: into the log, then to everybody. */
  publish(data: unknown): void {
    this.push(this.append(data));
  }

  /** The requests of one action. */
  of(action: string): Asked[] {
    return this.asked.filter((request) => request.action === action);
  }

  #connected(socket: WebSocket, headers: { [name: string]: string | string[] | undefined }): void {
    this.tokens.push(String(headers["sec-websocket-protocol"]).split(",")[1] as string);
    this.sockets.push(socket);
    socket.on("close", () => {
      this.sockets = this.sockets.filter((other) => other !== socket);
    });
    const head = this.log.at(-1)?.offset ?? 0;
    socket.on("message", (text) => {
      const request = JSON.parse(String(text)) as Asked;
      this.asked.push(request);
      const answer = this.fault(request, socket) ?? this.#answer(request, head);
      if (answer !== "silence") socket.send(JSON.stringify({ ...answer, ref: request.ref }));
    });
  }

  #answer(request: Asked, connectedAt: number): object | "silence" {
    switch (request.action) {
      case "ping":
        return { system: "pong", data: { heads: { room: this.#head(), user: null } } };
      case "recover":
        return { system: "recovered", data: this.#recover(request, connectedAt) };
      case "sendMessage": {
        const stored = this.log.find(({ id }) => id === request.id);
        const message = stored ?? this.append(request.data, request.id, "alice");
        this.push(message);
        const { id, stream, epoch, offset } = message;
        return { system: "ack", data: { id, stream, epoch, offset } };
      }
      default:
        return error("unknown_action", "no such action");
    }
  }

  #head(): Position {
    return { epoch: this.epoch, offset: this.log.at(-1)?.offset ?? 0 };
  }

  #recover({ stream, epoch, offset }: Asked, connectedAt: number): object {
    if (stream === "user") {
      return { stream, epoch: "u", head: 0, complete: true, more: false, messages: [] };
    }
    const after = offset ?? connectedAt;
    const complete = (epoch === undefined || epoch === this.epoch) && after >= this.expired;
    const left = complete ? this.log.filter((message) => message.offset > after) : [];
    const messages = left.slice(0, 3); // small pages, so that `more` is seen
    const { epoch: now, offset: end } = this.#head();
    const more = messages.length < left.length;
    const head = more ? (messages.at(-1) as Message).offset : end;
    return { stream, epoch: now, head, complete, more, messages };
  }
}

/** An error frame. */
export function error(code: string, message = code): object {
  return { system: "error", data: { code, message } };
}
