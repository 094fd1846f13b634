# SPDX-License-Identifier: Apache-2.0
"""What is refused, and in which words: unknown and unsupported calls, bad members, bodies, signatures, paths."""
import base64
import datetime
import hashlib
import http.client
import json
import re
import xml.etree.ElementTree

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from refusals import refused

INVALID = ("InvalidRequestException", 400)


class Reply:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, dict(reply.getheaders()), reply.read()
        self.kind = self.headers.get("Content-Type", "")

    @property
    def json(self):
        assert self.kind == "application/json", (self.status, self.kind, self.body)
        return json.loads(self.body)

    def xml(self, path):
        assert self.kind in ("application/xml", "text/xml"), (self.status, self.kind, self.body)
        tree = xml.etree.ElementTree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", self.body))
        return tree.findtext(path)

    @property
    def code(self):
        if self.kind == "application/json":
            assert self.json["message"]
            return self.headers["x-amzn-ErrorType"]
        return self.xml("Code") or self.xml("Error/Code")


@pytest.fixture
def send(platform):
    """send(method, path, body, service) signs as the root key and sends the raw request."""
    def make(method, path, body=b"", service="execute-api", *, headers=None, region=None, secret=None, at=None,
             change=None, signed=True):
        environment = platform.environment
        request = AWSRequest(method, platform.endpoint + path, dict(headers or {}), body)
        if service == "s3":
            request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        if signed:
            credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], secret or environment["AWS_SECRET_ACCESS_KEY"])
            signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region or platform.region)
            if at is None:
                signer.add_auth(request)
            else:
                request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
                request.headers["X-Amz-Date"] = request.context["timestamp"]
                canonical = signer.canonical_request(request)
                text = signer.string_to_sign(request, canonical)
                signer._inject_signature_to_request(request, signer.signature(text, request))
        if change:
            change(request)
        connection = http.client.HTTPConnection(platform.endpoint.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, request.body, dict(request.headers.items()))
            return Reply(connection.getresponse())
        finally:
            connection.close()
    return make


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


# ---- what is not served


def test_unsupported_operations_are_named(iot, s3, iam, sts):
    cases = [(iot.create_topic_rule, {"ruleName": "r", "topicRulePayload": {"sql": "SELECT 1", "actions": []}}),
             (iot.describe_stream, {"streamId": "s"}), (iot.list_streams, {}),
             (s3.get_bucket_versioning, {"Bucket": "b-1"}),
             (s3.put_bucket_acl, {"Bucket": "b-1", "ACL": "private"}), (iam.create_saml_provider, {"SAMLMetadataDocument": "x" * 1000, "Name": "p"}),
             (sts.decode_authorization_message, {"EncodedMessage": "x"})]
    for call, arguments in cases:
        with pytest.raises(ClientError) as error:
            call(**arguments)
        response = error.value.response
        name = "".join(part.capitalize() for part in call.__name__.split("_"))
        assert response["ResponseMetadata"]["HTTPStatusCode"] in (400, 501), response
        assert name.lower() in response["Error"]["Message"].lower(), response
        assert response["Error"]["Code"] in ("InvalidRequestException", "NotImplemented", "InvalidAction"), response


def test_refused_member_of_a_job_is_named(iot, send, unique):
    arn = iot.create_thing(thingName=unique)["thingArn"]
    body = {"targets": [arn], "document": "{}", "destinationPackageVersions": ["arn:aws:iot:r:a:package/p/version/1"]}
    reply = send("PUT", f"/jobs/{unique}", json.dumps(body).encode(), headers=JSON)
    assert (reply.code, reply.status) == INVALID and "destinationPackageVersions" in reply.json["message"]
    refused("ResourceNotFoundException", 404, iot.describe_job, jobId=unique)


def test_refused_members_of_others_are_named(s3, iam, sts, unique):
    for call, member, arguments in (
            (s3.create_bucket, "ACL", {"Bucket": f"b-{unique}", "ACL": "public-read"}),
            (iam.simulate_custom_policy, "ResourceHandlingOption", {"PolicyInputList": ["{}"], "ActionNames": ["a:b"],
                                                                    "ResourceHandlingOption": "EC2-VPC-InstanceStore"}),
            (sts.assume_role, "SerialNumber", {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "ss",
                                               "SerialNumber": "arn:aws:iam::123456789012:mfa/x"})):
        with pytest.raises(ClientError) as error:
            call(**arguments)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 501)
        assert member.lower() in error.value.response["Error"]["Message"].lower(), error.value.response
    refused("NoSuchEntity", 404, iam.get_user, UserName=unique)


# ---- validation


