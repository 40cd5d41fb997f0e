"""Runs the minting part of mint.py: inputs as JSON on stdin, what was minted as JSON on stdout.

With a `stored_hash` among the inputs it also prints whether that is a hash of the token.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mint

given = json.loads(sys.stdin.buffer.read())
user_id, room_id = given["user_id"], given["room_id"]
token = mint.inner_token(user_id, room_id, given["generation"], given["passcode"])
minted = {
    "jwt": mint.sign(user_id, room_id, token, given["jwt_secret"], given["ttl_seconds"]),
    "token": token,
    "hash": mint.hash_token(token),
}
if "stored_hash" in given:
    minted["is_hash"] = mint.is_hash_of(given["stored_hash"], token)
print(json.dumps(minted))
