"""Mints the token with which one user joins one room: python mint.py USER ROOM

    pip install boto3 PyJWT bcrypt

The environment names three outputs of the stack: CREDENTIALS_TABLE (CredentialsTable),
JWT_SECRET_ARN (JwtSecretArn) and PASSCODE_SECRET_ARN (PasscodeSecretArn).
"""

import hashlib
import hmac
import os
import secrets
import sys
import time

import bcrypt
import boto3
import jwt
from boto3.dynamodb.conditions import Attr


def inner_token(user_id, room_id, generation, passcode):
    """The secret inside the JWT: always the same, until the row gets a new generation."""
    mac = hmac.new(passcode.encode(), digestmod=hashlib.sha256)
    for part in (user_id, room_id, generation):
        part = part.encode()
        mac.update(len(part).to_bytes(4, "big") + part)
    return mac.hexdigest()


def hash_token(token):
    """What the Credentials table keeps instead of the token."""
    return bcrypt.hashpw(token.encode(), bcrypt.gensalt(rounds=10)).decode()


def is_hash_of(stored_hash, token):
    return bcrypt.checkpw(token.encode(), stored_hash.encode())


def sign(user_id, room_id, token, jwt_secret, ttl_seconds):
    """The JWT for the browser. It is accepted for `ttl_seconds`; the ids are strings."""
    claims = {
        "user_id": user_id,
        "room_id": room_id,
        "token": token,
        "exp": int(time.time()) + ttl_seconds,
    }
    return jwt.encode(claims, jwt_secret, algorithm="HS512")


def current_token(credentials, user_id, room_id, passcode):
    """The inner token that the table admits. Writes only where it admits none of ours yet."""
    key = {"user_id": user_id, "room_id": room_id}
    for _ in range(5):
        row = credentials.get_item(Key=key, ConsistentRead=True).get("Item", {})
        generation = row.get("generation")
        if generation and "token" in row:
            token = inner_token(user_id, room_id, generation, passcode)
            if is_hash_of(row["token"], token):
                return token

        new_generation = secrets.token_hex(16)
        token = inner_token(user_id, room_id, new_generation, passcode)
        stored = Attr("generation")
        try:
            credentials.update_item(
                Key=key,
                UpdateExpression="SET generation = :generation, #token = :hash",
                ConditionExpression=stored.eq(generation) if generation else stored.not_exists(),
                ExpressionAttributeNames={"#token": "token"},
                ExpressionAttributeValues={
                    ":generation": new_generation,
                    ":hash": hash_token(token),
                },
            )
            return token
        except credentials.meta.client.exceptions.ConditionalCheckFailedException:
            continue  # somebody else wrote the row first: read what they wrote
    raise RuntimeError("the row of this user and room kept changing")


def main():
    user_id, room_id = sys.argv[1:]

    # A server does this once, when it starts.
    credentials = boto3.resource("dynamodb").Table(os.environ["CREDENTIALS_TABLE"])
    secrets_manager = boto3.client("secretsmanager")
    passcode, jwt_secret = (
        secrets_manager.get_secret_value(SecretId=os.environ[name])["SecretString"]
        for name in ("PASSCODE_SECRET_ARN", "JWT_SECRET_ARN")
    )

    token = current_token(credentials, user_id, room_id, passcode)
    print(sign(user_id, room_id, token, jwt_secret, ttl_seconds=3600))


if __name__ == "__main__":
    main()
