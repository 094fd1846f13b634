# SPDX-License-Identifier: Apache-2.0
"""The audit log: what is recorded, LookupEvents by stock clients, `muster audit`, secrets, kills."""
import datetime
import json
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from refusals import refused
from server_process import binary, wait_until
from test_custom_authorizers import Client, Site, answer
from test_websocket import Door, Socket
from tls_device import statement

UTC = datetime.timezone.utc


@pytest.fixture
def own(start):
    """A server of the test's own, whose audit log holds nothing else."""
    return start("--plain_mqtt.port", "0", "--plain_mqtt.policy", "nobody")


def muster(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, check=False)


def audit(server, *arguments):
    return muster("audit", *arguments, "--data-dir", server.data_dir)


def files(server):
    return sorted(pathlib.Path(server.data_dir, "audit").glob("*.jsonl"))


def text_of(server):
    return b"".join(path.read_bytes() for path in files(server))


def events(server, **attribute):
    """All events through the stock paginator, newest first, as records."""
    arguments = {"LookupAttributes": [{"AttributeKey": k, "AttributeValue": v} for k, v in attribute.items()]}
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(**arguments)
    return [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]


def user(server, name, *statements):
    iam = server.client("iam")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))
    return iam.create_access_key(UserName=name)["AccessKey"]


def test_a_call_is_recorded_as_cloudtrail_does(own):
    answer = own.client("iot").create_thing(thingName="t1", attributePayload={"attributes": {"colour": "red"}})
    [record] = events(own, EventName="CreateThing")
    assert record["eventVersion"] == "1.08"
    assert record["eventSource"] == "iot.amazonaws.com"
    assert record["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert record["userIdentity"]["type"] == "Root"
    assert record["userIdentity"]["accessKeyId"] == own.environment["AWS_ACCESS_KEY_ID"]
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in record["userAgent"]
    assert record["requestParameters"] == {
        "thingName": "t1", "attributePayload": {"attributes": {"colour": "red"}}}
    assert record["responseElements"] is None
    assert record["readOnly"] is False
    assert record["resources"][0]["ARN"] == answer["thingArn"]
    assert record["eventType"] == "AwsApiCall" and record["managementEvent"] is True


def test_lookup_attributes_times_and_pages(own):
    iot = own.client("iot")
    for i in range(7):
        iot.create_thing(thingName=f"t{i}")
    with pytest.raises(ClientError):
        iot.describe_thing(thingName="absent")
    key = user(own, "ann", statement("Allow", "iot:ListThings", "*"))
    ann = own.client("iot", key["AccessKeyId"], key["SecretAccessKey"])
    ann.list_things()
    refused("AccessDeniedException", 403, ann.create_thing, thingName="no")
    trail = own.client("cloudtrail")

    def found(attribute, value):
        answer = trail.lookup_events(LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}])
        return answer["Events"]
    assert {e["EventName"] for e in found("Username", "ann")} == {"ListThings", "CreateThing"}
    assert {e["EventName"] for e in found("AccessKeyId", key["AccessKeyId"])} == {"ListThings", "CreateThing"}
    assert [e["Resources"] for e in found("ResourceName", "t3")] == [
        [{"ResourceType": "AWS::IoT::Thing", "ResourceName": "t3"}]]
    assert {e["EventSource"] for e in found("EventSource", "iam.amazonaws.com")} == {"iam.amazonaws.com"}
    assert all(e["ReadOnly"] == "true" for e in found("ReadOnly", "true"))
    assert {e["EventName"] for e in found("ResourceType", "AWS::IAM::User")} >= {"CreateUser", "CreateAccessKey"}
    [one] = found("EventId", found("Username", "ann")[0]["EventId"])
    assert one["Username"] == "ann"

    everything = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateThing"}])
    names = [json.loads(e["CloudTrailEvent"])["requestParameters"]["thingName"] for e in everything["Events"]]
    assert names == ["no", "t6", "t5", "t4", "t3", "t2", "t1", "t0"]
    pages = trail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateThing"}],
        PaginationConfig={"PageSize": 3})
    sizes = [len(page["Events"]) for page in pages]
    assert sizes == [3, 3, 2]
    now = datetime.datetime.now(UTC)
    minute = datetime.timedelta(minutes=1)
    assert trail.lookup_events(StartTime=now + minute)["Events"] == []
    assert trail.lookup_events(EndTime=now - minute)["Events"] == []
    assert len(trail.lookup_events(StartTime=now - minute, EndTime=now + minute)["Events"]) > 8


