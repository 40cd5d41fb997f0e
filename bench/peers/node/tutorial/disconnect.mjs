import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));

export const handler = async (event) => {
  const { connectionId } = event.requestContext;
  await client.send(
    new DeleteCommand({ TableName: process.env.CONNECTIONS_TABLE, Key: { connection_id: connectionId } }),
  );
  return { statusCode: 200, body: "Disconnected." };
};
