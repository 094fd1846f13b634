# SPDX-License-Identifier: Apache-2.0
"""The device plane of Jobs beyond one plain execution: namespaces, topics that name no API, odd payloads, both planes'
codes. A stock MQTT client, boto3, and raw HTTPS where no client would send it."""
import json
import queue

import pytest

from refusals import refused

INVALID = ("InvalidRequestException", 400)


@pytest.fixture
def make_job(iot, thing, unique):
    def make(name="j", **members):
        document = json.dumps({"job": name})
        return iot.create_job(jobId=f"{name}-{unique}", targets=[thing["thingArn"]], document=document, **members)["jobId"]
    return make


def listen(device, *suffixes):
    device.subscribed.clear()
    result, _ = device.client.subscribe([(device.prefix + suffix, 1) for suffix in suffixes])
    assert result == 0 and device.subscribed.wait(10)


# ---- namespaces

def test_a_job_of_a_namespace_has_topics_of_its_own(make_job, device):
    listen(device, "notify-namespace-ns", "notify-next-namespace-ns", "+/namespace-ns/update/+")
    job_id = make_job(namespaceId="ns")
    heard = dict([device.hear(), device.hear()])
    assert set(heard) == {"notify-namespace-ns", "notify-next-namespace-ns"}
    assert heard["notify-namespace-ns"]["jobs"]["QUEUED"][0]["jobId"] == job_id
    assert heard["notify-next-namespace-ns"]["execution"]["jobDocument"] == {"job": "j"}
    # It is not what a device without namespaces is offered.
    assert "execution" not in device.accepted("$next/get")
    assert "execution" not in device.accepted("start-next")
    assert device.accepted("$next/namespace-ns/get")["execution"]["jobId"] == job_id
    assert "execution" not in device.accepted("$next/namespace-other/get")
    assert device.accepted(job_id + "/namespace-ns/get")["execution"]["status"] == "QUEUED"
    assert device.rejected(job_id + "/namespace-other/get")["code"] == "ResourceNotFound"
    update = {"status": "IN_PROGRESS", "includeJobExecutionState": True}
    assert device.rejected(job_id + "/namespace-other/update", update)["code"] == "ResourceNotFound"
    state = device.accepted(job_id + "/namespace-ns/update", update)["executionState"]
    assert (state["status"], state["versionNumber"]) == ("IN_PROGRESS", 2)
    device.accepted(job_id + "/namespace-ns/update", {"status": "SUCCEEDED"})
    heard = dict([device.hear(), device.hear()])
    assert heard["notify-namespace-ns"]["jobs"] == {} and set(heard["notify-next-namespace-ns"]) == {"timestamp"}
    with pytest.raises(queue.Empty):
        device.heard.get(timeout=0.2)  # nothing on the plain topics


def test_plain_jobs_are_beside_those_of_a_namespace(make_job, device):
    spaced, plain = make_job("n", namespaceId="ns"), make_job("p")
    assert device.accepted("$next/get")["execution"]["jobId"] == plain
    assert device.accepted("$next/namespace-ns/get")["execution"]["jobId"] == spaced
    started = device.accepted("start-next")["execution"]
    assert (started["jobId"], started["status"]) == (plain, "IN_PROGRESS")
    assert device.rejected(plain + "/namespace-ns/get")["code"] == "ResourceNotFound"


# ---- topics and payloads

def test_topics_that_name_no_api(make_job, device):
    job_id = make_job()
    for suffix in ("list", job_id, job_id + "/start", "get/now", "start-next/" + job_id, job_id + "/namespace-/get",
                   job_id + "/namespace-a.b/get", job_id + "/get/x", "$first/get", "a b/get"):
        assert device.rejected(suffix, {})["code"] == "InvalidTopic", suffix


def test_next_can_be_read_but_not_updated(make_job, device):
    make_job()
    assert device.rejected("$next/update", {"status": "IN_PROGRESS"})["code"] == "InvalidRequest"
    assert device.accepted("$next/get")["execution"]["versionNumber"] == 1


