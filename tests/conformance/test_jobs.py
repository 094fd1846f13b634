# SPDX-License-Identifier: Apache-2.0
"""Jobs on the real server: boto3 and the AWS CLI for operators, a stock MQTT client and boto3 for devices."""
import hashlib
import json
import time
import urllib.request

import pytest

from jobs_device import Device
from refusals import refused
from server_process import wait_until


@pytest.fixture
def make_job(iot, thing, unique):
    def make(name="j", **members):
        members.setdefault("targets", [thing["thingArn"]])
        if "documentSource" not in members:
            members.setdefault("document", json.dumps({"job": name}))
        return iot.create_job(jobId=f"{name}-{unique}", **members)
    return make


def status_of(iot, job_id):
    return iot.describe_job(jobId=job_id)["job"]["status"]


# ---- one execution, seen by everybody

def test_example_sequence_over_mqtt(iot, make_job, device, thing):
    job = make_job("a", description="first")
    assert job["jobArn"].endswith(":job/" + job["jobId"]) and job["description"] == "first"
    topic, notify = device.hear()
    assert topic == "notify" and list(notify["jobs"]) == ["QUEUED"]
    summary = notify["jobs"]["QUEUED"][0]
    assert summary == {"jobId": job["jobId"], "queuedAt": summary["queuedAt"], "lastUpdatedAt": summary["queuedAt"],
                       "executionNumber": 1, "versionNumber": 1}
    topic, following = device.hear()
    assert topic == "notify-next"
    assert following["execution"]["status"] == "QUEUED" and following["execution"]["jobDocument"] == {"job": "a"}

    pending = device.accepted("get")
    assert pending["inProgressJobs"] == [] and pending["queuedJobs"] == [summary]
    execution = device.accepted("start-next", {"statusDetails": {"step": "1"}})["execution"]
    assert execution["status"] == "IN_PROGRESS" and execution["versionNumber"] == 2
    assert execution["startedAt"] == execution["lastUpdatedAt"] and execution["statusDetails"] == {"step": "1"}
    assert "thingName" not in execution and execution["jobDocument"] == {"job": "a"}
    again = device.accepted("$next/get")["execution"]
    # The time that is left runs; without timeoutConfig it is the server's own seven days.
    left = execution.pop("approximateSecondsBeforeTimedOut"), again.pop("approximateSecondsBeforeTimedOut")
    assert again == execution and 7 * 86400 >= left[0] >= left[1] > 7 * 86400 - 60
    assert device.accepted("start-next")["execution"]["versionNumber"] == 2
    update = device.accepted(job["jobId"] + "/update",
                             {"status": "IN_PROGRESS", "expectedVersion": "2", "includeJobExecutionState": True,
                              "includeJobDocument": True})
    assert update["executionState"] == {"status": "IN_PROGRESS", "versionNumber": 3, "statusDetails": {"step": "1"}}
    assert update["jobDocument"] == {"job": "a"}
    reply = device.accepted(job["jobId"] + "/update", {"status": "SUCCEEDED", "expectedVersion": 3})
    assert set(reply) == {"clientToken", "timestamp"}
    # Starting and progress were silent: these are the next two messages.
    assert device.hear()[1]["jobs"] == {}
    topic, following = device.hear()
    assert topic == "notify-next" and set(following) == {"timestamp"}
    assert device.accepted("$next/get", raw="").keys() == {"timestamp"}
    wait_until(lambda: status_of(iot, job["jobId"]) == "COMPLETED", what="completion")

    described = iot.describe_job(jobId=job["jobId"])["job"]
    assert described["jobProcessDetails"]["numberOfSucceededThings"] == 1
    assert described["targets"] == [thing["thingArn"]] and described["targetSelection"] == "SNAPSHOT"
    assert described["isConcurrent"] is False and described["completedAt"] >= described["createdAt"]
    execution = iot.describe_job_execution(jobId=job["jobId"], thingName=thing["thingName"])["execution"]
    assert execution["status"] == "SUCCEEDED" and execution["versionNumber"] == 4
    assert execution["statusDetails"]["detailsMap"] == {"step": "1"} and execution["thingArn"] == thing["thingArn"]


