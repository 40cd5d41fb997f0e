// Notifies a room: node enqueue.mjs ROOM DATA
//
//     npm install @aws-sdk/client-sqs
//
// Node.js 22.18 or later.
// DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.

import { SQS } from "@aws-sdk/client-sqs";

/**
 * Everybody in the room receives `data`.
 *
 * `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
 * receives it), `id` (of the message, else a new one).
 */
export async function enqueue(sqs, roomId, data, optional = {}) {
  await sqs.sendMessage({
    QueueUrl: process.env.MESSAGE_QUEUE_URL,
    MessageBody: JSON.stringify({ room_id: roomId, data, ...optional }),
  });
}

if (import.meta.main) {
  const [roomId, data] = process.argv.slice(2);
  await enqueue(new SQS(), roomId, JSON.parse(data));
}
