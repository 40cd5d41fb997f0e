// JWT, row, bcrypt, each time and in this order; nothing is remembered.
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";
import bcrypt from "bcryptjs";
import jwt from "jsonwebtoken";

export const handler = async (event) => {
  let claims;
  try {
    claims = jwt.verify(event.queryStringParameters.token, process.env.JWT_SECRET);
  } catch {
    throw new Error("Unauthorized");
  }
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));
  const { Item: row } = await client.send(
    new GetCommand({
      TableName: process.env.CREDENTIALS_TABLE,
      Key: { user_id: claims.user_id, room_id: claims.room_id },
    }),
  );
  const allowed = row !== undefined && (await bcrypt.compare(claims.token, row.token));
  return {
    principalId: claims.user_id,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [
        { Action: "execute-api:Invoke", Effect: allowed ? "Allow" : "Deny", Resource: event.methodArn },
      ],
    },
    context: { user_id: claims.user_id, room_id: claims.room_id },
  };
};