def test_same_execution_over_https(iot, iot_jobs, make_job, thing):
    name = thing["thingName"]
    job_id = make_job()["jobId"]
    assert [j["jobId"] for j in iot_jobs.get_pending_job_executions(thingName=name)["queuedJobs"]] == [job_id]
    execution = iot_jobs.start_next_pending_job_execution(thingName=name, statusDetails={"a": "b"})["execution"]
    assert execution["thingName"] == name and json.loads(execution["jobDocument"]) == {"job": "j"}
    assert abs(execution["startedAt"] - time.time()) < 60
    described = iot_jobs.describe_job_execution(thingName=name, jobId="$next")["execution"]
    assert described["jobId"] == job_id and described["versionNumber"] == 2
    bare = iot_jobs.describe_job_execution(thingName=name, jobId=job_id, includeJobDocument=False)["execution"]
    assert "jobDocument" not in bare
    update = dict(thingName=name, jobId=job_id)
    # Not modelled as a version conflict on this plane.
    refused("InvalidStateTransitionException", 409, iot_jobs.update_job_execution, status="FAILED", expectedVersion=9,
            **update)
    refused("InvalidRequestException", 400, iot_jobs.update_job_execution, status="FAILED",
            statusDetails={"line": "a\nb"}, **update)
    refused("InvalidStateTransitionException", 409, iot_jobs.update_job_execution, status="CANCELED", **update)
    done = iot_jobs.update_job_execution(status="FAILED", includeJobExecutionState=True, **update)
    assert done["executionState"]["status"] == "FAILED" and done["executionState"]["versionNumber"] == 3
    refused("InvalidStateTransitionException", 409, iot_jobs.update_job_execution, status="SUCCEEDED", **update)
    refused("TerminalStateException", 410, iot_jobs.describe_job_execution, thingName=name, jobId=job_id)
    refused("ResourceNotFoundException", 404, iot_jobs.describe_job_execution, thingName=name, jobId="nothing")
    assert "execution" not in iot_jobs.describe_job_execution(thingName=name, jobId="$next")
    assert "execution" not in iot_jobs.start_next_pending_job_execution(thingName=name)


def test_rejections_over_mqtt(make_job, device):
    job_id = make_job()["jobId"]
    code = lambda *a, **k: device.rejected(*a, **k)["code"]  # noqa: E731
    assert code(job_id + "/update", raw="{") == "InvalidJson"
    assert code(job_id + "/update", raw='{"status":"FAILED","statusDetails":"{"a":"b"}"}') == "InvalidJson"
    assert code(job_id + "/update", {}) == "InvalidRequest"
    assert code(job_id + "/update", {"status": "DONE"}) == "InvalidRequest"
    assert code(job_id + "/update", {"status": "TIMED_OUT"}) == "InvalidStateTransition"
    assert code("nothing/update", {"status": "FAILED"}) == "ResourceNotFound"
    assert code("$next/update", {"status": "FAILED"}) == "InvalidRequest"
    assert code("what/ever/this/is", {}) == "InvalidTopic"
    mismatch = device.rejected(job_id + "/update", {"status": "FAILED", "expectedVersion": 7})
    assert mismatch["code"] == "VersionMismatch"
    assert mismatch["executionState"] == {"status": "QUEUED", "versionNumber": 1}
    device.accepted(job_id + "/update", {"status": "REJECTED", "statusDetails": {"why": "no"}})
    late = device.rejected(job_id + "/update", {"status": "SUCCEEDED"})
    assert late["code"] == "InvalidStateTransition"
    assert late["executionState"] == {"status": "REJECTED", "versionNumber": 2, "statusDetails": {"why": "no"}}
    assert code(job_id + "/get", {}) == "TerminalStateReached"


def test_others_do_not_see_replies(plain_mqtt, make_job, device):
    make_job()
    spy = Device(plain_mqtt, device.thing, client_id="spy-" + device.thing)
    try:
        spy.subscribed.clear()
        spy.client.subscribe("$aws/things/+/jobs/#", 1)
        assert spy.subscribed.wait(10)
        device.accepted("start-next")
        spy.accepted("get")  # its own reply is the first that it sees
        assert spy.replies.empty()
    finally:
        spy.close()


# ---- groups, lists, cancel, delete

