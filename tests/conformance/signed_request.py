# SPDX-License-Identifier: Apache-2.0
"""Signed requests that the installed boto3 cannot make: operations and members that are newer than its model."""
import http.client
import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def send_json(platform, method, path, body=None):
    """(status, code of the error or None, answer as an object) of a request signed as the root key."""
    environment = platform.environment
    data = b"" if body is None else json.dumps(body).encode()
    request = AWSRequest(method, platform.endpoint + path, {"Content-Type": "application/json"}, data)
    credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "execute-api", platform.region).add_auth(request)
    connection = http.client.HTTPConnection(platform.endpoint.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, request.body, dict(request.headers.items()))
        response = connection.getresponse()
        return response.status, response.getheader("x-amzn-ErrorType"), json.loads(response.read() or b"{}")
    finally:
        connection.close()
