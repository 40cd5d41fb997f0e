import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));

export const handler = async (event) => {
  const { connectionId, authorizer } = event.requestContext;
  await client.send(
    new PutCommand({
      TableName: process.env.CONNECTIONS_TABLE,
      Item: { connection_id: connectionId, user_id: authorizer.user_id, room_id: authorizer.room_id },
    }),
  );
  return { statusCode: 200, body: "Connected." };
};