def test_group_job_counts_lists_and_pages(iot, iot_jobs, unique):
    group = iot.create_thing_group(thingGroupName=f"g-{unique}")
    child = iot.create_thing_group(thingGroupName=f"c-{unique}", parentGroupName=f"g-{unique}")
    names = [f"m{i}-{unique}" for i in range(7)]
    for i, name in enumerate(names):
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingGroupName=f"{'gc'[i % 2]}-{unique}", thingName=name)
    job_id = f"group-{unique}"
    iot.create_job(jobId=job_id, targets=[group["thingGroupArn"], child["thingGroupArn"]], document='{"x":1}')
    pages = iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id, PaginationConfig={"PageSize": 3})
    rows = [row for page in pages for row in page["executionSummaries"]]
    assert sorted(row["thingArn"].rsplit("/", 1)[1] for row in rows) == sorted(names)
    assert {row["jobExecutionSummary"]["status"] for row in rows} == {"QUEUED"}
    for name, status in zip(names, ["SUCCEEDED", "FAILED", "REJECTED"]):
        iot_jobs.update_job_execution(thingName=name, jobId=job_id, status=status)
    details = iot.describe_job(jobId=job_id)["job"]["jobProcessDetails"]
    assert (details["numberOfSucceededThings"], details["numberOfFailedThings"], details["numberOfRejectedThings"],
            details["numberOfQueuedThings"]) == (1, 1, 1, 4)
    failed = iot.list_job_executions_for_job(jobId=job_id, status="FAILED")["executionSummaries"]
    assert [row["thingArn"].rsplit("/", 1)[1] for row in failed] == [names[1]]
    assert job_id in [job["jobId"] for job in iot.list_jobs(thingGroupName=f"g-{unique}")["jobs"]]
    iot.cancel_job(jobId=job_id, comment="enough", reasonCode="TEST_1")
    job = iot.describe_job(jobId=job_id)["job"]
    assert job["status"] == "CANCELED" and job["comment"] == "enough" and job["reasonCode"] == "TEST_1"
    assert job["jobProcessDetails"]["numberOfCanceledThings"] == 4
    refused("InvalidRequestException", 400, iot.list_job_executions_for_job, jobId=job_id, nextToken="rubbish")


def test_jobs_of_a_thing_newest_first(iot, make_job, thing):
    ids = []
    for name in "abc":
        ids.append(make_job(name)["jobId"])
        time.sleep(0.002)
    pages = iot.get_paginator("list_job_executions_for_thing").paginate(
        thingName=thing["thingName"], PaginationConfig={"PageSize": 2})
    assert [row["jobId"] for page in pages for row in page["executionSummaries"]] == ids[::-1]
    only = iot.list_job_executions_for_thing(thingName=thing["thingName"], jobId=ids[1])["executionSummaries"]
    assert [row["jobId"] for row in only] == [ids[1]]
    listed = [job["jobId"] for page in iot.get_paginator("list_jobs").paginate(status="IN_PROGRESS")
              for job in page["jobs"]]
    assert [i for i in listed if i in ids] == ids[::-1]


def test_cancel_and_delete_rules(iot, iot_jobs, make_job, thing):
    name = thing["thingName"]
    job_id = make_job()["jobId"]
    one = dict(jobId=job_id, thingName=name)
    refused("InvalidStateTransitionException", 409, iot.delete_job, jobId=job_id)
    refused("VersionConflictException", 409, iot.cancel_job_execution, expectedVersion=5, **one)
    iot_jobs.start_next_pending_job_execution(thingName=name)
    refused("InvalidStateTransitionException", 409, iot.cancel_job_execution, **one)
    refused("InvalidStateTransitionException", 409, iot.delete_job_execution, executionNumber=1, **one)
    iot.cancel_job_execution(force=True, statusDetails={"by": "operator"}, **one)
    execution = iot.describe_job_execution(**one)["execution"]
    assert execution["status"] == "CANCELED" and execution["forceCanceled"] is True
    assert execution["statusDetails"]["detailsMap"] == {"by": "operator"}
    refused("InvalidStateTransitionException", 409, iot.cancel_job_execution, force=True, **one)
    refused("ResourceNotFoundException", 404, iot.delete_job_execution, executionNumber=2, **one)
    wait_until(lambda: status_of(iot, job_id) == "COMPLETED")
    refused("InvalidRequestException", 400, iot.cancel_job, jobId=job_id)
    iot.delete_job_execution(executionNumber=1, **one)
    refused("ResourceNotFoundException", 404, iot.describe_job_execution, **one)
    iot.delete_job(jobId=job_id)

    def gone():
        try:
            return iot.describe_job(jobId=job_id)["job"]["status"] != "DELETION_IN_PROGRESS"
        except iot.exceptions.ResourceNotFoundException:
            return True
    wait_until(gone, what="deletion")
    refused("ResourceNotFoundException", 404, iot.describe_job, jobId=job_id)
    make_job()  # the id is free again


