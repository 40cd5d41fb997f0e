"""Notifies a room: python enqueue.py ROOM DATA

    pip install boto3

DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.
"""

import json
import os
import sys
import uuid
from hashlib import sha256

import boto3


def enqueue(sqs, room_id, data, **optional):
    """Everybody in the room receives `data`.

    `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
    receives it), `id` (of the message, else a new one: give the same when you try again).
    """
    queue_url = os.environ["MESSAGE_QUEUE_URL"]
    message = {"id": str(uuid.uuid4()), "room_id": room_id, "data": data, **optional}
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(message),
        **(sequence(**message) if queue_url.endswith(".fifo") else {}),
    )


def sequence(*, id, room_id, user_id="system", **_):
    """To a FIFO queue: a room's messages stay in order, and an id of a sender is taken once."""
    parts = [str(part).encode() for part in (user_id, id)]
    sender_and_id = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return {
        "MessageGroupId": sha256(str(room_id).encode()).hexdigest(),
        "MessageDeduplicationId": sha256(sender_and_id).hexdigest(),
    }


if __name__ == "__main__":
    room_id, data = sys.argv[1:]
    enqueue(boto3.client("sqs"), room_id, json.loads(data))
