// One query a page, posts bounded by FANOUT_CONCURRENCY over connections that are kept, a failure is one member's.
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from "@aws-sdk/client-apigatewaymanagementapi";
import { DeleteItemCommand, DynamoDBClient, QueryCommand } from "@aws-sdk/client-dynamodb";

const TableName = process.env.CONNECTIONS_TABLE;
const maxSockets = Number(process.env.FANOUT_CONCURRENCY ?? 64);
const client = new DynamoDBClient({});
const api = new ApiGatewayManagementApiClient({
  endpoint: process.env.CONNECTIONS_ENDPOINT,
  maxAttempts: 5,
  requestHandler: {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
  },
});

async function* membersOf(room) {
  let ExclusiveStartKey;
  do {
    const page = await client.send(
      new QueryCommand({
        TableName,
        ConsistentRead: true,
        KeyConditionExpression: "room_id = :room",
        FilterExpression: "expires_at > :now",
        ProjectionExpression: "#member",
        ExpressionAttributeNames: { "#member": "member" },
        ExpressionAttributeValues: { ":room": { S: room }, ":now": { N: String(Math.floor(Date.now() / 1000)) } },
        ExclusiveStartKey,
      }),
    );
    for (const { member } of page.Items) yield member.S;
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
}

async function post(room, member, Data) {
  const ConnectionId = member.split("\u001f")[1];
  try {
    await api.send(new PostToConnectionCommand({ ConnectionId, Data }));
  } catch (error) {
    if (error.$metadata?.httpStatusCode !== 410) return console.warn(`could not post to ${ConnectionId}: ${error.name}`);
    await client.send(new DeleteItemCommand({ TableName, Key: { room_id: { S: room }, member: { S: member } } }));
  }
}

async function publish({ user_id, room_id, data }) {
  const Data = JSON.stringify({ user_id, data, room_id });
  const members = membersOf(room_id);
  const worker = async () => {
    for await (const member of members) await post(room_id, member, Data);
  };
  await Promise.all(Array.from({ length: maxSockets }, worker));
}

export const handler = async (event) => {
  if (!event.Records) {
    const { user_id, room_id } = event.requestContext.authorizer;
    await publish({ user_id, room_id, data: JSON.parse(event.body).data });
    return { statusCode: 200 };
  }
  const batchItemFailures = [];
  for (const record of event.Records) {
    try {
      await publish(JSON.parse(record.body));
    } catch {
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
};
