# SPDX-License-Identifier: Apache-2.0
"""Settings that change what MQTT clients see: AWS's quotas, counters below $SYS."""
import json

import pytest

from tls_device import Identity, TlsDevice, statement

ANY = statement("Allow", "iot:*", "*")


def test_counters_are_published_when_they_are_asked_for(start, tmp_path):
    server = start("--mqtt.sys_interval_s", "1")
    allowed = TlsDevice(Identity(server, tmp_path, "watcher", ANY))
    limited = TlsDevice(Identity(server, tmp_path, "device", statement("Allow", "iot:Connect", "*")))
    assert limited.subscribe("$SYS/#") in (0x80, None)
    assert allowed.subscribe("#") == 1  # without what begins with '$'
    assert allowed.subscribe("$SYS/broker/#") == 1
    got = {}
    while "$SYS/broker/publish/messages/dropped" not in got:
        message = allowed.receive()
        got[message.topic] = message.payload.decode()
    assert got["$SYS/broker/clients/connected"] in ("1", "2") and got["$SYS/broker/subscriptions/count"] == "2"
    assert got["$SYS/broker/version"].startswith("muster version ") and len(got) == 11
    allowed.close()
    limited.close()


def test_aws_quotas(start, tmp_path):
    server = start("--mqtt.limits", "aws", "--mqtt.max_subscriptions", "3")
    device = TlsDevice(Identity(server, tmp_path, "d", ANY), version=5)
    data = server.client("iot-data")
    data.publish(topic="a", qos=1, payload=b"x" * 128 * 1024)
    for more in ({"payload": b"x" * (128 * 1024 + 1)}, {"topic": "t" * 257}):
        with pytest.raises(data.exceptions.InvalidRequestException):
            data.publish(**{"topic": "a", **more})
    assert [device.subscribe(name) for name in "abcd"] == [1, 1, 1, 0x97]
    device.close()


def test_events_number_on_after_a_restart(start, tmp_path):
    server = start()
    device, watcher = (Identity(server, tmp_path, name, ANY) for name in ("d", "w"))

    def version():
        spy = TlsDevice(watcher)
        spy.subscribe("$aws/events/presence/connected/d")
        TlsDevice(device).close()
        number = json.loads(spy.receive().payload)["versionNumber"]
        spy.close()
        return number
    assert version() == 0
    before = version()
    server.restart()
    assert before == 1 and version() > before
