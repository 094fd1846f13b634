# SPDX-License-Identifier: Apache-2.0
"""iot-data through boto3, the AWS CLI and a client certificate: publishing with every member, retained messages."""
import base64
import json
import time

import pytest

from refusals import pages, refused
from tls_device import statement

ANY = statement("Allow", "iot:*", "*")


@pytest.fixture
def watcher(identity, connect, unique):
    device = connect(identity(ANY), version=5)
    assert device.subscribe(f"{unique}/#") == 1
    return device


def test_publish_carries_every_property(iot_data, watcher, unique):
    properties = [{"deviceName": "alpha"}, {"deviceCnt": "45"}, {"deviceName": "beta"}]
    iot_data.publish(topic=f"{unique}/a", qos=1, payload="grün".encode(), contentType="text/plain",
                     responseTopic=f"{unique}/answer", correlationData=base64.b64encode(b"\x00\x01id").decode(),
                     messageExpiry=60, payloadFormatIndicator="UTF8_DATA", userProperties=json.dumps(properties))
    message = watcher.receives_only(f"{unique}/a", "grün")
    got = message.properties
    assert (message.qos, message.retain) == (1, False)
    assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/plain", f"{unique}/answer", b"\x00\x01id")
    assert (got.PayloadFormatIndicator, got.MessageExpiryInterval) == (1, 60)
    assert got.UserProperty == [("deviceName", "alpha"), ("deviceCnt", "45"), ("deviceName", "beta")]
    iot_data.publish(topic=f"{unique}/b")
    plain = watcher.receives_only(f"{unique}/b", "")
    assert plain.qos == 0 and not plain.properties.json()


@pytest.mark.parametrize("more", [
    {"responseTopic": "a/+"}, {"correlationData": "?"}, {"messageExpiry": 0}, {"messageExpiry": 2**32},
    {"userProperties": '{"a": "b"}'}, {"userProperties": '[{"a": 1}]'}, {"userProperties": json.dumps([{"a": "x" * 8200}])},
    {"payloadFormatIndicator": "UTF8_DATA", "payload": b"\xff"}, {"qos": 2}, {"topic": "a/#"}, {"topic": "$aws/x"},
    {"payload": b"x" * 262_145}, {"topic": "x" * 1025}], ids=lambda more: ",".join(more))
def test_broken_publishes_are_refused(iot_data, unique, more):
    refused("InvalidRequestException", 400, iot_data.publish, **{"topic": unique, **more})


@pytest.mark.parametrize("topic", ["$aws/things/t/jobs/get", "$aws/things/t/shadow/update", "$aws/rules/r/x",
                                   "$aws/events/presence/connected/c", "$SYS/broker/version"])
def test_reserved_topics_are_refused_over_https(iot_data, identity, topic):
    refused("InvalidRequestException", 400, iot_data.publish, topic=topic, qos=1, payload=b"{}")
    assert identity(ANY).https("POST", f"/topics/{topic}?qos=1", b"{}")[0] == 400


def test_retained_messages_are_shown_and_deleted(iot_data, watcher, unique):
    topic = f"{unique}/keep/ä"
    before = time.time() * 1000
    iot_data.publish(topic=topic, qos=1, retain=True, payload=b"\x00one",
                     userProperties=json.dumps([{"site": "north"}]))
    assert watcher.receive().payload == b"\x00one"
    found = iot_data.get_retained_message(topic=topic)
    assert (found["topic"], found["payload"], found["qos"]) == (topic, b"\x00one", 1)
    assert before - 1 <= found["lastModifiedTime"] <= time.time() * 1000
    signed = [one for one in pages(iot_data, "list_retained_messages", "retainedTopics", size=100)
              if one["topic"] == topic]
    assert signed == [{"topic": topic, "payloadSize": 4, "qos": 1, "lastModifiedTime": found["lastModifiedTime"]}]
    iot_data.publish(topic=topic, retain=True, payload=b"")
    refused("ResourceNotFoundException", 404, iot_data.get_retained_message, topic=topic)


def test_user_properties_of_retained_messages_are_shown(iot_data, identity, unique):
    iot_data.publish(topic=unique, retain=True, payload=b"x", userProperties=json.dumps([{"a": "1"}, {"a": "2"}]))
    # Newer than Debian's SDK: read as it is on the wire.
    status, body, _ = identity(ANY).https("GET", f"/retainedMessage/{unique}")
    assert status == 200 and json.loads(base64.b64decode(body["userProperties"])) == [{"a": "1"}, {"a": "2"}]
    iot_data.publish(topic=unique, retain=True, payload=b"")


