import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type Hermes, HermesError } from "../../src/index.ts";
import { TIMING } from "../../src/timing.ts";
import { client, opened, server, status, token, until } from "./client.ts";
import { error } from "./server.ts";

const is = (code: string, retry: boolean) => (thrown: unknown) =>
  thrown instanceof HermesError && thrown.code === code && thrown.retry === retry;

test("listeners hear of their type, or of everything", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  const greetings: unknown[] = [];
  const stop = hermes.on("greeting", (data, notification) =>
    greetings.push([data.text, notification.offset]),
  );
  await opened(hub, hermes);
  // Types come from the network: these are properties of every object.
  for (const type of ["greeting", "toString", "__proto__", "constructor", "*"])
    hub.publish({ type, text: "hello" });
  hub.publish("no object");
  hub.publish(null);
  await until(() => told.length === 7);
  stop();
  hub.publish({ type: "greeting", text: "too late" });
  await until(() => told.length === 8);
  assert.deepEqual(greetings, [["hello", 1]]);
});

test("a listener that fails, of notifications or of the state, is its own problem", async (t) => {
  const failures: Error[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (failure) => failures.push(failure));
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  });
  const hub = await server();
  const { hermes } = client(hub);
  const later: unknown[] = [];
  const fail = () => {
    throw new Error("mine");
  };
  hermes.on("*", fail);
  const unsubscribe = hermes.state.subscribe(fail);
  hermes.on("*", (data) => later.push(data));
  await opened(hub, hermes);
  hub.publish(1);
  hub.publish(2);
  await until(() => later.length === 2);
  unsubscribe();
  assert.deepEqual(
    failures.map(({ message }) => message),
    ["mine", "mine", "mine", "mine"],
  );
});

test("frames that are not known are ignored", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  for (const socket of hub.sockets) {
    for (const text of [
      "",
      "no JSON",
      "null",
      "7",
      "[]",
      "{}",
      '{"system":"news","data":{}}',
      '{"system":"closing"}',
      '{"message":"Limit"}',
    ]) {
      socket.send(text);
    }
    socket.send(new Uint8Array([1, 2, 3]));
  }
  hub.publish("known");
  await until(() => told.length > 0);
  assert.deepEqual(told, ["known"]);
  assert.equal(hub.tokens.length, 1);
});

test("what is missing is asked for, and what comes twice is dropped", async () => {
  const hub = await server();
  const { hermes, told, gone } = client(hub);
  await opened(hub, hermes);
  hub.publish(1);
  const lost = [hub.append(2), hub.append(3), hub.append(4), hub.append(5), hub.append(6)];
  hub.publish(7);
  hub.push(lost[4] as object);
  hub.push(lost[0] as object);
  await until(() => told.length === 7);
  for (const late of lost) hub.push(late);
  hub.publish(8);
  await until(() => told.length === 8);
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(gone, []);
});

test("a pong tells of a lost message", async () => {
  const hub = await server();
  const { hermes, told } = client(hub, { timing: { pingEvery: 40 } });
  await opened(hub, hermes);
  hub.append("lost");
  await until(() => told.length === 1);
});

test("after a lost connection what was missed follows, with a fresh token", async () => {
  const hub = await server();
  let issued = 0;
  const { hermes, told } = client(hub, { token: async () => token() + ++issued });
  await opened(hub, hermes);
  hub.publish(1);
  await until(() => told.length === 1);
  await hub.stop();
  await until(() => status(hermes) === "waiting");
  assert.equal(hermes.state.getSnapshot().error?.code, "lost");
  for (let n = 2; n <= 9; n++) hub.append(n);
  await hub.start();
  await until(() => told.length === 8 + 1);
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(new Set(hub.tokens).size, hub.tokens.length);
});

