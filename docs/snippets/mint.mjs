// Mints the token with which one user joins one room: node mint.mjs USER ROOM
//
//     npm install jose bcryptjs \
//       @aws-sdk/client-dynamodb @aws-sdk/lib-dynamodb @aws-sdk/client-secrets-manager
//
// Node.js 22.18 or later.
// The environment names three outputs of the stack: CREDENTIALS_TABLE (CredentialsTable),
// JWT_SECRET_ARN (JwtSecretArn) and PASSCODE_SECRET_ARN (PasscodeSecretArn).

import { createHmac, randomBytes } from "node:crypto";

import { ConditionalCheckFailedException, DynamoDB } from "@aws-sdk/client-dynamodb";
import { SecretsManager } from "@aws-sdk/client-secrets-manager";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";
import bcrypt from "bcryptjs";
import { SignJWT } from "jose";

/** The secret inside the JWT: always the same, until the row gets a new generation. */
export function innerToken(userId, roomId, generation, passcode) {
  const hmac = createHmac("sha256", passcode);
  for (const part of [userId, roomId, generation]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    hmac.update(length).update(part);
  }
  return hmac.digest("hex");
}

/** What the Credentials table keeps instead of the token. */
export const hashToken = (token) => bcrypt.hash(token, 10);

export const isHashOf = (storedHash, token) => bcrypt.compare(token, storedHash);

/** The JWT for the browser. It is accepted for `ttlSeconds`; the ids are strings. */
export function sign(userId, roomId, token, jwtSecret, ttlSeconds) {
  const exp = Math.floor(Date.now() / 1000) + ttlSeconds;
  return new SignJWT({ user_id: userId, room_id: roomId, token, exp })
    .setProtectedHeader({ alg: "HS512" })
    .sign(Buffer.from(jwtSecret));
}

/** The inner token that the table admits. Writes only where it admits none of ours yet. */
async function currentToken(dynamodb, table, userId, roomId, passcode) {
  const key = { TableName: table, Key: { user_id: userId, room_id: roomId } };
  for (let attempt = 0; attempt < 5; attempt++) {
    const { Item: row = {} } = await dynamodb.get({ ...key, ConsistentRead: true });
    const { generation } = row;
    if (generation && row.token) {
      const token = innerToken(userId, roomId, generation, passcode);
      if (await isHashOf(row.token, token)) return token;
    }

    const newGeneration = randomBytes(16).toString("hex");
    const token = innerToken(userId, roomId, newGeneration, passcode);
    try {
      await dynamodb.update({
        ...key,
        UpdateExpression: "SET generation = :generation, #token = :hash",
        ConditionExpression: generation ? "generation = :read" : "attribute_not_exists(generation)",
        ExpressionAttributeNames: { "#token": "token" },
        ExpressionAttributeValues: {
          ":generation": newGeneration,
          ":hash": await hashToken(token),
          ...(generation && { ":read": generation }),
        },
      });
      return token;
    } catch (error) {
      // Somebody else wrote the row first: read what they wrote.
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
  }
  throw new Error("the row of this user and room kept changing");
}

async function main() {
  const [userId, roomId] = process.argv.slice(2);
  const { CREDENTIALS_TABLE, JWT_SECRET_ARN, PASSCODE_SECRET_ARN } = process.env;

  // A server does this once, when it starts.
  const dynamodb = DynamoDBDocument.from(new DynamoDB());
  const secretsManager = new SecretsManager();
  const [passcode, jwtSecret] = await Promise.all(
    [PASSCODE_SECRET_ARN, JWT_SECRET_ARN].map(async (arn) => {
      const { SecretString } = await secretsManager.getSecretValue({ SecretId: arn });
      return SecretString;
    }),
  );

  const token = await currentToken(dynamodb, CREDENTIALS_TABLE, userId, roomId, passcode);
  console.log(await sign(userId, roomId, token, jwtSecret, 3600));
}

if (import.meta.main) await main();
