# SPDX-License-Identifier: Apache-2.0
"""Placeholders of job documents on the real server: what devices get in their place, and what is refused by name."""
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest

from refusals import refused

INVALID = ("InvalidRequestException", 400)


@pytest.fixture
def bucket(s3, unique):
    s3.create_bucket(Bucket=f"jobs-{unique}")
    return f"jobs-{unique}"


@pytest.fixture
def role(iam, unique):
    """role(*ACTIONS) makes a role that AWS IoT may take and that may do these on every object."""
    def make(*actions):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        may = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::*/*"}]}
        arn = iam.create_role(RoleName=f"r-{unique}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=f"r-{unique}", PolicyName="may", PolicyDocument=json.dumps(may))
        return arn
    return make


@pytest.fixture
def make_job(iot, thing, unique):
    def make(document, name="j", **members):
        return iot.create_job(jobId=f"{name}-{unique}", targets=[thing["thingArn"]],
                              document=document if isinstance(document, str) else json.dumps(document), **members)
    return make


def upload(url):
    return "${aws:iot:s3-presigned-url-upload:%s}" % url


def put(url, data):
    """The HTTP status of a device's upload."""
    request = urllib.request.Request(url, data=data, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_device_uploads_where_its_document_says(iot, iot_jobs, s3, make_job, device, thing, bucket, role, unique):
    url = f"https://s3.amazonaws.com/{bucket}/logs/${{thingName}}/${{jobId}} ${{executionNumber}}.txt"
    presign = {"roleArn": role("s3:PutObject"), "expiresInSec": 120}
    job_id = make_job({"to": upload(url), "note": "${thingName}"}, presignedUrlConfig=presign)["jobId"]
    key = f"logs/{thing['thingName']}/{job_id} 1.txt"
    started = device.accepted("start-next")["execution"]["jobDocument"]
    assert started["note"] == "${thingName}"
    parts = urllib.parse.urlparse(started["to"])
    assert urllib.parse.unquote(parts.path) == f"/{bucket}/{key}" and "X-Amz-Expires=120" in parts.query
    assert put(started["to"], b"first") == 200
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"first"
    # Every delivery signs anew, over HTTPS as well; the signature is of an upload of this object.
    again = json.loads(iot_jobs.describe_job_execution(thingName=thing["thingName"], jobId=job_id)["execution"]
                       ["jobDocument"])["to"]
    assert put(again, b"second") == 200
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"second"
    assert put(again.replace("logs", "other"), b"x") == 403
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(again, timeout=10)
    assert caught.value.code == 403
    stored = json.loads(iot.get_job_document(jobId=job_id)["document"])
    assert stored == {"to": upload(url), "note": "${thingName}"}


def test_upload_needs_the_roles_permission(make_job, device, bucket, role):
    presign = {"roleArn": role("s3:GetObject"), "expiresInSec": 60}
    make_job({"to": upload(f"https://{bucket}.s3.eu-west-1.amazonaws.com/k")}, presignedUrlConfig=presign)
    assert put(device.accepted("start-next")["execution"]["jobDocument"]["to"], b"x") == 403


def test_upload_of_a_bucket_alone_gets_a_key(s3, make_job, device, thing, bucket, role):
    presign = {"roleArn": role("s3:PutObject"), "expiresInSec": 60}
    job_id = make_job({"to": upload(f"https://s3.amazonaws.com/{bucket}")}, presignedUrlConfig=presign)["jobId"]
    assert put(device.accepted("start-next")["execution"]["jobDocument"]["to"], b"x") == 200
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == [f"{job_id}/{thing['thingName']}/1"]


def test_uploads_of_two_executions_do_not_meet(iot, make_job, device, thing, bucket, role):
    url = upload(f"https://s3.amazonaws.com/{bucket}/${{jobId}}-${{executionNumber}}-${{thingName}}")
    presign = {"roleArn": role("s3:PutObject"), "expiresInSec": 60}
    made = [make_job({"to": url}, name, presignedUrlConfig=presign)["jobId"] for name in ("a", "b")]
    paths = []
    for _ in made:
        execution = device.accepted("start-next")["execution"]
        paths.append(urllib.parse.urlparse(execution["jobDocument"]["to"]).path)
        device.accepted(execution["jobId"] + "/update", {"status": "SUCCEEDED"})
    assert sorted(paths) == sorted(f"/{bucket}/{job_id}-1-{thing['thingName']}" for job_id in made)


def test_download_with_encoded_url(s3, make_job, device, bucket, role):
    s3.put_object(Bucket=bucket, Key="fw/ü 1+1.bin", Body=b"firmware")
    url = urllib.parse.quote(f"https://s3.amazonaws.com/{bucket}/fw/ü 1+1.bin", safe="")
    presign = {"roleArn": role("s3:GetObject"), "expiresInSec": 60}
    make_job({"from": "${aws:iot:s3-presigned-url-v2:%s}" % url}, presignedUrlConfig=presign)
    with urllib.request.urlopen(device.accepted("start-next")["execution"]["jobDocument"]["from"], timeout=10) as reply:
        assert reply.read() == b"firmware"


def test_bad_placeholders_are_refused_by_name(iot, make_job, bucket, role, unique):
    presign = {"roleArn": role("s3:GetObject"), "expiresInSec": 60}
    base = f"https://s3.amazonaws.com/{bucket}/"
    cases = [
        (upload(base + "${jobId}${jobId}${jobId}"), "exceeds limit of 2"),
        (upload(base + "${thing}"), "undefined placeholder, ${thing}"),
        (upload("https://s3.amazonaws.com/${thingName}/k"), "bucket name"),
        (upload(base + "k?versionId=1"), "cannot name a version"),
        (upload(base + "k" * 900 + "${thingName}"), "longer than 1024"),
        (upload("ftp://x/y"), "S3 URL"),
        (upload(""), "no URL"),
        (upload(base + "k")[:-1], "not terminated"),
        ("${aws:iot:s3-presigned-url:%s${jobId}}" % base, "only valid inside of presign url upload"),
        ("${aws:iot:s3-presigned-url:${aws:iot:s3-presigned-url:%sk}}" % base, "nested"),
        ("${aws:iot:s3-presigned-url-v2:https%3A%2}", "URL-encoded"),
        ("${aws:iot:parameter:p}", "managed job templates only"),
        ("${aws:iot:package:p:version:1:attributes:a}", "Software Package Catalog"),
        ("${aws:iot:package:p:version:1:artifact-location:s3-presigned-url}", "Software Package Catalog"),
        ("${aws:iot:unheard-of:x}", "unknown placeholder ${aws:iot:unheard-of}"),
        (upload(base + "k") * 11, "more than 10 placeholders"),
    ]
    for text, reason in cases:
        error = refused(*INVALID, make_job, document={"u": text}, presignedUrlConfig=presign)
        assert reason in error["Error"]["Message"], (text, error)
    refused("ResourceNotFoundException", 404, iot.describe_job, jobId=f"j-{unique}")
    refused(*INVALID, make_job, document={"u": upload(base + "k")})  # no role to sign with
    refused(*INVALID, make_job, document={"u": upload(base + "k")},
            presignedUrlConfig={"roleArn": presign["roleArn"] + "x", "expiresInSec": 60})
    make_job({"u": "${jobId} ${aws:other} ${HOME}"})
