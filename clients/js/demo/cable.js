/** A network cable for one client: sockets that can be cut. */
export class Cable {
  #isCut = false;
  #sockets = new Set();

  /** A `WebSocket` at the end of this cable. */
  get WebSocket() {
    const cable = this;
    return class extends WebSocket {
      constructor(...address) {
        super(...address);
        cable.#sockets.add(this);
        this.addEventListener("close", () => cable.#sockets.delete(this));
        if (cable.#isCut) this.close();
      }
    };
  }

  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.close();
  }

  mend() {
    this.#isCut = false;
    window.dispatchEvent(new Event("online")); // what a browser says then
  }
}
