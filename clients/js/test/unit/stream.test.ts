import assert from "node:assert/strict";
import { test } from "node:test";

import type { Notification, Position, Recovered } from "../../src/frames.ts";
import { Stream } from "../../src/stream.ts";
import { generator } from "./random.ts";

const at = (epoch: string, offset: number): Position => ({ epoch, offset });
const message = (epoch: string, offset: number) => ({ epoch, offset }) as Notification;
const numbers = (notifications: Notification[]) => notifications.map(({ offset }) => offset as number);

function answer(epoch: string | null, head: number, offsets: number[], more = false): Recovered {
  const messages = offsets.map((offset) => message(epoch as string, offset));
  return { epoch, head, complete: true, more, messages };
}

const gone = (epoch: string | null, head: number): Recovered => ({
  ...answer(epoch, head, []),
  complete: false,
});

const take = (stream: Stream, epoch: string, offset: number) =>
  numbers(stream.take(at(epoch, offset), message(epoch, offset)));

const recovered = (stream: Stream, answer: Recovered) => {
  const step = stream.recovered(answer);
  return { ...step, applied: numbers(step.applied) };
};

/** A stream of which message `offset` of the epoch `e` was seen, or that begins behind it. */
function behind(offset: number): Stream {
  const stream = new Stream();
  assert.equal(stream.question(), undefined);
  assert.deepEqual(recovered(stream, answer("e", offset, [])), { applied: [], gone: false, helped: true });
  return stream;
}

test("what was published while connecting is applied first", () => {
  const stream = new Stream();
  assert.deepEqual(take(stream, "e", 9), []);
  stream.question();
  assert.deepEqual(recovered(stream, answer("e", 8, [7, 8])).applied, [7, 8, 9]);
  assert.equal(stream.isBehind, false);
});

test("what came on a connection that was lost before the first answer is kept", () => {
  const stream = new Stream();
  stream.question();
  assert.deepEqual(take(stream, "e", 3), []);
  // The next connection began later, and its answer with it.
  stream.question();
  assert.deepEqual(recovered(stream, answer("e", 8, [7, 8])), { applied: [3], gone: false, helped: true });
  assert.equal(stream.isBehind, true);
  assert.deepEqual(stream.question(), at("e", 3));
  assert.deepEqual(recovered(stream, answer("e", 8, [4, 5, 6, 7, 8])).applied, [4, 5, 6, 7, 8]);
});

test("a notification that comes twice is applied once", () => {
  const stream = behind(4);
  assert.deepEqual(take(stream, "e", 5), [5]);
  for (const old of [5, 4, 1]) assert.deepEqual(take(stream, "e", old), []);
  assert.equal(stream.isBehind, false);
});

test("one that overtook another waits for it", () => {
  const stream = behind(4);
  assert.deepEqual(take(stream, "e", 6), []);
  assert.equal(stream.isBehind, true);
  assert.deepEqual(take(stream, "e", 5), [5, 6]);
  assert.equal(stream.isBehind, false);
});

test("a missing one is asked for, while more come", () => {
  const stream = behind(4);
  take(stream, "e", 7);
  assert.deepEqual(stream.question(), at("e", 4));
  assert.deepEqual(take(stream, "e", 8), []);
  assert.deepEqual(recovered(stream, answer("e", 7, [5, 6, 7])).applied, [5, 6, 7, 8]);
  assert.equal(stream.isBehind, false);
});

test("a head tells of a missing one, and of nothing new", () => {
  const stream = behind(4);
  stream.isAtLeastAt(at("e", 4));
  assert.equal(stream.isBehind, false);
  stream.isAtLeastAt(at("e", 5));
  assert.equal(stream.isBehind, true);
});

test("an answer in several frames is asked for to its end", () => {
  const stream = behind(4);
  assert.deepEqual(recovered(stream, answer("e", 6, [5, 6], true)).applied, [5, 6]);
  assert.equal(stream.isBehind, true);
  assert.deepEqual(stream.question(), at("e", 6));
  assert.deepEqual(recovered(stream, answer("e", 9, [7, 8, 9])).applied, [7, 8, 9]);
  assert.equal(stream.isBehind, false);
});

