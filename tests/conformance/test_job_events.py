# SPDX-License-Identifier: Apache-2.0
"""Events of jobs and executions on a real server: configured with boto3, heard by a stock MQTT client."""
import collections
import json
import queue
import threading
import time
import uuid

import paho.mqtt.client
import pytest

from jobs_device import Device
from raw_mqtt import plain, publish
from refusals import refused
from server_process import Server, wait_until

Address = collections.namedtuple("Address", "host port")

KINDS = {"THING", "THING_GROUP", "THING_TYPE", "THING_GROUP_MEMBERSHIP", "THING_GROUP_HIERARCHY", "JOB", "POLICY",
         "JOB_EXECUTION", "THING_TYPE_ASSOCIATION", "CERTIFICATE", "CA_CERTIFICATE"}
INVALID = ("InvalidRequestException", 400)


@pytest.fixture(scope="module")
def server():
    """Events are configured for an account: these tests have one of their own."""
    server = Server(flags=["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*"])
    yield server
    server.remove()


@pytest.fixture(scope="module")
def iot(server):
    return server.client("iot")


@pytest.fixture
def address(server):
    return Address("127.0.0.1", int(server.environment["MUSTER_MQTT_PLAIN_PORT"]))


class Spy:
    """Hears events of jobs and executions, as (topic below $aws/events, payload)."""

    def __init__(self, address):
        self.heard, subscribed = queue.Queue(), threading.Event()
        self.client = paho.mqtt.client.Client(f"spy-{uuid.uuid4().hex[:8]}")
        self.client.on_connect = lambda client, *_: client.subscribe([("$aws/events/job/#", 1),
                                                                      ("$aws/events/jobExecution/#", 1)])
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.heard.put(
            (message.topic[len("$aws/events/"):], json.loads(message.payload)))
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        assert subscribed.wait(10)

    def hear(self, *words):
        """The next events by topic, in whatever order; they must be these."""
        events = {}
        for _ in words:
            topic, event = self.heard.get(timeout=10)
            events[topic] = event
        assert set(events) == set(words)
        return events

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def spy(address):
    spy = Spy(address)
    yield spy
    spy.close()


@pytest.fixture
def device(address, thing):
    device = Device(address, thing["thingName"])
    yield device
    device.close()


@pytest.fixture
def make_job(iot, thing, unique):
    def make(name="j", **members):
        members.setdefault("targets", [thing["thingArn"]])
        iot.create_job(jobId=f"{name}-{unique}", document="{}", **members)
        return f"{name}-{unique}"
    return make


@pytest.fixture
def enable(iot):
    def change(**kinds):
        iot.update_event_configurations(eventConfigurations={kind: {"Enabled": on} for kind, on in kinds.items()})
    yield change
    change(JOB=False, JOB_EXECUTION=False)


def test_configurations(iot, enable):
    described = iot.describe_event_configurations()["eventConfigurations"]
    assert set(described) == KINDS and not any(each["Enabled"] for each in described.values())
    enable(JOB=True)
    enable(JOB_EXECUTION=True, THING=False)
    answer = iot.describe_event_configurations()
    on = {kind for kind, each in answer["eventConfigurations"].items() if each["Enabled"]}
    assert on == {"JOB", "JOB_EXECUTION"} and answer["lastModifiedDate"] >= answer["creationDate"]
    for kind in KINDS - {"JOB", "JOB_EXECUTION"}:
        error = refused(*INVALID, iot.update_event_configurations,
                        eventConfigurations={"JOB": {"Enabled": False}, kind: {"Enabled": True}})
        assert kind in error["Error"]["Message"]
    refused(*INVALID, iot.update_event_configurations, eventConfigurations={"UNKNOWN": {"Enabled": True}})
    assert iot.describe_event_configurations()["eventConfigurations"]["JOB"] == {"Enabled": True}


