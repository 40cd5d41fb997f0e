/** The client in Node.js against the real stack, through a network that fails. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Hermes, HermesError } from "../../src/index.ts";
import { clients, join, status } from "./member.ts";
import { issue, kick, newRoom, publish, revoke, until } from "./stack.ts";

test("what a backend enqueues, and what members send, is heard", async () => {
  const room = newRoom();
  const [alice, bob] = await Promise.all([join(room, "alice"), join(room, "bob")]);
  const backups: unknown[] = [];
  alice.hermes.on("backup.finished", (data, { user_id, stream }) =>
    backups.push([data.size, user_id, stream]),
  );
  await publish(room, { type: "backup.finished", size: 17 });
  await until(() => backups.length === 1);
  assert.deepEqual(backups, [[17, "system", "room"]]);

  const ack = await bob.hermes.send("for everybody", { id: "mine" });
  assert.deepEqual([ack.id, ack.stream, typeof ack.epoch, ack.offset], ["mine", "room", "string", 2]);
  assert.equal((await bob.hermes.send("for alice", { to: "alice" })).stream, "user");
  await until(() => alice.told.length === 3 && bob.told.length === 2);
  assert.deepEqual(alice.told.slice(1).sort(), ["for alice", "for everybody"]);
});

test("a message that the server refuses fails with the reason, and holds up no other", async () => {
  const room = newRoom();
  const alice = await join(room, "alice");
  const outcomes = await Promise.allSettled([
    alice.hermes.send("x".repeat(121 * 1024)),
    alice.hermes.send("for whom?", { to: "" }),
    alice.hermes.send("which?", { id: "no ASCII: ü" }),
    alice.hermes.send("good"),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value.offset : [outcome.reason.code, outcome.reason.retry],
    ),
    [["payload_too_large", false], ["invalid_message", false], ["invalid_message", false], 1],
  );
  await until(() => alice.told.length === 1);
  assert.deepEqual([alice.told, alice.network.count], [["good"], 1]);
});

test("when the server closes the connection, what was missed follows", async () => {
  const room = newRoom();
  const alice = await join(room, "alice", { timing: { firstDelay: 4_000 } });
  await publish(room, 1);
  await until(() => alice.told.length === 1);
  await revoke("alice", room);
  await until(() => status(alice.hermes) !== "open");
  await publish(room, 2);
  await publish(room, 3, "alice");
  await until(() => alice.told.length === 3);
  assert.deepEqual([alice.told.sort(), alice.gone], [[1, 2, 3], []]);
});

test("whom a backend closes is told why, and comes back", async () => {
  const room = newRoom();
  const { hermes, network } = await join(room, "alice");
  const reasons = new Set<string>();
  hermes.state.subscribe(() => {
    const { error } = hermes.state.getSnapshot();
    if (error) reasons.add(error.message);
  });
  await kick("alice", room, "maintenance until 10:00");
  await until(() => network.count === 2 && status(hermes) === "open");
  assert.deepEqual([...reasons], ["closed by the server: maintenance until 10:00"]);
});

test("when the network drops, what was missed follows, and what was sent goes out once", async () => {
  const room = newRoom();
  const [alice, bob] = await Promise.all([join(room, "alice"), join(room, "bob")]);
  await publish(room, 0);
  await until(() => alice.told.length === 1 && bob.told.length === 1);
  alice.network.cut();
  await until(() => status(alice.hermes) === "waiting");
  for (const n of [1, 2, 3, 4, 5]) await bob.hermes.send(n);
  const sent = [6, 7, 8].map((n) => alice.hermes.send(n));
  alice.network.mend();
  assert.deepEqual(
    (await Promise.all(sent)).map(({ offset }) => offset),
    [7, 8, 9],
  );
  for (const { told, gone } of [alice, bob]) {
    await until(() => told.length === 9);
    assert.deepEqual([told, gone], [[0, 1, 2, 3, 4, 5, 6, 7, 8], []]);
  }
});

test("a network that falls silent is noticed by a ping", async () => {
  const room = newRoom();
  const alice = await join(room, "alice", {
    timing: { pingEvery: 500, answerWithin: 2_000, openWithin: 2_000 },
  });
  await publish(room, 1);
  await until(() => alice.told.length === 1);
  alice.network.silence();
  await publish(room, 2);
  await until(() => status(alice.hermes) !== "open");
  alice.network.mend();
  await until(() => alice.told.length === 2);
  assert.deepEqual(alice.told, [1, 2]);
});

test("a connection whose token has expired still receives, and is replaced to send", async () => {
  const room = newRoom();
  let tokens = 0;
  const token = async () => (await issue("alice", room, ++tokens === 1 ? "1s" : "10m")).token;
  const alice = await join(room, "alice", { token });
  await sleep(11_500); // and the leeway
  await publish(room, "received");
  await until(() => alice.told.length === 1);
  assert.deepEqual([tokens, alice.network.count], [1, 1]);
  assert.equal((await alice.hermes.send("sent")).offset, 2);
  await until(() => alice.told.length === 2);
  assert.deepEqual([alice.told, tokens, alice.network.count], [["received", "sent"], 2, 2]);
});

test("a connection is replaced before its time, without a gap", async () => {
  const room = newRoom();
  const [alice, bob] = await Promise.all([
    join(room, "alice", { timing: { replaceAfter: 2_000, overlap: 500 } }),
    join(room, "bob"),
  ]);
  const states = new Set<string>();
  alice.hermes.state.subscribe(() => states.add(status(alice.hermes)));
  let sent = 0;
  while (alice.network.count < 4) await bob.hermes.send(++sent);
  await until(() => alice.told.length === sent);
  assert.deepEqual(
    alice.told,
    Array.from({ length: sent }, (_, index) => index + 1),
  );
  assert.deepEqual([...states], ["open"]);
});

test("a user whose tokens are refused is told to the token source", async () => {
  const room = newRoom();
  const { token, url } = await issue("alice", room);
  await revoke("alice", room);
  const failed = new HermesError("signed out", { retry: false });
  const source = ({ failures }: { failures: number }) => {
    if (failures > 1) throw failed;
    return token;
  };
  const hermes = new Hermes({ url, token: source, timing: { firstDelay: 50 } });
  clients.push(hermes);
  await until(() => status(hermes) === "closed");
  assert.equal(hermes.state.getSnapshot().error, failed);
});

test("a client that comes back later goes on where it ended", async () => {
  const room = newRoom();
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
  const token = async () => (await issue("alice", room)).token;
  const first = await join(room, "alice", { storage });
  await publish(room, 1);
  await until(() => first.told.length === 1);
  first.hermes.close();
  await publish(room, 2);
  const told: unknown[] = [];
  // The key is made of the URL, too: each of these has its own.
  const second = new Hermes({ url: first.network.url, token, storage });
  clients.push(second);
  second.on("*", (data) => told.push(data));
  await until(() => told.length === 1);
  assert.deepEqual(told, [2]);
});

test("a client whose position is of a log that is lost is told so, and goes on", async () => {
  const room = newRoom();
  const { epoch = "" } = await (await join(room, "bob")).hermes.send("unseen");
  const lost = { room: { epoch: epoch.replace(/[1-9a-f]/g, "0"), offset: 1 } };
  const storage = { getItem: () => JSON.stringify(lost), setItem: () => {} };
  const alice = await join(room, "alice", { storage });
  await until(() => alice.gone.length === 1);
  await publish(room, "seen");
  await until(() => alice.told.length === 1);
  assert.deepEqual([alice.told, alice.gone], [["seen"], ["room"]]);
});