def test_retained_messages_expire(iot_data, unique):
    iot_data.publish(topic=unique, retain=True, payload=b"x", messageExpiry=1)
    assert iot_data.get_retained_message(topic=unique)["payload"] == b"x"
    time.sleep(1.2)
    refused("ResourceNotFoundException", 404, iot_data.get_retained_message, topic=unique)


def test_lists_come_in_pages(iot_data, unique):
    topics = [f"{unique}/{n}" for n in range(5)]
    for topic in topics:
        iot_data.publish(topic=topic, retain=True, qos=1, payload=b"x")
    listed = [one["topic"] for one in pages(iot_data, "list_retained_messages", "retainedTopics")]
    assert [topic for topic in listed if topic.startswith(unique)] == topics
    refused("InvalidRequestException", 400, iot_data.list_retained_messages, nextToken="forged")
    for topic in topics:
        iot_data.publish(topic=topic, retain=True, payload=b"")


def test_users_need_permission_for_each_action(iam, iot_data, ann, unique):
    mine = ann("iot-data")
    topic = f"{unique}/x"

    def allow(*statements):
        iam.put_user_policy(UserName=ann.name, PolicyName="p",
                            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    for call in (lambda: mine.publish(topic=topic), lambda: mine.get_retained_message(topic=topic),
                 mine.list_retained_messages):
        refused("ForbiddenException", 403, call)
    allow(statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/*"))
    mine.publish(topic=topic, qos=1, payload=b"x")
    refused("ForbiddenException", 403, mine.publish, topic=topic, qos=1, payload=b"x", retain=True)
    refused("ForbiddenException", 403, mine.publish, topic="other")
    allow(statement("Allow", ["iot:Publish", "iot:RetainPublish", "iot:GetRetainedMessage"],
                    f"arn:aws:iot:*:*:topic/{unique}/*"))
    mine.publish(topic=topic, qos=1, payload=b"x", retain=True)
    assert mine.get_retained_message(topic=topic)["payload"] == b"x"
    refused("ForbiddenException", 403, mine.get_retained_message, topic="other")
    refused("ForbiddenException", 403, mine.list_retained_messages)
    allow(statement("Allow", ["iot:ListRetainedMessages"], "*"))
    assert topic in [one["topic"] for one in pages(mine, "list_retained_messages", "retainedTopics", size=200)]
    iot_data.publish(topic=topic, retain=True, payload=b"")


def test_devices_publish_over_https(iot_data, identity, watcher, unique):
    device = identity(statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/*"))
    assert device.https("POST", f"/topics/{unique}/up?qos=1", b"hello")[0] == 200
    assert watcher.receives_only(f"{unique}/up", "hello").qos == 1
    assert device.https("POST", "/topics/other?qos=1", b"hello")[0] == 403
    assert device.https("POST", f"/topics/{unique}/up?qos=1&retain=true", b"hello")[0] == 403
    assert device.https("GET", f"/retainedMessage/{unique}/up")[0] == 403
    assert device.https("GET", "/retainedMessage")[0] == 403
    both = identity(statement("Allow", ["iot:Publish", "iot:RetainPublish"], f"arn:aws:iot:*:*:topic/{unique}/*"))
    assert both.https("POST", f"/topics/{unique}/kept?qos=1&retain=true", b"kept")[0] == 200
    assert iot_data.get_retained_message(topic=f"{unique}/kept")["payload"] == b"kept"
    iot_data.publish(topic=f"{unique}/kept", retain=True, payload=b"")


def test_the_command_line(platform, watcher, unique, tmp_path):
    platform.cli("iot-data", "publish", "--topic", f"{unique}/cli", "--qos", "1", "--retain", "--payload", "hello",
                 "--cli-binary-format", "raw-in-base64-out", "--content-type", "text/plain", "--user-properties",
                 '[{"from": "cli"}]')
    message = watcher.receives_only(f"{unique}/cli", "hello")
    assert message.properties.ContentType == "text/plain" and message.properties.UserProperty == [("from", "cli")]
    found = json.loads(platform.cli("iot-data", "get-retained-message", "--topic", f"{unique}/cli").stdout)
    assert base64.b64decode(found["payload"]) == b"hello"
    listed = json.loads(platform.cli("iot-data", "list-retained-messages").stdout)
    assert f"{unique}/cli" in [one["topic"] for one in listed["retainedTopics"]]
    platform.cli("iot-data", "publish", "--topic", f"{unique}/cli", "--retain")
