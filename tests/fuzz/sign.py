"""Hooks of schemathesis: each request is signed as IAM wants it, for the local stack."""

import os

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Signature(requests.auth.AuthBase):
    def __init__(self):
        self.signer = SigV4Auth(Credentials("test", "test"), "execute-api", os.environ.get("AWS_REGION", "us-east-1"))

    def __call__(self, request):
        signed = AWSRequest(request.method, request.url, data=request.body)
        self.signer.add_auth(signed)
        request.headers.update(signed.headers)
        return request


schemathesis.auth.set_from_requests(Signature())