test("why the server closed it is in the state: the reason of a backend, else the code", async () => {
  const hub = await server();
  const { hermes } = client(hub);
  const reasons = new Set<string>();
  hermes.state.subscribe(() => {
    const { error } = hermes.state.getSnapshot();
    if (error) reasons.add(error.message);
  });
  await opened(hub, hermes);
  hub.push({ system: "closing", data: { reason: "maintenance until 10:00" } });
  hub.close();
  await opened(hub, hermes, 2);
  hub.close();
  await opened(hub, hermes, 3);
  assert.deepEqual(
    [...reasons],
    ["closed by the server: maintenance until 10:00", "closed by the server with 1001, Going away"],
  );
});

test("history that is gone is told", async () => {
  const hub = await server();
  const { hermes, told, gone } = client(hub);
  await opened(hub, hermes);
  hub.publish(1);
  await until(() => told.length === 1);
  hub.append(2);
  hub.append(3);
  hub.expired = 2;
  hub.close();
  await until(() => gone.length === 1);
  hub.publish(4);
  await until(() => told.length === 2);
  assert.deepEqual([told, gone], [[1, 4], ["room"]]);
});

test("in a deployment without a log notifications are told as they come", async () => {
  const hub = await server();
  hub.fault = ({ action }) => (action === "recover" ? error("unknown_action") : undefined);
  const { hermes, told, gone } = client(hub);
  await opened(hub, hermes);
  const plain = (id: string) => ({ user_id: "bob", data: id, room_id: "demo", id, sent_at: "" });
  hub.push(plain("a"));
  hub.push(plain("b"));
  hub.push(plain("a")); // on the connection that is replaced, and on its successor
  hub.close();
  await opened(hub, hermes, 2);
  hub.push(plain("c"));
  await until(() => told.length === 3);
  assert.deepEqual([told, gone], [["a", "b", "c"], []]);
});

test("what comes on a connection while it is replaced is told, and told once", async () => {
  const hub = await server();
  hub.fault = ({ action }) => (action === "recover" ? error("unknown_action") : undefined);
  const { hermes, told } = client(hub, { timing: { replaceAfter: 100, overlap: 300 } });
  await opened(hub, hermes);
  const [first] = hub.sockets;
  await until(() => hub.tokens.length === 2);
  await sleep(20);
  // The members were read before the second connection was one.
  first?.send(JSON.stringify({ user_id: "bob", data: "a", room_id: "demo", id: "a", sent_at: "" }));
  hub.push({ user_id: "bob", data: "b", room_id: "demo", id: "b", sent_at: "" });
  await until(() => told.length === 2);
  await sleep(20);
  assert.deepEqual(told, ["a", "b"]);
});

test("an answer that does not help is not asked for all the time", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  hub.append("withheld");
  hub.fault = ({ action, stream }) =>
    action === "recover"
      ? {
          system: "recovered",
          data: { stream, epoch: "e", head: 2, complete: true, more: false, messages: [] },
        }
      : undefined;
  hub.publish("seen");
  await sleep(400);
  const times = hub.of("recover").length - 2;
  assert.ok(times >= 2 && times < 12, `${times} questions`);
  hub.fault = () => undefined;
  await until(() => told.length === 2);
  assert.deepEqual(told, ["withheld", "seen"]);
});

test("a message is acknowledged with its place", async () => {
  const hub = await server();
  const { hermes } = client(hub);
  const data = { type: "note", text: "ü" };
  const sent = hermes.send(data, { to: "bob", id: "mine" });
  data.text = "changed later";
  assert.deepEqual(await sent, { id: "mine", stream: "room", epoch: "e", offset: 1 });
  const [asked] = hub.of("sendMessage");
  assert.deepEqual([asked?.data, asked?.to], [{ type: "note", text: "ü" }, "bob"]);
  const { id } = await hermes.send(null);
  assert.match(id, /^[0-9a-f-]{36}$/);
});

