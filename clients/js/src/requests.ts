import { HermesError } from "./error.ts";
import { type Answer, type Request, refusal } from "./frames.ts";

/** No other client, of this tab or another, has the same. */
export const CLIENT = crypto.randomUUID().slice(0, 8);

let count = 0;

interface Pending {
  resolve: (data: unknown) => void;
  reject: (error: HermesError) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Requests that wait for their answers. */
export class Requests {
  #pending = new Map<string, Pending>();

  /** Posts a request, and gives the `data` of its answer. */
  ask(request: Request, within: number, post: (request: Request) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ref = request.ref ?? `${CLIENT}-${++count}`;
      const timer = setTimeout(() => {
        this.#pending.delete(ref);
        reject(new HermesError(`no answer to ${request.action} within ${within} ms`, { code: "timeout" }));
      }, within);
      this.#pending.set(ref, { resolve, reject, timer });
      post({ ...request, ref });
    });
  }

  /** Settles the request that this answers, if it is one of these. */
  settle({ system, ref = "", data }: Answer): void {
    const pending = this.#pending.get(ref);
    if (!pending) return;
    this.#pending.delete(ref);
    clearTimeout(pending.timer);
    if (system === "error") pending.reject(refusal(data));
    else pending.resolve(data);
  }

  /** No answer will come to any. */
  fail(error: HermesError): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}