def test_deleted_thing_removes_its_executions(iot, make_job, thing, device):
    job_id = make_job()["jobId"]
    assert device.hear()[0] == "notify" and device.hear()[0] == "notify-next"
    iot.delete_thing(thingName=thing["thingName"])
    assert device.hear()[1]["jobs"] == {}
    wait_until(lambda: status_of(iot, job_id) == "COMPLETED")
    assert iot.describe_job(jobId=job_id)["job"]["jobProcessDetails"]["numberOfRemovedThings"] == 1


# ---- creation

def test_creation_errors(iot, make_job, thing, unique):
    make_job("taken")
    conflict = refused("ResourceAlreadyExistsException", 409, make_job, name="taken")
    assert conflict["resourceId"] == f"taken-{unique}"
    absent = thing["thingArn"].replace("thing/", "thing/not-")
    refused("ResourceNotFoundException", 404, make_job, targets=[thing["thingArn"], absent])
    foreign = thing["thingArn"].split(":")
    foreign[4] = "999999999999"
    refused("ResourceNotFoundException", 404, make_job, targets=[":".join(foreign)])
    refused("InvalidRequestException", 400, make_job, document="{not json")
    refused("InvalidRequestException", 400, make_job, document=json.dumps({"x": "y" * 33000}))
    refused("InvalidRequestException", 400, make_job, document='{"u":"${aws:iot:s3-presigned-url:https://x}"}')
    refused("InvalidRequestException", 400, make_job, document='{"u":"${aws:iot:unheard-of:x}"}')
    refused("InvalidRequestException", 400, iot.create_job, jobId=f"none-{unique}", targets=[thing["thingArn"]])
    refused("InvalidRequestException", 400, make_job, targets=[thing["thingArn"]] * 101)
    refused("InvalidRequestException", 400, make_job, timeoutConfig={"inProgressTimeoutInMinutes": 10081})
    assert "validation error" in refused("InvalidRequestException", 400, iot.describe_job, jobId="a b")["Error"]["Message"]
    refused("ResourceNotFoundException", 404, iot.describe_job, jobId=f"j-{unique}")  # nothing was left behind


