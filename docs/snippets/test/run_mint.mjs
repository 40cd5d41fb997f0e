// Runs the minting part of mint.mjs: inputs as JSON on stdin, what was minted as JSON on stdout.
// With a `stored_hash` among the inputs it also prints whether that is a hash of the token.

import { json } from "node:stream/consumers";

import { hashToken, innerToken, isHashOf, sign } from "../mint.mjs";

const given = await json(process.stdin);
const { user_id, room_id, generation, passcode, jwt_secret, ttl_seconds, stored_hash } = given;
const token = innerToken(user_id, room_id, generation, passcode);
const minted = {
  jwt: await sign(user_id, room_id, token, jwt_secret, ttl_seconds),
  token,
  hash: await hashToken(token),
};
if (stored_hash !== undefined) minted.is_hash = await isHashOf(stored_hash, token);
console.log(JSON.stringify(minted));