def test_validation_has_the_wording_of_aws(send):
    reply = send("POST", "/things/bad%20name", b"{}", headers=JSON)
    assert reply.status == 400 and reply.code == "InvalidRequestException"
    assert reply.json["message"] == (
        "1 validation error detected: Value 'bad name' at 'thingName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9:_-]+")
    reply = send("PUT", "/jobs/" + "j" * 65, b'{"targets":[],"description":5}', headers=JSON)
    assert reply.status == 400 and reply.code in ("InvalidRequestException", "SerializationException")
    reply = send("PUT", "/jobs/" + "j" * 65, b'{"targets":[]}', headers=JSON)
    message = reply.json["message"]
    assert message.startswith("2 validation errors detected: ") and message.count("failed to satisfy constraint") == 2
    assert "at 'jobId' failed to satisfy constraint: Member must have length less than or equal to 64" in message
    assert "at 'targets' failed to satisfy constraint: Member must have length greater than or equal to 1" in message
    reply = send("PUT", "/jobs/j", b"{}", headers=JSON)
    assert "Value null at 'targets' failed to satisfy constraint: Member must not be null" in reply.json["message"]
    reply = send("GET", "/jobs?status=GONE")
    assert "Member must satisfy enum value set: [" in reply.json["message"]
    reply = send("GET", "/jobs?maxResults=0")
    assert "Member must have value greater than or equal to 1" in reply.json["message"]
    reply = send("GET", "/jobs?maxResults=many")
    assert reply.status == 400 and reply.json["message"]


def test_validation_in_query_services(send):
    reply = send("POST", "/", b"Action=CreateUser&Version=2010-05-08&UserName=a%20b", "iam", headers=FORM)
    assert reply.status == 400 and reply.code == "ValidationError" and reply.xml("Error/Type") == "Sender"
    assert "The specified value for userName is invalid." in reply.xml("Error/Message") and reply.xml("RequestId")
    reply = send("POST", "/", b"Action=CreateUser&Version=2010-05-08", "iam", headers=FORM)
    assert reply.code == "ValidationError" and "Member must not be null" in reply.xml("Error/Message")
    for body, code in ((b"Action=NoSuchThing&Version=2010-05-08", "InvalidAction"),
                       (b"Version=2010-05-08", "MissingAction"), (b"Action=GetUser", "InvalidAction"),
                       (b"Action=GetUser&Version=1999-01-01", "InvalidAction"),
                       (b"Action=GetUser&Action=GetRole&Version=2010-05-08", "MalformedQueryString"), (b"%zz", None)):
        reply = send("POST", "/", body, "iam", headers=FORM)
        assert reply.status == 400 and reply.code == (code or reply.code), body


@pytest.mark.parametrize("body", [
    b"{", b"junk", b"[]", b'"text"', b"5", b"null{}", b'{"attributePayload":[]}',
    b'{"attributePayload":{"attributes":"x"}}', b'{"attributePayload":{"attributes":{"a":1}}}',
    b'{"attributePayload":{"attributes":{"a":"\xff"}}}',
    b'{"attributePayload":' + b'{"x":' * 2000 + b"1" + b"}" * 2001, b"\x00\x01", b'{"a":"b"} trailing'], ids=range(13))
def test_malformed_json(send, iot, unique, body):
    reply = send("POST", f"/things/{unique}", body, headers=JSON)
    assert reply.status == 400 and reply.code in ("InvalidRequestException", "SerializationException")
    assert len(reply.json["message"]) < 1000
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=unique)


@pytest.mark.parametrize("body", [
    b"<Delete>", b"junk", b"<Delete><Object><Key>a</Key></Object>",
    b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Delete><Object><Key>&e;</Key></Object></Delete>",
    b"<Delete>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</Delete>",
    b"<Other/>", b"<Delete/>"], ids=range(7))
def test_malformed_xml(send, s3, unique, body):
    s3.create_bucket(Bucket=f"b-{unique}")
    s3.put_object(Bucket=f"b-{unique}", Key="a", Body=b"1")
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = send("POST", f"/b-{unique}?delete", body, "s3", headers={"Content-MD5": digest})
    assert reply.status == 400 and reply.code == "MalformedXML"
    assert b"root:" not in reply.body
    assert s3.get_object(Bucket=f"b-{unique}", Key="a")["Body"].read() == b"1"


def test_oversized_body(send, iot, unique):
    body = json.dumps({"attributePayload": {"attributes": {"a": "x" * 20_000_000}}}).encode()
    try:
        reply = send("POST", f"/things/{unique}", body, headers=JSON)
    except (BrokenPipeError, ConnectionResetError):
        reply = None  # it answered and closed before it had read all of that
    assert reply is None or reply.status in (400, 413)
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=unique)


def test_oversized_headers(send, iot):
    for count, size in ((1, 100_000), (2000, 20)):
        try:
            reply = send("GET", "/things", headers={f"x-n{n}": "v" * size for n in range(count)})
        except (BrokenPipeError, ConnectionResetError):
            continue
        assert reply.status in (400, 413, 431), count
    assert "things" in iot.list_things()


# ---- signatures


def service_calls():
    yield "execute-api", ("GET", "/things"), "InvalidSignatureException"
    yield "iam", ("POST", "/", b"Action=ListUsers&Version=2010-05-08"), "SignatureDoesNotMatch"
    yield "s3", ("GET", "/"), "SignatureDoesNotMatch"