def test_lookup_refuses_as_cloudtrail_does(own):
    trail = own.client("cloudtrail", parameter_validation=False)
    name = {"AttributeKey": "EventName", "AttributeValue": "x"}
    for code, arguments in [
            ("InvalidLookupAttributesException", {"LookupAttributes": [name, name]}),
            ("InvalidLookupAttributesException", {"LookupAttributes": [{"AttributeKey": "Color", "AttributeValue": "x"}]}),
            ("InvalidLookupAttributesException", {"LookupAttributes": [{"AttributeKey": "ReadOnly", "AttributeValue": "x"}]}),
            ("InvalidTimeRangeException", {"StartTime": 2000000000, "EndTime": 1000000000}),
            ("InvalidMaxResultsException", {"MaxResults": 51}), ("InvalidMaxResultsException", {"MaxResults": 0}),
            ("InvalidNextTokenException", {"NextToken": "x"}), ("InvalidNextTokenException", {"NextToken": "MTow"}),
            ("ValidationException", {"EventCategory": "insight"})]:
        refused(code, 400, trail.lookup_events, **arguments)
    for i in range(3):
        own.client("iot").list_things()
    page = trail.lookup_events(MaxResults=1)
    refused("InvalidNextTokenException", 400, trail.lookup_events, NextToken=page["NextToken"], LookupAttributes=[name])
    refused("ValidationException", 400, trail.create_trail, Name="t", S3BucketName="b")
    key = user(own, "eve")
    refused("AccessDeniedException", 400,
            own.client("cloudtrail", key["AccessKeyId"], key["SecretAccessKey"]).lookup_events)
    allowed = user(own, "auditor", statement("Allow", "cloudtrail:LookupEvents", "*"))
    assert own.client("cloudtrail", allowed["AccessKeyId"], allowed["SecretAccessKey"]).lookup_events()["Events"]


def test_the_cli_looks_up(own):
    own.client("iot").create_thing(thingName="by-cli")
    out = own.cli("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=CreateThing",
                  "--query", "Events[].Resources[].ResourceName", "--output", "text")
    assert out.stdout.strip() == "by-cli"


def test_data_planes_are_recorded_when_denied_or_asked_for(own, start):
    s3 = own.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"secret-bytes")
    s3.get_object(Bucket="bucket", Key="k")
    own.client("iot-data").publish(topic="a", payload=b"secret-bytes")
    assert {e["eventName"] for e in events(own)} == {"CreateBucket"}
    key = user(own, "eve")
    refused("AccessDenied", 403, own.client("s3", key["AccessKeyId"], key["SecretAccessKey"]).get_object, Bucket="bucket", Key="k")
    refused("ForbiddenException", 403,
            own.client("iot-data", key["AccessKeyId"], key["SecretAccessKey"]).publish, topic="a", payload=b"x")
    assert {e["eventName"] for e in events(own, Username="eve")} == {"GetObject", "Publish"}
    assert b"secret-bytes" not in text_of(own)

    wide = start("--audit.data_events", "true")
    wide.client("iot-data").publish(topic="a", payload=b"x")
    [record] = events(wide, EventName="Publish")
    assert record["eventCategory"] == "Data"


def test_denials_come_collapsed(own):
    key = user(own, "eve")
    eve = own.client("iot", key["AccessKeyId"], key["SecretAccessKey"])
    for _ in range(30):
        refused("AccessDeniedException", 403, eve.delete_thing, thingName="t")
    for i in range(200):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{own.endpoint}/things/{i}", headers={
                "Host": "iot.us-east-1.amazonaws.com"}), timeout=5)
        except urllib.error.HTTPError as error:
            assert error.code == 403
    assert len(events(own, Username="eve")) == 1
    unsigned = [e for e in events(own) if e["userIdentity"].get("accountId") == "ANONYMOUS_PRINCIPAL"]
    assert 1 <= len(unsigned) <= 60
    own.stop()  # what was counted is recorded then
    listed = audit(own, "list", "--user", "eve")
    assert "AccessDeniedException  29 times more" in listed.stdout
    assert audit(own, "verify").returncode == 0


