"""Runs enqueue.py without AWS: inputs as JSON on stdin, what SQS would be given as JSON on stdout."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import enqueue


class Sqs:
    def send_message(self, **given):
        print(json.dumps(given))


given = json.loads(sys.stdin.buffer.read())
enqueue.enqueue(Sqs(), given["room_id"], given["data"], **given["optional"])
