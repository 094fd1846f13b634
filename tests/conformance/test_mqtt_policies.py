# SPDX-License-Identifier: Apache-2.0
"""IoT policies on MQTT with real TLS devices: variables, wildcards, reserved topics; lifecycle events."""
import json

import pytest

from tls_device import self_signed, statement

ANY = statement("Allow", "iot:*", "*")
REFUSED = (0x80, 0x87, 0x8F, None)


@pytest.mark.parametrize("client_id", ["#", "+", "*", "${iot:ClientId}", "?"])
def test_client_id_gains_nothing_by_wildcards(identity, connect, unique, client_id):
    device = identity(statement("Allow", "iot:Connect", "*"),
                      statement("Allow", ["iot:Publish", "iot:Receive"],
                                f"arn:aws:iot:*:*:topic/{unique}/${{iot:ClientId}}"),
                      statement("Allow", "iot:Subscribe",
                                f"arn:aws:iot:*:*:topicfilter/{unique}/${{iot:ClientId}}"))
    for filter_ in (f"{unique}/#", f"{unique}/+", f"{unique}/other"):
        assert connect(device, client_id).subscribe(filter_) in REFUSED, filter_
    assert not connect(device, client_id).publish(f"{unique}/other")


def test_will_topic_condition(identity, connect, unique):
    device = identity(ANY, statement("Deny", "iot:Connect", "*", Condition={
        "ArnNotEquals": {"iot:LastWillTopic": f"arn:aws:iot:*:*:topic/will/{unique}/*"}}))
    assert connect(device, will=(f"will/{unique}/a", "gone", 1), connected=False).code == 0
    assert connect(device, will=(f"other/{unique}", "gone", 1), connected=False).code != 0


def test_alternative_names_and_wildcards_in_certificates(iot, identity, connect, tmp_path):
    device = identity(statement("Allow", "iot:Connect", "*"), *(
        statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{kind}/${{iot:Certificate.{name}}}")
        for kind, name in (("dns", "Subject.AlternativeName.DNSName"), ("dns1", "Subject.AlternativeName.DNSName.1"),
                           ("ip", "Subject.AlternativeName.IPAddress"), ("cn", "Subject.CommonName"),
                           ("mail", "Subject.AlternativeName.RFC822Name"))))
    pem, key = self_signed(tmp_path, "own", "/O=Acme/CN=*",
                           "-addext", "subjectAltName=DNS:box.example,DNS:*.example,IP:10.0.0.7,email:a@b.example")
    made = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    iot.attach_policy(policyName=device.policy, target=made["certificateArn"])
    device.certificate.write_text(pem)
    device.key = key
    for topic in ("dns/box.example", "ip/10.0.0.7", "mail/a@b.example"):
        assert connect(device).publish(topic), topic
    for topic in ("dns1/x.example", "dns1/*.example", "cn/anything", "cn/*"):
        assert not connect(device).publish(topic), topic


@pytest.mark.parametrize("version", [4, 5])
def test_filters_that_nobody_serves_are_refused(identity, connect, version):
    device = identity(ANY)
    live = connect(device, version=version)
    for filter_ in (f"$aws/things/{device.name}/shadow/update", "$aws/things/+/shadow/names/#", "$aws/rules/#",
                    "$aws/certificates/create/json", "$aws/events/thing/+/created", "$SYS/#"):
        assert live.subscribe(filter_) in (0x80, 0x87), filter_
    for filter_ in ("$aws/events/presence/connected/#", f"$aws/things/{device.name}/jobs/#", "$aws/#"):
        assert live.subscribe(filter_) == 1, filter_


@pytest.mark.parametrize("topic", [
    "$aws/events/presence/connected/x", "$aws/events/subscriptions/subscribed/x", "$aws/things/{}/jobs/get/accepted",
    "$aws/things/{}/jobs/j/update/rejected", "$aws/things/{}/jobs/notify-next", "$aws/things/{}/shadow/update/delta",
    "$aws/rules/r/x", "$aws/certificates/create/json/accepted", "$SYS/broker/version"])
def test_what_the_server_says_cannot_be_published(identity, connect, topic):
    device, spy = identity(ANY), connect(identity(ANY))
    assert spy.subscribe("$aws/events/presence/connected/x") == 1 and spy.subscribe("$aws/things/+/jobs/#") == 1
    assert not connect(device).publish(topic.format(device.name), "{}")
    assert spy.publish("after", "x") and spy.messages.empty()