def test_strangers_do_not_hide_what_a_known_user_tried(own):
    key = user(own, "mallory")
    for i in range(70):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(f"{own.endpoint}/things/{i}?a={i}", headers={
                "Host": "iot.us-east-1.amazonaws.com", "Authorization":
                f"AWS4-HMAC-SHA256 Credential=AKIA{i:016}/20260101/us-east-1/iot/aws4_request, "
                f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}", "X-Amz-Date": "20260101T000000Z"}), timeout=5)
    refused("AccessDenied", 403,
            own.client("iam", key["AccessKeyId"], key["SecretAccessKey"]).delete_user, UserName="ann")
    [record] = events(own, EventName="DeleteUser")
    assert record["errorCode"] == "AccessDenied" and record["userIdentity"]["userName"] == "mallory"
    assert events(own, EventName="ManyDeniedCalls")


def test_mqtt_denials_are_recorded(platform, identity, connect):
    one = identity(statement("Allow", "iot:Connect", "*"))
    assert connect(one).publish("secret/topic") is False
    record = wait_until(lambda: events(platform, ResourceName="secret/topic"), what="the denial in the log")[0]
    assert record["eventName"] == "Publish"
    assert record["errorCode"] == "AccessDenied"
    assert record["userIdentity"]["type"] == "Certificate"
    assert record["sourceIPAddress"] == "127.0.0.1"


def test_an_authorisers_principal_is_no_certificate(start, tmp_path):
    site = Site(start, tmp_path)
    try:
        certificate = site.iot.create_keys_and_certificate(setAsActive=True)
        site.functions["f"] = lambda event: answer(statement("Allow", "iot:Connect", "*"),
                                                   principal=certificate["certificateId"])
        made = site.authorizer("a")
        client = Client(site, "c", site.user_name("a"))
        assert client.code == 0 and not client.publish("forged/topic")
        client.close()
        [record] = wait_until(lambda: events(site.server, ResourceName="forged/topic"), what="the denial in the log")
        who = record["userIdentity"]
        assert (who["type"], who["arn"]) == ("CustomAuthorizer", made["authorizerArn"])
        assert who["principalId"] == certificate["certificateId"]
        why = muster("why", "--client", "c", "--publish", "forged/topic", "--data-dir", site.server.data_dir)
        assert "IAM credentials or a token" in why.stdout, why.stdout + why.stderr
    finally:
        site.functions.close()


def test_mqtt_denials_of_iam_users_name_them(own):
    key = user(own, "webb", statement("Allow", "iot:Connect", "*"))
    door = Door(own, "device")
    client = Socket(door, door.path(key), "webb-client")
    assert client.code == 0
    client.client.publish("webb/topic", "x", 1)
    assert client.lost.wait(5)
    client.close()
    [record] = wait_until(lambda: events(own, ResourceName="webb/topic"), what="the denial in the log")
    assert record["userIdentity"]["type"] == "IAMUser" and record["userIdentity"]["userName"] == "webb"
    assert record["userIdentity"]["arn"].endswith(":user/webb")


def test_names_and_agents_cannot_break_or_forge_a_line(own):
    iot = own.client("iot", user_agent_extra='x"}}\xff\xc3 {"seq":1,"prev":"' + "0" * 64 + '","event":{}}')
    iot.list_things()
    thing = own.client("iot", parameter_validation=False)
    for name in ["a\nb", '{"seq":9}\n', "\x00", "\u2028", "ä" * 60, 'x"}}\n{"seq":2']:
        with pytest.raises(Exception):
            thing.create_thing(thingName=name)
    for line in text_of(own).splitlines():
        json.loads(line)
    done = audit(own, "verify")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in audit(own, "list").stdout
    assert all("\n" not in e["requestParameters"].get("thingName", "") or e["errorCode"] for e in events(own)
               if e["requestParameters"])


def test_verify_finds_what_was_changed(own, tmp_path):
    for i in range(5):
        own.client("iot").create_thing(thingName=f"t{i}")
    own.stop()
    whole = audit(own, "verify")
    assert whole.returncode == 0, whole.stderr
    assert "The audit log is whole: 5 events" in whole.stdout
    [path] = files(own)
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if '"t2"' in line)

    def broken(text):
        path.write_text(text)
        done = audit(own, "verify")
        assert done.returncode == 1 and done.stdout == ""
        return done.stderr
    assert f"{path}:{number + 1}: " in broken(original.replace('"t2"', '"x2"'))
    assert f"{path}:{number + 1}: it has number" in broken("".join(lines[:number] + lines[number + 1:]))
    assert "cut off" in broken("".join(lines[:-1]))
    # Elsewhere, with the public key alone.
    path.write_text(original)
    copy = tmp_path / path.name
    copy.write_text(original)
    key = pathlib.Path(own.data_dir, "audit-public.pem")
    assert "Signed by key" in muster("audit", "verify", str(copy), "--key", str(key)).stdout
    assert "Seals were not checked" in muster("audit", "verify", str(copy)).stdout
    copy.write_text(original.replace('"t2"', '"x2"'))
    assert muster("audit", "verify", str(copy), "--key", str(key)).returncode == 1
    # The server says so itself from then on.
    path.write_text("".join(lines[:number]))
    own.start()
    own.stop()
    assert "the server noted here" in audit(own, "verify").stderr


