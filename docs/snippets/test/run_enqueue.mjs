// Runs enqueue.mjs without AWS: inputs as JSON on stdin, what SQS would be given as JSON on stdout.

import { json } from "node:stream/consumers";

import { enqueue } from "../enqueue.mjs";

const sqs = { sendMessage: async (given) => console.log(JSON.stringify(given)) };
const { room_id, data, optional } = await json(process.stdin);
await enqueue(sqs, room_id, data, optional);
