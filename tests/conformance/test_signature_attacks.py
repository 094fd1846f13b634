# SPDX-License-Identifier: Apache-2.0
"""Replayed signatures and clocks that are wrong. AWS lets a signed request be sent again while its date is within the
window (IAM user guide, "Protection against replay": five minutes is advised, fifteen are allowed); beyond it, or with
anything changed, it is refused."""
import datetime
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Clocked(SigV4Auth):
    """Signs as if it were `minutes` later."""

    def __init__(self, credentials, service, region, minutes):
        super().__init__(credentials, service, region)
        self.minutes = minutes

    def add_auth(self, request):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=self.minutes)
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        signature = self.signature(self.string_to_sign(request, self.canonical_request(request)), request)
        self._inject_signature_to_request(request, signature)


@pytest.fixture
def signed(platform):
    """signed(minutes) is a signed ListThings; send(request) its (status, body)."""
    def make(minutes=0, path="/things", service="iot"):
        request = AWSRequest("GET", platform.endpoint + path)
        Clocked(Credentials(platform.environment["AWS_ACCESS_KEY_ID"], platform.environment["AWS_SECRET_ACCESS_KEY"]),
                service, platform.region, minutes).add_auth(request)
        return request
    return make


def send(request, url=None, method="GET", data=None):
    made = urllib.request.Request(url or request.url, method=method, data=data, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(made, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_replayed_signature_within_the_window_is_what_aws_allows(signed):
    request = signed()
    assert [send(request)[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("minutes, status", [(-16, 403), (-14, 200), (14, 200), (16, 403), (-24 * 60, 403),
                                             (24 * 60, 403)])
def test_clock_skew_beyond_fifteen_minutes_is_refused(signed, minutes, status):
    code, body = send(signed(minutes))
    assert code == status, body
    if status == 403:
        assert b"xpired" in body or b"not yet current" in body or b"SignatureDoesNotMatch" in body, body


def test_replayed_signature_for_something_else_is_refused(platform, signed):
    request = signed()
    for url, method, data in ((platform.endpoint + "/jobs", "GET", None), (request.url, "POST", b"{}"),
                              (request.url + "?maxResults=1", "GET", None)):
        assert send(request, url, method, data)[0] == 403, (url, method)
    later = signed(-16)
    later.headers.replace_header("X-Amz-Date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ"))
    assert send(later)[0] == 403, "a date that was not signed"