def test_payloads_at_the_edges(make_job, device):
    job_id = make_job()
    for suffix in ("get", "$next/get", job_id + "/get"):
        device.accepted(suffix, raw="")
    assert device.rejected(job_id + "/update", raw="")["code"] == "InvalidRequest"  # the status is missing
    device.accepted("get", raw="{}" + " " * (128 * 1024 - 2))
    assert device.rejected("get", raw="{}" + " " * (128 * 1024 - 1))["code"] == "InvalidRequest"
    for raw in ("null", "[]", '"x"', "{", '{"a":1}{"b":2}', '{"a":' * 100 + "1" + "}" * 100):
        assert device.rejected("get", raw=raw)["code"] == "InvalidJson", raw
    assert device.rejected("get", raw=b"\xff\xfe")["code"] == "InvalidJson"
    for body in ({"status": 1}, {"status": "RUNNING"}, {"status": "SUCCEEDED", "expectedVersion": "two"},
                 {"status": "SUCCEEDED", "executionNumber": 1.5}, {"status": "SUCCEEDED", "statusDetails": "x"},
                 {"status": "SUCCEEDED", "statusDetails": {"k": 1}}, {"status": "SUCCEEDED", "statusDetails": {"": "v"}},
                 {"status": "SUCCEEDED", "statusDetails": {f"k{i}": "v" for i in range(11)}},
                 {"status": "SUCCEEDED", "statusDetails": {"k": "line\nbreak"}},
                 {"status": "SUCCEEDED", "statusDetails": {"k": "x" * 1025}},
                 {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 0},
                 {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 10081}):
        assert device.rejected(job_id + "/update", body)["code"] == "InvalidRequest", body
    described = device.accepted(job_id + "/get", {"executionNumber": "1"})["execution"]
    assert described["versionNumber"] == 1 and described["jobDocument"] == {"job": "j"}
    assert "jobDocument" not in device.accepted(job_id + "/get", {"includeJobDocument": False})["execution"]
    assert device.rejected(job_id + "/get", {"executionNumber": 2})["code"] == "ResourceNotFound"
    device.accepted(job_id + "/update", {"status": "SUCCEEDED", "expectedVersion": "1", "executionNumber": "1",
                                         "statusDetails": {f"k{i}": "x" * 1024 for i in range(10)}})
    assert device.rejected(job_id + "/get", {})["code"] == "TerminalStateReached"


# ---- the same over HTTPS

def test_codes_over_https(iot_jobs, make_job, thing):
    name, job_id = thing["thingName"], make_job()
    one = dict(thingName=name, jobId=job_id)

    def update(wanted, **members):
        return iot_jobs.update_job_execution(**{**one, "status": wanted, **members})
    refused(*INVALID, update, wanted="SUCCEEDED", jobId="$next")
    refused(*INVALID, update, wanted="RUNNING")
    refused(*INVALID, update, wanted="IN_PROGRESS", stepTimeoutInMinutes=0)
    refused(*INVALID, update, wanted="IN_PROGRESS", statusDetails={f"k{i}": "v" for i in range(11)})
    refused(*INVALID, iot_jobs.start_next_pending_job_execution, thingName=name, stepTimeoutInMinutes=10081)
    refused(*INVALID, iot_jobs.get_pending_job_executions, thingName="a b")
    refused("ResourceNotFoundException", 404, update, wanted="FAILED", executionNumber=2)
    refused("ResourceNotFoundException", 404, update, wanted="FAILED", jobId="nothing")
    error = refused("InvalidStateTransitionException", 409, update, wanted="REMOVED")
    assert "REMOVED" in error["Error"]["Message"]
    described = iot_jobs.describe_job_execution(**one)["execution"]
    assert json.loads(described["jobDocument"]) == {"job": "j"} and described["versionNumber"] == 1
    update("SUCCEEDED", expectedVersion=1, executionNumber=1)
    refused("TerminalStateException", 410, iot_jobs.describe_job_execution, **one)