def test_document_from_s3_with_presigned_url(iot, iot_jobs, s3, iam, make_job, device, thing, unique):
    bucket, firmware = f"jobs-{unique}", bytes(range(256)) * 100
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="fw/v1 (final).bin", Body=firmware)
    url = f"https://s3.amazonaws.com/{bucket}/fw/v1 (final).bin"
    document = {"files": [{"url": "${aws:iot:s3-presigned-url:%s}" % url}], "sha": hashlib.sha256(firmware).hexdigest()}
    s3.put_object(Bucket=bucket, Key="job.json", Body=json.dumps(document))
    source = f"https://{bucket}.s3.amazonaws.com/job.json"
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                                                     "Action": "sts:AssumeRole"}]}
    may_read = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",
                                                        "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    role = iam.create_role(RoleName=f"r-{unique}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=f"r-{unique}", PolicyName="read", PolicyDocument=json.dumps(may_read))
    presign = {"roleArn": role, "expiresInSec": 600}
    group = iot.create_thing_group(thingGroupName=f"nobody-{unique}")["thingGroupArn"]

    refused("InvalidRequestException", 400, make_job, documentSource=source)
    refused("InvalidRequestException", 400, make_job, documentSource=source + "x", presignedUrlConfig=presign)
    refused("InvalidRequestException", 400, make_job, documentSource=source,
            presignedUrlConfig={"roleArn": role + "x", "expiresInSec": 600})
    job_id = make_job(documentSource=source, presignedUrlConfig=presign)["jobId"]
    # The other form that AWS's documents have.
    wrapped = "${aws:iot:s3-presigned-url:%s}" % source
    assert json.loads(iot.get_job_document(jobId=make_job("w", documentSource=wrapped, presignedUrlConfig=presign,
                                                          targets=[group])["jobId"])["document"]) == document
    refused("InvalidRequestException", 400, make_job, name="x", documentSource=wrapped + "}", presignedUrlConfig=presign)
    s3.delete_object(Bucket=bucket, Key="job.json")  # it was fetched once
    assert json.loads(iot.get_job_document(jobId=job_id)["document"]) == document
    described = iot.describe_job(jobId=job_id)
    assert described["documentSource"] == source and described["job"]["presignedUrlConfig"] == presign

    announced = [device.hear(), device.hear()][1][1]["execution"]["jobDocument"]["files"][0]["url"]
    started = device.accepted("start-next")["execution"]["jobDocument"]["files"][0]["url"]
    over_https = json.loads(iot_jobs.describe_job_execution(thingName=thing["thingName"], jobId=job_id)["execution"]
                            ["jobDocument"])["files"][0]["url"]
    for signed in (announced, started, over_https):
        assert "X-Amz-Expires=600" in signed and "X-Amz-Signature=" in signed
        with urllib.request.urlopen(signed, timeout=10) as reply:
            assert hashlib.sha256(reply.read()).hexdigest() == document["sha"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(started.replace("v1", "v2"), timeout=10)
    assert caught.value.code == 403


def test_timeouts_are_described(iot, iot_jobs, make_job, thing):
    job_id = make_job(timeoutConfig={"inProgressTimeoutInMinutes": 5})["jobId"]
    name = thing["thingName"]
    iot_jobs.start_next_pending_job_execution(thingName=name, stepTimeoutInMinutes=2)
    left = iot_jobs.describe_job_execution(thingName=name, jobId=job_id)["execution"]["approximateSecondsBeforeTimedOut"]
    assert 100 < left <= 120
    iot_jobs.update_job_execution(thingName=name, jobId=job_id, status="IN_PROGRESS", stepTimeoutInMinutes=-1)
    left = iot.describe_job_execution(thingName=name, jobId=job_id)["execution"]["approximateSecondsBeforeTimedOut"]
    assert 240 < left <= 300
    assert iot.describe_job(jobId=job_id)["job"]["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}


def test_update_job(iot, make_job):
    job_id = make_job(description="old")["jobId"]
    iot.update_job(jobId=job_id, description="new", timeoutConfig={"inProgressTimeoutInMinutes": 7})
    job = iot.describe_job(jobId=job_id)["job"]
    assert job["description"] == "new" and job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 7}
    refused("InvalidRequestException", 400, iot.update_job, jobId=job_id)
    iot.cancel_job(jobId=job_id)
    refused("InvalidRequestException", 400, iot.update_job, jobId=job_id, description="newer")


def test_command_line_creates_and_reads_a_job(platform, thing, unique):
    made = json.loads(platform.cli("iot", "create-job", "--job-id", f"cli-{unique}", "--targets", thing["thingArn"],
                                   "--document", '{"by":"cli"}').stdout)
    assert made["jobId"] == f"cli-{unique}"
    started = json.loads(platform.cli("iot-jobs-data", "start-next-pending-job-execution", "--thing-name",
                                      thing["thingName"]).stdout)["execution"]
    assert json.loads(started["jobDocument"]) == {"by": "cli"}
    platform.cli("iot-jobs-data", "update-job-execution", "--thing-name", thing["thingName"], "--job-id",
                 f"cli-{unique}", "--status", "SUCCEEDED", "--expected-version", "2")
    job = json.loads(platform.cli("iot", "describe-job", "--job-id", f"cli-{unique}").stdout)["job"]
    assert job["jobProcessDetails"]["numberOfSucceededThings"] == 1


# ---- kill -9

def test_rollout_and_completion_survive_kill(own_platform):
    iot, data = own_platform.client("iot"), own_platform.client("iot-jobs-data")
    names = [f"k{i:03}" for i in range(150)]  # more than CreateJob queues by itself
    group = iot.create_thing_group(thingGroupName="all")["thingGroupArn"]
    for name in names:
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingGroupName="all", thingName=name)
    iot.create_job(jobId="j", targets=[group], document="{}")
    own_platform.restart()
    iot, data = own_platform.client("iot"), own_platform.client("iot-jobs-data")
    counts = lambda: iot.describe_job(jobId="j")["job"]["jobProcessDetails"]  # noqa: E731
    wait_until(lambda: counts()["numberOfQueuedThings"] == 150, what="rollout")
    for i, name in enumerate(names):
        data.update_job_execution(thingName=name, jobId="j", status="SUCCEEDED")
        if i == 75:
            own_platform.restart()
            data = own_platform.client("iot-jobs-data")
    own_platform.restart()
    iot = own_platform.client("iot")
    wait_until(lambda: status_of(iot, "j") == "COMPLETED", what="completion")
    assert counts()["numberOfSucceededThings"] == 150
