import { DeleteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});

export const handler = async (event) => {
  const { connectionId, authorizer } = event.requestContext;
  await client.send(
    new DeleteItemCommand({
      TableName: process.env.CONNECTIONS_TABLE,
      Key: {
        room_id: { S: authorizer.room_id },
        member: { S: `${authorizer.user_id}\u001f${connectionId}` },
      },
    }),
  );
  return { statusCode: 200 };
};
