# SPDX-License-Identifier: Apache-2.0
"""Bulk registration with stock boto3: a file of JSON lines in S3 becomes things, with a report; also through kill -9."""
import json
import time
import urllib.request

import pytest

from refusals import refused
from test_provisioning import role  # noqa: F401, a fixture
from tls_device import statement

TEMPLATE = json.dumps({"Parameters": {"Name": {"Type": "String"}, "Group": {"Type": "String"}}, "Resources": {
    "thing": {"Type": "AWS::IoT::Thing", "Properties": {
        "ThingName": {"Ref": "Name"}, "AttributePayload": {"colour": "red"}, "ThingGroups": [{"Ref": "Group"}]}}}})
EVERYTHING = [statement("Allow", "iot:*", "*"), statement("Allow", "s3:GetObject", "*")]


class Clients:
    def __init__(self, server):
        self.iot, self.s3, self.iam = server.client("iot"), server.client("s3"), server.client("iam")


def lines(prefix, group, count):
    return "".join(json.dumps({"Name": f"{prefix}-{i}", "Group": group}) + "\n" for i in range(count)).encode()


def ended(iot, task, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        described = iot.describe_thing_registration_task(taskId=task)
        if described["status"] not in ("InProgress", "Cancelling"):
            return described
        assert time.monotonic() < deadline, described
        time.sleep(0.05)


def report(iot, task, kind):
    links = iot.list_thing_registration_task_reports(taskId=task, reportType=kind)
    assert links["reportType"] == kind
    text = "".join(urllib.request.urlopen(link, timeout=10).read().decode() for link in links["resourceLinks"])
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def bulk(iot, s3, role, unique):  # noqa: F811
    """bulk(bytes): the ended task."""
    bucket = f"bulk-{unique}"
    s3.create_bucket(Bucket=bucket)
    iot.create_thing_group(thingGroupName=f"g-{unique}")

    def run(content, role_arn=None, template=TEMPLATE):
        s3.put_object(Bucket=bucket, Key="input.json", Body=content)
        task = iot.start_thing_registration_task(templateBody=template, inputFileBucket=bucket,
                                                 inputFileKey="input.json", roleArn=role_arn or role(*EVERYTHING))["taskId"]
        return ended(iot, task)
    run.bucket, run.group = bucket, f"g-{unique}"
    return run


def test_things_from_a_file(iot, bulk, unique):
    done = bulk(lines(unique, bulk.group, 700))
    assert (done["status"], done["successCount"], done["failureCount"], done["percentageProgress"]) == ("Completed", 700, 0, 100)
    assert iot.describe_thing(thingName=f"{unique}-699")["attributes"] == {"colour": "red"}
    assert iot.list_thing_groups_for_thing(thingName=f"{unique}-699")["thingGroups"][0]["groupName"] == bulk.group
    results = report(iot, done["taskId"], "RESULTS")
    assert [r["lineNumber"] for r in results] == list(range(1, 701))
    assert results[0]["response"]["ResourceArns"]["thing"].endswith(f":thing/{unique}-0")
    assert report(iot, done["taskId"], "ERRORS") == []
    assert done["taskId"] in iot.list_thing_registration_tasks(status="Completed")["taskIds"]
    assert done["taskId"] not in iot.list_thing_registration_tasks(status="Failed")["taskIds"]
    refused("InvalidRequestException", 400, iot.stop_thing_registration_task, taskId=done["taskId"])


def test_bulk_lines_that_name_foreign_resources(iot, bulk, unique):
    foreign = "arn:aws:iot:us-east-1:999999999999:thinggroup/g"
    content = "\n".join([json.dumps({"Name": f"{unique}-good", "Group": bulk.group}),
                         json.dumps({"Name": f"{unique}-a", "Group": foreign}),
                         json.dumps({"Name": f"arn:aws:iot:us-east-1:999999999999:thing/{unique}", "Group": bulk.group}),
                         "not json", json.dumps([1]), json.dumps({"Name": 7, "Group": bulk.group})])
    done = bulk(content.encode())
    assert (done["status"], done["successCount"], done["failureCount"]) == ("Completed", 1, 5)
    errors = report(iot, done["taskId"], "ERRORS")
    assert [e["lineNumber"] for e in errors] == [2, 3, 4, 5, 6]
    assert all(e["errorCode"] and e["errorMessage"] for e in errors)
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=f"{unique}-a")


def test_bulk_file_that_is_not_json_lines(bulk):
    done = bulk(b"name;group\n" * 5000)
    assert done["status"] == "Failed" and "JSON lines" in done["message"]


def test_bulk_is_bounded_by_its_role(iot, bulk, role, unique):  # noqa: F811
    narrow = role(statement("Allow", "s3:GetObject", f"arn:aws:s3:::{bulk.bucket}/*"),
                  statement("Allow", ["iot:CreateThing", "iot:AddThingToThingGroup"],
                            [f"arn:aws:iot:*:*:thing/{unique}-1", "arn:aws:iot:*:*:thinggroup/*"]))
    done = bulk(lines(unique, bulk.group, 3), narrow)
    assert (done["successCount"], done["failureCount"]) == (1, 2)
    assert {e["errorCode"] for e in report(iot, done["taskId"], "ERRORS")} == {"AccessDeniedException"}


def test_what_does_not_start(iot, bulk, role):  # noqa: F811
    good = {"templateBody": TEMPLATE, "inputFileBucket": bulk.bucket, "inputFileKey": "none", "roleArn": role(*EVERYTHING)}
    refused("InvalidRequestException", 400, iot.start_thing_registration_task, **good)
    refused("InvalidRequestException", 400, iot.start_thing_registration_task,
            **{**good, "roleArn": role(statement("Allow", "iot:*", "*"))})
    refused("InvalidRequestException", 400, iot.start_thing_registration_task, **{**good, "templateBody": "{}"})
    refused("ResourceNotFoundException", 404, iot.describe_thing_registration_task, taskId="none")


def test_kill_9_neither_skips_nor_doubles(own_platform, unique):
    clients = Clients(own_platform)
    count = 20_000
    arn = clients.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                                                "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
    clients.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": EVERYTHING}))
    clients.iot.create_thing_group(thingGroupName="g")
    clients.s3.create_bucket(Bucket="bulk-input")
    clients.s3.put_object(Bucket="bulk-input", Key="f", Body=lines(unique, "g", count))
    task = clients.iot.start_thing_registration_task(templateBody=TEMPLATE, inputFileBucket="bulk-input", inputFileKey="f",
                                                     roleArn=arn)["taskId"]
    seen = set()
    for _ in range(4):
        before = clients.iot.describe_thing_registration_task(taskId=task)["successCount"]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            now = clients.iot.describe_thing_registration_task(taskId=task)
            if now["successCount"] > before or now["status"] != "InProgress":
                break
        seen.add(now["successCount"])
        own_platform.restart()
        clients = Clients(own_platform)
    assert len(seen) > 1, "it was never killed under way"
    done = ended(clients.iot, task, 120)
    assert (done["status"], done["successCount"], done["failureCount"]) == ("Completed", count, 0)
    results = report(clients.iot, task, "RESULTS")
    assert [r["lineNumber"] for r in results] == list(range(1, count + 1))
    assert clients.iot.describe_thing(thingName=f"{unique}-{count - 1}")["version"] == 1
