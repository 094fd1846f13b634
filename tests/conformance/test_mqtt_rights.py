# SPDX-License-Identifier: Apache-2.0
"""What MQTT keeps for later against rights that change in between: wills, retained and queued messages, sessions."""
import time

import pytest

import raw_mqtt
from raw_mqtt import PUBACK, PUBLISH, SUBACK, deliver, plain, publish, subscribe
from tls_device import Identity, TlsDevice, document, statement


@pytest.fixture
def identity(platform, iot, tmp_path, unique):
    made = []

    def make(*statements):
        made.append(Identity(platform, tmp_path, f"a{len(made)}-{unique}", *statements, iot=iot))
        return made[-1]
    return make


@pytest.fixture
def devices():
    """devices(TlsDevice(...)) closes it at the end."""
    made = []

    def add(device):
        made.append(device)
        return device
    yield add
    for device in made:
        device.close()


@pytest.mark.parametrize("version", [4, 5])
def test_will_that_may_not_be_retained(platform, plain_mqtt, identity, devices, unique, version):
    topic = f"will/{unique}"
    limited = identity(statement("Allow", ["iot:Connect", "iot:Publish"], "*"))
    dying = devices(TlsDevice(limited, version=version, will=(topic, "forged", 1, True), connected=False))
    if dying.code == 0:
        dying.kill()
        time.sleep(0.3)
    with plain(plain_mqtt, f"after-{unique}") as late:
        late.send(subscribe([topic, f"{topic}/end"]))
        late.expect(SUBACK)
        late.send(publish(f"{topic}/end", b"end"))
        got = late.expect(PUBLISH)
        assert got[2].endswith(b"end"), "retained without iot:RetainPublish"
    silent = identity(statement("Allow", "iot:Connect", "*"))
    refused = devices(TlsDevice(silent, version=version, will=(topic, "forged", 1, True), connected=False))
    assert refused.code != 0


def test_delayed_will_of_a_device_that_lost_the_right(iot, plain_mqtt, identity, unique):
    topic = f"will/{unique}"
    device = identity(statement("Allow", "iot:*", "*"))
    with plain(plain_mqtt, f"watch-{unique}") as watcher:
        watcher.send(subscribe([topic]))
        watcher.expect(SUBACK)
        with raw_mqtt.Stream(device.connection()) as dying:
            dying.open(device.name, 5, properties=b"\x11\x00\x00\x00\x3c",
                       will=(topic, b"forged", 1, False, b"\x18\x00\x00\x00\x01"))
        iot.detach_policy(policyName=device.policy, target=device.arn)
        time.sleep(1.8)
        watcher.send(publish(topic, b"end"))
        assert watcher.expect(PUBLISH)[2].endswith(b"end"), "the will of a device without a policy was published"


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("change", ["receive", "detach"])
def test_queued_messages_are_not_for_who_lost_the_right(iot, plain_mqtt, identity, devices, unique, qos, change):
    everything = statement("Allow", "iot:*", "*")
    device = identity(everything)
    first = devices(TlsDevice(device, clean=False))
    assert first.subscribe(f"{unique}/#", qos) == qos
    first.close()
    with plain(plain_mqtt, f"send-{unique}") as sender:
        for number in range(3):
            deliver(sender, f"{unique}/secret", b"secret", qos, number + 1)
        if change == "receive":
            iot.create_policy_version(policyName=device.policy, setAsDefault=True, policyDocument=document(
                everything, statement("Deny", "iot:Receive", f"arn:aws:iot:*:*:topic/{unique}/secret")))
        else:
            iot.detach_policy(policyName=device.policy, target=device.arn)
            cut = devices(TlsDevice(device, clean=False, connected=False))
            assert cut.code != 0 and cut.messages.empty()
            iot.create_policy_version(policyName=device.policy, setAsDefault=True, policyDocument=document(
                statement("Allow", "iot:Connect", "*")))
            iot.attach_policy(policyName=device.policy, target=device.arn)
        again = devices(TlsDevice(device, clean=False))
        deliver(sender, f"{unique}/open", b"open", 1, 9)
        if change == "receive":
            again.receives_only(f"{unique}/open", "open")
        else:
            time.sleep(0.3)
            assert again.messages.empty()


def test_retained_message_is_not_for_who_lost_the_right(iot, plain_mqtt, identity, devices, unique):
    device = identity(statement("Allow", "iot:*", "*"))
    with plain(plain_mqtt, f"send-{unique}") as sender:
        sender.send(publish(f"{unique}/secret", b"secret", 1, 1, retain=True))
        sender.expect(PUBACK)
        iot.create_policy_version(policyName=device.policy, setAsDefault=True, policyDocument=document(
            statement("Allow", "iot:*", "*"),
            statement("Deny", "iot:Receive", f"arn:aws:iot:*:*:topic/{unique}/secret")))
        live = devices(TlsDevice(device))
        assert live.subscribe(f"{unique}/#") == 1
        sender.send(publish(f"{unique}/open", b"open", 0))
        live.receives_only(f"{unique}/open", "open")
        sender.send(publish(f"{unique}/secret", b"", 1, 2, retain=True))
        sender.expect(PUBACK)


def test_session_of_another_certificate(identity, devices, plain_mqtt, unique):
    """A client id is no secret: what waits in its session is for those only who may receive it."""
    own = identity(statement("Allow", "iot:*", "*"))
    thief = identity(statement("Allow", "iot:Connect", "*"))
    first = devices(TlsDevice(own, f"shared-{unique}", clean=False))
    assert first.subscribe(f"{unique}/secret") == 1
    first.close()
    with plain(plain_mqtt, f"send-{unique}") as sender:
        deliver(sender, f"{unique}/secret", b"queued", 1, 1)
        taken = devices(TlsDevice(thief, f"shared-{unique}", clean=False, connected=False))
        deliver(sender, f"{unique}/secret", b"live", 1, 2)
        time.sleep(0.3)
        assert taken.messages.empty(), "a session gave another certificate messages that it may not receive"