def test_completed_job(iot, enable, spy, device, thing, make_job):
    silent = make_job("silent")
    device.accepted("start-next")
    device.accepted(f"{silent}/update", {"status": "SUCCEEDED"})
    wait_until(lambda: iot.describe_job(jobId=silent)["job"]["status"] == "COMPLETED", what="completion")
    enable(JOB=True, JOB_EXECUTION=True)
    job_id = make_job(description="about it")
    device.accepted("start-next")
    device.accepted(f"{job_id}/update", {"status": "SUCCEEDED", "statusDetails": {"step": "last"}})
    # Nothing of the silent job, nothing of queueing and starting.
    events = spy.hear(f"jobExecution/{job_id}/succeeded", f"job/{job_id}/completed")
    execution, job = events[f"jobExecution/{job_id}/succeeded"], events[f"job/{job_id}/completed"]
    for event in (execution, job):
        assert uuid.UUID(event.pop("eventId"))
        assert abs(event.pop("timestamp") - time.time()) < 60
    assert execution == {"eventType": "JOB_EXECUTION", "operation": "succeeded", "jobId": job_id,
                         "thingArn": thing["thingArn"], "status": "SUCCEEDED", "statusDetails": {"step": "last"}}
    for member in ("createdAt", "lastUpdatedAt", "completedAt"):
        assert abs(job.pop(member) / 1000 - time.time()) < 60
    counts = job.pop("jobProcessDetails")
    assert counts == {"numberOfCanceledThings": 0, "numberOfRejectedThings": 0, "numberOfFailedThings": 0,
                      "numberOfRemovedThings": 0, "numberOfSucceededThings": 1, "numberOfTimedOutThings": 0}
    assert job == {"eventType": "JOB", "operation": "completed", "jobId": job_id, "status": "COMPLETED",
                   "targetSelection": "SNAPSHOT", "targets": [thing["thingArn"]], "description": "about it"}


def test_canceled_and_deleted_job(iot, enable, spy, make_job, thing):
    enable(JOB=True, JOB_EXECUTION=True)
    job_id = make_job()
    iot.cancel_job(jobId=job_id, comment="because")
    events = spy.hear(f"job/{job_id}/cancellation_in_progress", f"job/{job_id}/canceled",
                      f"jobExecution/{job_id}/canceled")
    started = events[f"job/{job_id}/cancellation_in_progress"]
    assert (started["status"], started["comment"]) == ("CANCELLATION_IN_PROGRESS", "because")
    assert events[f"job/{job_id}/canceled"]["status"] == "CANCELED"
    assert events[f"jobExecution/{job_id}/canceled"]["status"] == "CANCELED"
    iot.delete_job(jobId=job_id)
    events = spy.hear(f"job/{job_id}/deletion_in_progress", f"job/{job_id}/deleted", f"jobExecution/{job_id}/deleted")
    assert events[f"job/{job_id}/deletion_in_progress"]["operation"] == "deletion_in_progress"
    assert events[f"job/{job_id}/deleted"]["status"] == "DELETED"
    assert events[f"job/{job_id}/deleted"]["targets"] == [thing["thingArn"]]
    # What the execution was before.
    assert events[f"jobExecution/{job_id}/deleted"]["status"] == "CANCELED"
    assert events[f"jobExecution/{job_id}/deleted"]["operation"] == "deleted"


def test_ends_of_executions(iot, enable, spy, device, make_job, thing):
    enable(JOB_EXECUTION=True)
    for status in ("FAILED", "REJECTED"):
        job_id = make_job(status.lower())
        device.accepted("start-next")
        device.accepted(f"{job_id}/update", {"status": status})
        event = spy.hear(f"jobExecution/{job_id}/{status.lower()}")[f"jobExecution/{job_id}/{status.lower()}"]
        assert event["status"] == status and "statusDetails" not in event
    job_id = make_job("one")
    iot.cancel_job_execution(jobId=job_id, thingName=thing["thingName"])
    spy.hear(f"jobExecution/{job_id}/canceled")
    iot.delete_job_execution(jobId=job_id, thingName=thing["thingName"], executionNumber=1)
    spy.hear(f"jobExecution/{job_id}/deleted")


def test_configuration_outlives_the_server(server, enable, make_job, iot):
    enable(JOB=True)
    server.kill()
    server.restart()
    assert iot.describe_event_configurations()["eventConfigurations"]["JOB"] == {"Enabled": True}
    spy = Spy(Address("127.0.0.1", int(server.environment["MUSTER_MQTT_PLAIN_PORT"])))
    job_id = make_job()
    iot.cancel_job(jobId=job_id)
    spy.hear(f"job/{job_id}/cancellation_in_progress", f"job/{job_id}/canceled")
    spy.close()


def test_clients_cannot_publish_events(address, enable, spy, make_job, iot, unique):
    enable(JOB=True)
    with plain(address, f"forger-{unique}") as forger:
        forger.send(publish(f"$aws/events/job/{unique}/completed", b"{}"))
        forger.ping()
    job_id = make_job()
    iot.cancel_job(jobId=job_id)
    spy.hear(f"job/{job_id}/cancellation_in_progress", f"job/{job_id}/canceled")
