curl --fail-with-body --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" --aws-sigv4 aws:amz:us-east-1:execute-api \
  --json '{"data": {"type": "backup.finished"}, "id": "backup-17"}' "$SERVER_API_URL/rooms/$ROOM/messages"
