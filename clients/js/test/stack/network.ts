/** A network between the client and the stack, which can be cut. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export class Network {
  /** Connections that were ever made. */
  count = 0;
  #url: URL;
  #state: "up" | "cut" | "silent" = "up";
  #pairs = new Set<[Socket, Socket]>();
  #server = createServer((client) => this.#connected(client));

  constructor(url: string) {
    this.#url = new URL(url);
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** Where it is reached. */
  get url(): string {
    const url = new URL(this.#url);
    url.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return url.href;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Ends every connection, and takes no new ones. */
  cut(): void {
    this.#state = "cut";
    this.#reset();
  }

  /** Like a cable that is pulled: nothing comes through, and nobody is told. */
  silence(): void {
    this.#state = "silent";
    for (const [client] of this.#pairs) client.pause();
    for (const [, server] of this.#pairs) server.pause();
  }

  /** New connections come through again. Old ones do not know of it. */
  mend(): void {
    this.#state = "up";
  }

  stop(): void {
    this.#server.close();
    this.#reset();
  }

  #reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  #connected(client: Socket): void {
    this.count += 1;
    client.on("error", () => {});
    if (this.#state === "cut") {
      client.resetAndDestroy();
      return;
    }
    if (this.#state === "silent") return;
    const server = connect(Number(this.#url.port), this.#url.hostname);
    server.on("error", () => client.destroy());
    const pair: [Socket, Socket] = [client, server];
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on("close", () => {
        this.#pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
    client.pipe(server).pipe(client);
  }
}
