"""Notifies a room: python enqueue.py ROOM DATA

    pip install boto3

DATA is JSON. The environment names the stack's output MessageQueueUrl: MESSAGE_QUEUE_URL.
"""

import json
import os
import sys

import boto3


def enqueue(sqs, room_id, data, **optional):
    """Everybody in the room receives `data`.

    `optional`: `user_id` (the sender that clients see, else "system"), `to` (the one user who
    receives it), `id` (of the message, else a new one).
    """
    sqs.send_message(
        QueueUrl=os.environ["MESSAGE_QUEUE_URL"],
        MessageBody=json.dumps({"room_id": room_id, "data": data, **optional}),
    )


if __name__ == "__main__":
    room_id, data = sys.argv[1:]
    enqueue(boto3.client("sqs"), room_id, json.loads(data))