# ---- lifecycle events


@pytest.fixture
def events(identity, connect, unique):
    """next() is (kind, payload) of the next event of a client id that ends with `unique`."""
    watcher = connect(identity(statement("Allow", ["iot:Connect", "iot:Subscribe", "iot:Receive"], "*")), f"w{unique}-w")
    for kind in ("presence/connected", "presence/disconnected", "presence/connect_failed",
                 "subscriptions/subscribed", "subscriptions/unsubscribed"):
        assert watcher.subscribe(f"$aws/events/{kind}/#") == 1

    class Events:
        @staticmethod
        def next(client_id):
            while True:
                message = watcher.receive()
                if message.topic.endswith(f"/{client_id}"):
                    return message.topic.split("/")[3], json.loads(message.payload)
        messages = watcher.messages
    return Events


def test_lifecycle_of_a_client(identity, connect, events):
    device = identity(ANY)
    live = connect(device)
    kind, connected = events.next(device.name)
    session = connected["sessionIdentifier"]
    assert kind == "connected" and connected == {
        "clientId": device.name, "timestamp": connected["timestamp"], "eventType": "connected",
        "sessionIdentifier": session, "principalIdentifier": device.id, "ipAddress": "127.0.0.1", "versionNumber": 0}
    live.subscribe("a/+")
    kind, subscribed = events.next(device.name)
    assert kind == "subscribed" and subscribed == {
        "clientId": device.name, "timestamp": subscribed["timestamp"], "eventType": "subscribed",
        "sessionIdentifier": session, "principalIdentifier": device.id, "topics": ["a/+"]}
    live.client.unsubscribe("a/+")
    assert events.next(device.name)[1]["topics"] == ["a/+"]
    live.close()
    kind, gone = events.next(device.name)
    assert kind == "disconnected" and gone == {
        "clientId": device.name, "timestamp": gone["timestamp"], "eventType": "disconnected",
        "sessionIdentifier": session, "principalIdentifier": device.id, "clientInitiatedDisconnect": True,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT", "versionNumber": 0}
    connect(device)
    assert events.next(device.name)[1]["versionNumber"] == 1


@pytest.mark.parametrize("how, reason", [("killed", "CONNECTION_LOST"), ("taken over", "DUPLICATE_CLIENTID"),
                                         ("forbidden", "AUTH_ERROR"), ("revoked", "FORBIDDEN_ACCESS")])
def test_disconnect_reasons(iot, identity, connect, events, how, reason):
    device = identity(statement("Allow", ["iot:Connect"], "*"))
    live = connect(device)
    if how == "killed":
        live.kill()
    elif how == "taken over":
        connect(device)
    elif how == "forbidden":
        live.publish("not/allowed")
    else:
        iot.update_certificate(certificateId=device.id, newStatus="REVOKED")
    while (told := events.next(device.name))[0] != "disconnected":
        pass
    assert told[1]["disconnectReason"] == reason and told[1]["clientInitiatedDisconnect"] is False
    assert told[1]["versionNumber"] == 0


def test_failed_connects_are_told(identity, connect, events):
    device = identity(statement("Allow", "iot:Connect", "*"))
    assert connect(device, will=("not/allowed", "gone", 1), connected=False).code != 0
    kind, failed = events.next(device.name)
    assert kind == "connect_failed" and failed == {
        "clientId": device.name, "timestamp": failed["timestamp"], "eventType": "connect_failed",
        "connectFailureReason": "AUTHORIZATION_FAILED", "principalIdentifier": device.id,
        "sessionIdentifier": failed["sessionIdentifier"], "ipAddress": "127.0.0.1"}


def test_no_events_for_client_ids_with_wildcards(identity, connect, events, unique):
    device = identity(ANY)
    connect(device, f"{unique}/#").close()
    connect(device, f"+{unique}").close()
    connect(device, f"{unique}/ok")
    while (message := events.messages.get(timeout=5)).topic != f"$aws/events/presence/connected/{unique}/ok":
        assert f"{unique}/#" not in message.topic and f"+{unique}" not in message.topic
