/**
 * The client against a stack that keeps no history (`HistoryDays` 0), named by `HERMES_STACK`:
 * tests/tests/client_js.rs deploys one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { join, status } from "../stack/member.ts";
import { newRoom, publish, until } from "../stack/stack.ts";

test("notifications are told as they come, and what was sent offline goes out once", async () => {
  const room = newRoom();
  const [alice, bob] = await Promise.all([join(room, "alice"), join(room, "bob")]);
  await publish(room, 1);
  await until(() => alice.told.length === 1 && bob.told.length === 1);
  assert.deepEqual(await bob.hermes.send(2, { id: "two" }), { id: "two" });
  await until(() => alice.told.length === 2);

  alice.network.cut();
  await until(() => status(alice.hermes) === "waiting");
  await bob.hermes.send("missed");
  const sent = alice.hermes.send(3);
  alice.network.mend();
  await sent;
  await until(() => alice.told.length === 3 && bob.told.length === 4);
  assert.deepEqual([alice.told, alice.gone], [[1, 2, 3], []]);
  assert.deepEqual([bob.told, bob.gone], [[1, 2, "missed", 3], []]);
});

test("a connection is replaced without a gap, and nothing comes twice", async () => {
  const room = newRoom();
  const timing = { replaceAfter: 2_000, overlap: 1_000 };
  const [alice, bob] = await Promise.all([join(room, "alice", { timing }), join(room, "bob")]);
  let sent = 0;
  while (alice.network.count < 3) await bob.hermes.send(++sent);
  await until(() => alice.told.length === sent);
  await sleep(1_500); // until the old connection, which heard the same, is closed
  assert.deepEqual(
    alice.told,
    Array.from({ length: sent }, (_, index) => index + 1),
  );
});