def headers_of(service):
    return FORM if service == "iam" else {}


def test_right_signature_is_let_in(send):
    for service, call, _ in service_calls():
        assert send(*call, service=service, headers=headers_of(service)).status == 200


def test_wrong_signatures(send):
    def flip(request):
        text = request.headers["Authorization"]
        del request.headers["Authorization"]
        request.headers["Authorization"] = text[:-1] + ("0" if text[-1] != "0" else "1")

    def other_body(request):
        request.data = b"Action=ListRoles&Version=2010-05-08"
    for service, call, code in service_calls():
        for how in ({"secret": "x" * 40}, {"change": flip}):
            reply = send(*call, service=service, headers=headers_of(service), **how)
            assert (reply.status, reply.code) == (403, code), how
    listing = b"Action=ListUsers&Version=2010-05-08"
    assert send("POST", "/", listing, "iam", headers=FORM, change=other_body).status == 403


def test_wrong_region_and_service(send):
    for service, call, _ in service_calls():
        reply = send(*call, service=service, headers=headers_of(service), region="eu-nowhere-9")
        assert reply.status in (400, 403), (service, reply.body)
        assert "eu-nowhere-9" in reply.body.decode() or "region" in reply.body.decode(), reply.body
    for wrong in ("ec2", "iot1click", ""):
        assert send("GET", "/things", service=wrong).status in (400, 403, 404)


def test_clock_skew(send):
    now = datetime.datetime.now(datetime.timezone.utc)
    for minutes in (-20, 20, -60 * 24 * 30):
        at = now + datetime.timedelta(minutes=minutes)
        for service, call, _ in service_calls():
            reply = send(*call, service=service, headers=headers_of(service), at=at)
            assert reply.status in (400, 403), (service, minutes)
            assert reply.code in ("InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch",
                                  "RequestTimeTooSkewed"), (service, reply.code)
    for minutes in (-3, 3):
        assert send("GET", "/things", at=now + datetime.timedelta(minutes=minutes)).status == 200


def test_unsigned_calls(send):
    for service, call, _ in service_calls():
        reply = send(*call, service=service, headers=headers_of(service), signed=False)
        assert reply.status == 403, service
    reply = send("POST", "/things/x", b"{}", headers=JSON, signed=False)
    assert reply.status == 403


@pytest.mark.parametrize("value", [
    "junk", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a", "Bearer abc", "Basic YTpi", "AWS a:b", "",
    "AWS4-HMAC-SHA256 Credential=AKIA/20200101/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 " + "Credential=a," * 5000], ids=range(9))
def test_malformed_authorization(send, value):
    reply = send("GET", "/things", headers={"Authorization": value}, signed=False)
    assert reply.status in (400, 403, 431), reply.body


# ---- paths and methods


@pytest.mark.parametrize("method, path", [
    ("GET", "/nothing/here/at/all"), ("GET", "/things/a/b/c/d"), ("DELETE", "/things"), ("PATCH", "/things/a"),
    ("PUT", "/thing-groups/x/y/z"), ("POST", "/jobs"), ("GET", "/thing-groups/x/y"),
    ("GET", "/things/%2e%2e/x"), ("GET", "/things/%zz"), ("FOO", "/things"), ("OPTIONS", "/things"),
    ("GET", "/THINGS"), ("GET", "/things/a%00b")])
def test_unknown_paths_are_never_200(send, method, path):
    reply = send(method, path)
    assert reply.status >= 400, reply.body
    assert reply.body, "no word of why"
    assert reply.code


def test_paths_mean_what_is_signed(send, iot, unique):
    """Signatures of these services cover the normalised path, so no other spelling may reach another resource."""
    iot.create_thing(thingName=unique)
    for path in (f"//things/{unique}", f"/things/x/../{unique}", f"/./things//{unique}/"):
        assert send("GET", path).json["thingName"] == unique
    for path in (f"/things/..%2f{unique}", f"/things/{unique}%2f", f"/things/{unique}%3f"):
        assert send("GET", path).status >= 400, path


def test_unknown_paths_of_the_data_planes(send):
    for service in ("iot-jobs-data", "iotdevicegateway", "iotdata"):
        for method, path in (("GET", "/nothing"), ("DELETE", "/things/a/jobs/b"), ("POST", "/topics"),
                             ("GET", "/topics/a")):
            assert send(method, path, service=service).status >= 400, (service, method, path)


def test_every_answer_has_a_request_id(send, platform):
    for service, call, _ in service_calls():
        reply = send(*call, service=service, headers=headers_of(service))
        names = {name.lower() for name in reply.headers}
        assert names & {"x-amzn-requestid", "x-amz-request-id"}, reply.headers
    one, two = (send("GET", "/things/none-" + "x") for _ in range(2))
    assert one.headers["x-amzn-RequestId"] != two.headers["x-amzn-RequestId"]
