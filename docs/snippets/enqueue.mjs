// Notifies a room: node enqueue.mjs ROOM DATA
//
//     npm install @aws-sdk/client-sqs
//
// Node.js 22.18 or later.
// DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.

import { createHash, randomUUID } from "node:crypto";

import { SQS } from "@aws-sdk/client-sqs";

/**
 * Everybody in the room receives `data`.
 *
 * `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
 * receives it), `id` (of the message, else a new one: give the same when you try again).
 */
export async function enqueue(sqs, roomId, data, optional = {}) {
  const queueUrl = process.env.MESSAGE_QUEUE_URL;
  const message = { id: randomUUID(), room_id: roomId, data, ...optional };
  await sqs.sendMessage({
    QueueUrl: queueUrl,
    MessageBody: JSON.stringify(message),
    ...(queueUrl.endsWith(".fifo") ? sequence(message) : {}),
  });
}

/** To a FIFO queue: a room's messages stay in order, and an id of a sender is taken once. */
function sequence({ id, room_id, user_id = "system" }) {
  const senderAndId = createHash("sha256");
  for (const part of [user_id, id].map(String)) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    senderAndId.update(length).update(part);
  }
  return {
    MessageGroupId: createHash("sha256").update(String(room_id)).digest("hex"),
    MessageDeduplicationId: senderAndId.digest("hex"),
  };
}

if (import.meta.main) {
  const [roomId, data] = process.argv.slice(2);
  await enqueue(new SQS(), roomId, JSON.parse(data));
}