def test_list_filters_and_is_readable(own):
    own.client("iot").create_thing(thingName="t1")
    with pytest.raises(ClientError):
        own.client("iot").describe_thing(thingName="absent")
    own.client("iam").list_users()
    out = audit(own, "list").stdout.splitlines()
    assert len(out) == 3
    assert re.fullmatch(r"\S+Z  root  127\.0\.0\.1  iot:CreateThing  t1  ok", out[0])
    assert audit(own, "list", "--error", "any").stdout.endswith("ResourceNotFoundException\n")
    assert "ListUsers" in audit(own, "list", "--source", "iam").stdout
    assert audit(own, "list", "--read-only", "false").stdout.count("\n") == 1
    assert audit(own, "list", "--since", "2999-01-01").stdout == ""
    assert json.loads(audit(own, "list", "--resource", "t1", "--format", "json").stdout)["eventName"] == "CreateThing"
    for wrong in (["list", "--since", "soon"], ["list", "--limit", "0"], ["rewrite"], ["list", "--read-only", "maybe"]):
        assert audit(own, *wrong).returncode == 1


def test_a_kill_loses_no_change_that_was_answered(own):
    iot = own.client("iot")
    for round_number in range(3):
        for i in range(10):
            iot.create_thing(thingName=f"r{round_number}-{i}")
        own.restart()  # SIGKILL
        names = {e["requestParameters"]["thingName"] for e in events(own, EventName="CreateThing")}
        assert names >= {f"r{r}-{i}" for r in range(round_number + 1) for i in range(10)}
    with open(files(own)[-1], "ab") as file:
        own.kill()
        file.write(b'{"seq":99,"prev":"0000')
    own.start()
    iot.create_thing(thingName="after")
    own.stop()
    done = audit(own, "verify")
    assert done.returncode == 0, done.stderr
    assert "unfinished line" in done.stdout


def test_no_secret_reaches_a_log(own):
    secrets = [own.environment["AWS_SECRET_ACCESS_KEY"]]
    iam, sts, iot = own.client("iam"), own.client("sts"), own.client("iot")
    key = user(own, "ann", statement("Allow", "*", "*"))
    secrets.append(key["SecretAccessKey"])
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}))
    ann = own.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    session = ann.assume_role(RoleArn=iam.get_role(RoleName="r")["Role"]["Arn"], RoleSessionName="session-1")["Credentials"]
    secrets += [session["SecretAccessKey"], session["SessionToken"]]
    temporary = own.client("iot", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    refused("AccessDeniedException", 403, temporary.list_things)
    pair = iot.create_keys_and_certificate(setAsActive=True)["keyPair"]
    secrets += [line for line in pair["PrivateKey"].splitlines() if "KEY" not in line and len(line) > 20]
    s3 = own.client("s3", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=5)
    secrets += [url.split("Signature=")[1].split("&")[0], session["SessionToken"][:60]]
    forged = own.client("iot", key["AccessKeyId"], "wrong-" + key["SecretAccessKey"])
    with pytest.raises(ClientError):
        forged.list_things()
    for call, arguments in [
            (iot.test_invoke_authorizer, {
                "authorizerName": "a", "token": "hush-token", "tokenSignature": "aHVzaC1zaWduYXR1cmUtb2YtYS10b2tlbg==",
                "httpContext": {"headers": {"X-Token": "hush-header"}, "queryString": "token=hush-query"},
                "mqttContext": {"username": "gw?token=hush-name", "password": b"hush-password", "clientId": "gw"}}),
            (iot.test_invoke_authorizer, {"authorizerName": "a", "httpContext": {"headers": {"X": "hush" * 3000}}}),
            (iot.register_thing, {"templateBody": "{}", "parameters": {"ActivationCode": "hush-code"}}),
            (iot.create_job, {"jobId": "j", "targets": ["arn:aws:iot:us-east-1:1:thing/x"], "documentSource":
                              "https://b.s3.amazonaws.com/k?X-Amz-Signature=hush-url&X-Amz-Security-Token=hush-url"}),
            (sts.assume_role_with_web_identity, {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "web",
                                                 "WebIdentityToken": "hush.web.identity"})]:
        with pytest.raises(ClientError):
            call(**arguments)
    for operation in ("TestInvokeAuthorizer", "RegisterThing", "CreateJob", "AssumeRoleWithWebIdentity"):
        assert operation in text_of(own).decode()
    secrets += ["hush", "aHVzaC1"]
    assert len(secrets) > 10
    logged = text_of(own).decode() + pathlib.Path(own.log_path).read_text(errors="replace")
    assert "AssumeRole" in logged and "CreateKeysAndCertificate" in logged
    for secret in secrets:
        assert secret not in logged
    own.stop()
    assert audit(own, "verify").returncode == 0