test("a refused message fails with the code, and is not sent again", async () => {
  const hub = await server();
  hub.fault = ({ action }) => (action === "sendMessage" ? error("payload_too_large") : undefined);
  const { hermes } = client(hub);
  await assert.rejects(hermes.send("large"), is("payload_too_large", false));
  assert.equal(hub.of("sendMessage").length, 1);
  hub.fault = () => undefined;
  await hermes.send("small"); // the next one is not held up
});

test("a message at which the server closes the connection, as too large, is not sent again", {
  timeout: 10_000,
}, async () => {
  const hub = await server();
  const { hermes } = client(hub);
  hub.fault = ({ data }, socket) => {
    if (data !== "large".repeat(7_000)) return undefined;
    socket.close(1009);
    return "silence";
  };
  await assert.rejects(hermes.send("large".repeat(7_000)), is("payload_too_large", false));
  await hermes.send("small");
  assert.deepEqual([hub.of("sendMessage").length, hub.tokens.length], [2, 2]);
});

test("what is not JSON is refused here", async () => {
  const hub = await server();
  const { hermes } = client(hub);
  for (const data of [undefined, 1n, () => {}]) {
    await assert.rejects(hermes.send(data), is("invalid_message", false));
  }
});

test("without an answer, or after `internal`, the same message is sent again, and stored once", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  let times = 0;
  hub.fault = (request) => {
    if (request.action !== "sendMessage") return undefined;
    times += 1;
    if (times === 1) return error("internal");
    if (times === 2) hub.push(hub.append(request.data, request.id as string, "alice"));
    return times === 2 ? "silence" : undefined;
  };
  const ack = await hermes.send("once");
  assert.equal(times, 3);
  assert.equal(new Set(hub.of("sendMessage").map(({ id }) => id)).size, 1);
  assert.equal(ack.offset, 1);
  assert.deepEqual(told, ["once"]);
});

test("a message that is tried again is not overtaken by the next", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  let refused = 0;
  hub.fault = ({ data }) => (data === 1 && refused++ < 3 ? error("internal") : undefined);
  await Promise.all([1, 2].map((n) => hermes.send(n)));
  await until(() => told.length === 2);
  assert.deepEqual(told, [1, 2]);
});

test("what is sent while the connection is away follows, once and in order", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  await hub.stop();
  await until(() => status(hermes) !== "open");
  const sent = [1, 2, 3].map((n) => hermes.send(n));
  await sleep(50);
  await hub.start();
  const acks = await Promise.all(sent);
  assert.deepEqual(
    acks.map(({ offset }) => offset),
    [1, 2, 3],
  );
  await until(() => told.length === 3);
  assert.deepEqual([told, hub.log.length], [[1, 2, 3], 3]);
});

test("an answer lost with its connection: the message is sent again on the next, and stored once", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  hub.fault = (request, socket) => {
    if (request.action !== "sendMessage") return undefined;
    hub.append(request.data, request.id as string, "alice");
    hub.fault = () => undefined;
    socket.terminate();
    return "silence";
  };
  assert.equal((await hermes.send("once")).offset, 1);
  await until(() => told.length === 1);
  await sleep(50);
  assert.deepEqual([told, hub.log.length], [["once"], 1]);
});

test("with an expired token the next connection sends", async () => {
  const hub = await server();
  const { hermes } = client(hub);
  await opened(hub, hermes);
  const [old] = hub.sockets;
  hub.fault = ({ action }, socket) =>
    action === "sendMessage" && socket === old ? error("token_expired") : undefined;
  assert.equal((await hermes.send("late")).offset, 1);
  assert.equal(hub.tokens.length, 2);
  assert.equal(status(hermes), "open");
});

test("a token source that says never again ends it", async () => {
  const hub = await server();
  const signedOut = new HermesError("signed out", { retry: false });
  const { hermes } = client(hub, { token: () => Promise.reject(signedOut) });
  await assert.rejects(hermes.send("never"), signedOut);
  assert.deepEqual(hermes.state.getSnapshot(), { status: "closed", error: signedOut });
  await assert.rejects(hermes.send("later"), signedOut);
});

