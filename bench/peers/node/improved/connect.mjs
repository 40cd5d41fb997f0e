import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});
const MEMBERSHIP_SECONDS = 7500;

export const handler = async (event) => {
  const { connectionId, connectedAt, authorizer } = event.requestContext;
  const expiresAt = Math.floor(connectedAt / 1000) + MEMBERSHIP_SECONDS;
  await client.send(
    new PutItemCommand({
      TableName: process.env.CONNECTIONS_TABLE,
      Item: {
        room_id: { S: authorizer.room_id },
        member: { S: `${authorizer.user_id}\u001f${connectionId}` },
        expires_at: { N: String(expiresAt) },
      },
    }),
  );
  return { statusCode: 200 };
};
