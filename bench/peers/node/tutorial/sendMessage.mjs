// Scans the table for the room, then posts to everybody at once.
//
// What the design needed to run: the pages behind the first are read too, or the members of larger rooms would get
// nothing; every call is made once; a 410 deletes the row.
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from "@aws-sdk/client-apigatewaymanagementapi";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const TableName = process.env.CONNECTIONS_TABLE;

async function message(event) {
  if (event.Records) {
    const { user_id, room_id, data } = JSON.parse(event.Records[0].body);
    return { user_id, room_id, data };
  }
  const { connectionId } = event.requestContext;
  const { Item: sender } = await client.send(new GetCommand({ TableName, Key: { connection_id: connectionId } }));
  return { user_id: sender.user_id, room_id: sender.room_id, data: JSON.parse(event.body).data };
}

async function membersOf(room) {
  const members = [];
  let ExclusiveStartKey;
  do {
    const page = await client.send(
      new ScanCommand({
        TableName,
        FilterExpression: "room_id = :room",
        ExpressionAttributeValues: { ":room": room },
        ExclusiveStartKey,
      }),
    );
    members.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  return members;
}

export const handler = async (event) => {
  const { user_id, room_id, data } = await message(event);
  const members = await membersOf(room_id);
  const api = new ApiGatewayManagementApiClient({ endpoint: process.env.CONNECTIONS_ENDPOINT });
  const Data = JSON.stringify({ user_id, data });
  await Promise.all(
    members.map(async ({ connection_id }) => {
      try {
        await api.send(new PostToConnectionCommand({ ConnectionId: connection_id, Data }));
      } catch (error) {
        if (error.$metadata?.httpStatusCode !== 410) throw error;
        await client.send(new DeleteCommand({ TableName, Key: { connection_id } }));
      }
    }),
  );
  return { statusCode: 200, body: "Data sent." };
};
