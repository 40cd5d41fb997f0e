"""Hooks of schemathesis, for the local stack: requests are signed as IAM wants it, and answered by the function."""

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


# No invented connection can be closed: another test closes one.
NEVER_FOUND = {"DELETE /rooms/{room}/members/{connection}"}


@schemathesis.check
def is_allowed(ctx, response, case):
    """API Gateway refuses with a documented 403 what is signed wrongly: then nothing would be fuzzed."""
    # Some requests are made without a signature on purpose; OPTIONS is of CORS, which this API has not.
    request = response.request
    if request.method != "OPTIONS" and "Authorization" in request.headers:
        assert response.status_code != 403, "API Gateway refused the signature"


@schemathesis.check
class EachOperationSucceeds:
    """Refusals alone would be documented answers, too."""

    def __init__(self):
        self.tested, self.succeeded = set(), set()

    def after_response(self, ctx, response, case):
        self.tested.add(case.operation.label)
        if 200 <= response.status_code < 300:
            self.succeeded.add(case.operation.label)

    def after_run(self, ctx):
        assert self.tested, "no operation was tested"
        never = self.tested - self.succeeded - NEVER_FOUND
        assert not never, "never answered by a 2xx: " + ", ".join(sorted(never))
