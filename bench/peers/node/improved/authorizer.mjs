// The algorithm is pinned, the client is made once, and outcomes are remembered, as in Hermes.
import { createHash } from "node:crypto";
import bcrypt from "bcryptjs";
import jwt from "jsonwebtoken";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});
const outcomes = new Map();
const REMEMBERED = 4096;

async function matches(token, hash) {
  const key = createHash("sha256").update(token).digest("hex") + hash;
  if (!outcomes.has(key)) {
    if (outcomes.size >= REMEMBERED) outcomes.delete(outcomes.keys().next().value);
    outcomes.set(key, await bcrypt.compare(token, hash));
  }
  return outcomes.get(key);
}

export const handler = async (event) => {
  let claims;
  try {
    claims = jwt.verify(event.queryStringParameters.token, process.env.JWT_SECRET, { algorithms: ["HS512"] });
  } catch {
    throw new Error("Unauthorized");
  }
  const { Item: row } = await client.send(
    new GetItemCommand({
      TableName: process.env.CREDENTIALS_TABLE,
      Key: { user_id: { S: claims.user_id }, room_id: { S: claims.room_id } },
      ConsistentRead: true,
    }),
  );
  const allowed = row?.token !== undefined && (await matches(claims.token, row.token.S));
  return {
    principalId: claims.user_id,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [
        { Action: "execute-api:Invoke", Effect: allowed ? "Allow" : "Deny", Resource: event.methodArn },
      ],
    },
    context: { user_id: claims.user_id, room_id: claims.room_id, exp: String(claims.exp) },
  };
};