test("history that is gone is told, and the stream goes on", () => {
  const stream = behind(4);
  stream.question();
  assert.deepEqual(take(stream, "f", 3), []);
  assert.deepEqual(recovered(stream, gone("f", 2)), { applied: [], gone: true, helped: true });
  // It came before the answer, which did not know of it.
  assert.equal(stream.isBehind, true);
  assert.deepEqual(stream.question(), at("f", 2));
  assert.deepEqual(recovered(stream, answer("f", 3, [3])).applied, [3]);
  assert.deepEqual(take(stream, "f", 4), [4]);
  // All of it has expired. Who asks then begins a new one.
  assert.deepEqual(recovered(stream, gone(null, 0)), { applied: [], gone: true, helped: true });
  assert.deepEqual(take(stream, "g", 1), []);
  assert.equal(stream.question(), undefined);
  assert.deepEqual(recovered(stream, answer("g", 0, [])).applied, [1]);
});

test("another epoch is believed when the log says so", () => {
  const stream = behind(4);
  assert.deepEqual(take(stream, "d", 5), []); // it was long under way
  stream.question();
  assert.deepEqual(recovered(stream, answer("e", 4, [])).gone, false);
  assert.equal(stream.isBehind, false);
  take(stream, "f", 1);
  assert.deepEqual(stream.question(), at("e", 4));
  assert.equal(recovered(stream, gone("f", 1)).gone, true);
  assert.deepEqual(take(stream, "f", 2), [2]);
});

test("an answer that does not help is known as such", () => {
  const stream = behind(4);
  stream.isAtLeastAt(at("e", 6));
  stream.question();
  assert.deepEqual(recovered(stream, answer("e", 6, [6])), { applied: [], gone: false, helped: false });
  assert.equal(stream.isBehind, true);
});

test("no more than some wait", () => {
  const stream = behind(0);
  for (let offset = 600; offset > 1; offset--) assert.deepEqual(take(stream, "e", offset), []);
  assert.equal(take(stream, "e", 1).length, 256);
  assert.equal(stream.isBehind, true, "the others are asked for");
});

test("a tab begins where another one is, and keeps what came before it knew", () => {
  const stream = new Stream();
  assert.deepEqual(take(stream, "e", 8), []);
  assert.deepEqual(numbers(stream.begin(at("e", 8))), [8]);
  assert.deepEqual(numbers(stream.begin(at("e", 9))), []);
  assert.equal(stream.isBehind, true, "the other one has 9");
});

test("whatever is lost, late or repeated: everything is applied once and in order", () => {
  for (let seed = 1; seed <= 500; seed++) run(seed);
});

/** A room whose log is never trimmed, and a client of it. */
function run(seed: number): void {
  const random = generator(seed);
  const stream = behind(0);
  const applied: number[] = [];
  const pushed: number[] = [];
  let published = 0;
  const ask = () => {
    const from = stream.question()?.offset as number;
    const all = Array.from({ length: published - from }, (_, index) => from + 1 + index);
    const page = all.slice(0, 1 + random(4));
    const more = page.length < all.length;
    applied.push(
      ...recovered(stream, answer("e", more ? (page.at(-1) as number) : published, page, more)).applied,
    );
  };
  for (let step = 0; step < 60; step++) {
    const what = random(10);
    if (what < 4) {
      published += 1;
      for (let times = random(3); times > 0; times--) pushed.push(published); // or lost
    } else if (what < 8 && pushed.length > 0) {
      applied.push(...take(stream, "e", pushed.splice(random(pushed.length), 1)[0] as number));
    } else if (what === 8) stream.isAtLeastAt(at("e", published));
    else if (stream.isBehind) ask();
  }
  stream.isAtLeastAt(at("e", published));
  while (stream.isBehind) ask();
  const every = Array.from({ length: published }, (_, index) => index + 1);
  assert.deepEqual(applied, every, `seed ${seed}`);
}
