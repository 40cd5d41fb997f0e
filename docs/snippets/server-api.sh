call() {
  curl --silent --show-error --fail-with-body --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    --aws-sigv4 "aws:amz:${AWS_REGION:-us-east-1}:execute-api" \
    ${AWS_SESSION_TOKEN:+--header "x-amz-security-token: $AWS_SESSION_TOKEN"} "$@"
  echo
}

# A message, a batch, a CloudEvent in structured and one in binary mode.
call --json '{"data": {"type": "backup.finished"}, "id": "backup-17"}' "$SERVER_API_URL/rooms/$ROOM/messages"
call --json '[{"data": 1, "id": "a"}, {"data": 2, "id": "b", "to": "alice"}]' "$SERVER_API_URL/rooms/$ROOM/messages"
call --data '{"specversion": "1.0", "id": "invoice-1", "source": "/billing", "type": "invoice.paid", "data": {"total": 7.50}}' \
  --header 'content-type: application/cloudevents+json' "$SERVER_API_URL/rooms/$ROOM/messages"
call --json '{"total": 8.50}' --header 'ce-specversion: 1.0' --header 'ce-id: invoice-2' --header 'ce-source: /billing' \
  --header 'ce-type: invoice.paid' "$SERVER_API_URL/rooms/$ROOM/messages"

# The history, from the beginning; who is connected.
call "$SERVER_API_URL/rooms/$ROOM/messages"
call "$SERVER_API_URL/rooms/$ROOM/members?limit=10"

# A token for alice; then it is revoked, and her sockets are closed.
call --json '{"user_id": "alice", "room_id": "'"$ROOM"'"}' "$SERVER_API_URL/tokens"
call --request DELETE "$SERVER_API_URL/tokens/alice/$ROOM?close=true&reason=banned"