test("a token source that fails otherwise, or says nothing, is asked again", async () => {
  const hub = await server();
  let asked = 0;
  const source = () => {
    asked += 1;
    if (asked === 1) throw new TypeError("undefined is not a token");
    if (asked === 2) return "<html>Bad Gateway</html>";
    if (asked === 3) return new Promise<never>(() => {});
    return token();
  };
  const { hermes } = client(hub, { token: source, timing: { openWithin: 100 } });
  await opened(hub, hermes);
  assert.equal(asked, 4);
});

test("refused handshakes are counted for the token source, which may end it", async () => {
  const hub = await server();
  hub.refuse = 403;
  const counts: number[] = [];
  const source = ({ failures }: { failures: number }) => {
    counts.push(failures);
    if (failures === 3) throw new HermesError("revoked", { retry: false });
    return token();
  };
  const { hermes } = client(hub, { token: source });
  await until(() => status(hermes) === "closed");
  assert.deepEqual(counts, [0, 1, 2, 3]);
  assert.equal(hermes.state.getSnapshot().error?.message, "revoked");
});

test("a token of another user ends it", async () => {
  const hub = await server();
  let user = "alice";
  const { hermes } = client(hub, { token: () => token(user) });
  await opened(hub, hermes);
  user = "mallory";
  hub.close();
  await until(() => status(hermes) === "closed");
  assert.equal(hermes.state.getSnapshot().error?.code, "identity");
});

test("an URL that is none ends it", async () => {
  const hub = await server();
  const { hermes } = client(hub, { url: "ws://" });
  await until(() => status(hermes) === "closed");
  assert.equal(hermes.state.getSnapshot().error?.code, "invalid_url");
});

test("a connection on which no ping is answered is replaced", async () => {
  const hub = await server();
  const { hermes, told } = client(hub, { timing: { pingEvery: 50, answerWithin: 60 } });
  await opened(hub, hermes);
  const [silent] = hub.sockets;
  hub.fault = (_request, socket) => (socket === silent ? "silence" : undefined);
  hub.append("meanwhile");
  await until(() => hub.tokens.length === 2);
  await until(() => told.length === 1);
});

test("a connection is replaced before its time, without a gap", async () => {
  const hub = await server();
  const { hermes, told } = client(hub, { timing: { replaceAfter: 150 } });
  await opened(hub, hermes);
  const seen = new Set<string>();
  hermes.state.subscribe(() => seen.add(status(hermes)));
  let most = 0;
  let published = 0;
  while (hub.tokens.length < 4) {
    hub.publish(++published);
    most = Math.max(most, hub.sockets.length);
    assert.ok(hub.sockets.length > 0);
    await sleep(5);
  }
  await until(() => told.length === published);
  assert.deepEqual(
    told,
    Array.from({ length: published }, (_, index) => index + 1),
  );
  assert.deepEqual([...seen], ["open"]);
  assert.equal(most, 2, "the old one is read until the new one has recovered, and then closed");
  await until(() => hub.sockets.length === 1);
});

test("what is done by default is done before API Gateway's limits", () => {
  const MINUTE = 60_000;
  const { pingEvery, answerWithin, ackWithin, openWithin, replaceAfter, longestDelay } = TIMING;
  assert.ok(pingEvery + answerWithin < 10 * MINUTE, "a connection is idle for 10 minutes at most");
  // A token, a handshake, and some attempts that fail.
  const replacing = 3 * (openWithin + openWithin + longestDelay);
  assert.ok(replaceAfter + replacing < 120 * MINUTE, "it lasts 2 hours at most");
  assert.ok(ackWithin > 29_000, "an answer takes 29 s at most");
});

test("a server that takes connections and drops them is asked ever less often", async () => {
  const hub = await server();
  const { hermes } = client(hub, { timing: { longestDelay: 1_000 } });
  hub.fault = (_request, socket) => {
    socket.close(1011);
    return "silence";
  };
  await sleep(600);
  hermes.close();
  assert.ok(hub.tokens.length >= 3 && hub.tokens.length <= 8, `${hub.tokens.length} connections`);
});

test("the position is kept in a storage, and the next client goes on there", async () => {
  const hub = await server();
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
  const first = client(hub, { storage });
  await opened(hub, first.hermes);
  hub.publish(1);
  await until(() => first.told.length === 1);
  first.hermes.close();
  hub.append(2);
  const second = client(hub, { storage });
  await until(() => second.told.length === 1);
  assert.deepEqual(second.told, [2]);
  const [key] = kept.keys();
  assert.equal(key, `hermes ${hub.url} ["demo","alice"]`);
  second.hermes.close();

  kept.set(key as string, "no JSON");
  const third = client(hub, { storage });
  await opened(hub, third.hermes, 3);
  assert.deepEqual([third.told, third.gone], [[], []]);
  third.hermes.close();

  kept.set("own", '{"room":{"epoch":"odd","offset":1}}');
  hub.fault = ({ action, epoch }) =>
    action === "recover" && epoch === "odd" ? error("invalid_message") : undefined;
  const fourth = client(hub, { storage, storageKey: "own" });
  await until(() => fourth.gone.length === 1);
  hub.publish(3);
  await until(() => fourth.told.length === 1);
  assert.match(kept.get("own") as string, /"e","offset":3/);
});

test("a storage that fails does no harm", async () => {
  const hub = await server();
  const fail = () => {
    throw new Error("forbidden");
  };
  const { hermes, told } = client(hub, { storage: { getItem: fail, setItem: fail } });
  await opened(hub, hermes);
  hub.publish(1);
  await until(() => told.length === 1);
});

test("the state is a store of React's kind", async () => {
  const hub = await server();
  const { hermes } = client(hub);
  const { subscribe, getSnapshot } = hermes.state; // taken apart, as React does
  assert.deepEqual(getSnapshot(), { status: "connecting" });
  assert.equal(getSnapshot(), getSnapshot());
  const seen: string[] = [];
  const unsubscribe = subscribe(() => seen.push(getSnapshot().status));
  await until(() => getSnapshot().status === "open");
  unsubscribe();
  hermes.close();
  assert.deepEqual(seen, ["connecting", "open"]);
  assert.deepEqual(getSnapshot(), { status: "closed" });
});

test("after close nothing is left, and what was not acknowledged fails", async () => {
  const hub = await server();
  const { hermes, told } = client(hub);
  await opened(hub, hermes);
  hub.fault = () => "silence";
  const sent = hermes.send("under way");
  await until(() => hub.of("sendMessage").length === 1);
  hermes.close();
  hermes.close();
  await assert.rejects(sent, is("closed", false));
  await assert.rejects(hermes.send("later"), is("closed", false));
  await until(() => hub.sockets.length === 0);
  hub.publish("unheard");
  await sleep(50);
  assert.deepEqual([told, hub.tokens.length], [[], 1]);
});

test("without a WebSocket of its own, a runtime is given one", async () => {
  const hub = await server();
  const { WebSocket: Package } = await import("ws");
  const { hermes } = client(hub, { WebSocket: Package as unknown as typeof WebSocket });
  await opened(hub, hermes);
});

test("data is typed by a map of the application's own", () => {
  interface Events {
    "backup.finished": { type: "backup.finished"; size: number };
    "backup.failed": { type: "backup.failed"; reason: string };
  }
  const check = (hermes: Hermes<Events>) => {
    hermes.on("backup.finished", ({ size }) => size.toFixed());
    hermes.on("*", (data) => (data.type === "backup.failed" ? data.reason.trim() : data.size.toFixed()));
    // @ts-expect-error: there is no such type
    hermes.on("backup.started", () => {});
  };
  assert.equal(typeof check, "function");
});
