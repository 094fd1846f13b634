# SPDX-License-Identifier: Apache-2.0
"""Device shadows: boto3, client certificates over HTTPS, and MQTT devices, each seeing what the others did."""
import json
import time

import pytest
from botocore.exceptions import ClientError

from refusals import refused
from tls_device import Identity, statement

ANY = statement("Allow", "iot:*", "*")


def read(answer):
    return json.loads(answer["payload"].read())


@pytest.fixture
def shadow(iot_data, unique):
    """Calls about one shadow, classic or named, of a thing that is in no registry."""
    class Shadow:
        thing = f"t-{unique}"

        @staticmethod
        def named(name):
            return {"shadowName": name} if name else {}

        def update(self, body, name=None):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            return read(iot_data.update_thing_shadow(thingName=self.thing, payload=body, **self.named(name)))

        def get(self, name=None):
            return read(iot_data.get_thing_shadow(thingName=self.thing, **self.named(name)))

        def delete(self, name=None):
            return read(iot_data.delete_thing_shadow(thingName=self.thing, **self.named(name)))

        def topic(self, suffix, name=None):
            return f"$aws/things/{self.thing}/shadow/" + (f"name/{name}/" if name else "") + suffix
    return Shadow()


class Listener:
    """A device that hears everything of a shadow, by topic below its prefix."""

    def __init__(self, device, shadow, name=None):
        self.device, self.shadow, self.name = device, shadow, name
        self.prefix = shadow.topic("", name)
        assert device.subscribe(self.prefix + "#") == 1

    def hear(self, *suffixes):
        """The next messages, whatever their order among each other, as {suffix: payload}."""
        heard = {}
        for _ in suffixes:
            message = self.device.receive(10)
            assert message.topic.startswith(self.prefix) and not message.retain and message.qos == 1
            heard[message.topic[len(self.prefix):]] = json.loads(message.payload)
        assert set(heard) == set(suffixes)
        return [heard[suffix] for suffix in suffixes]

    def request(self, verb, body=None):
        assert self.device.publish(self.prefix + verb, "" if body is None else json.dumps(body))


@pytest.fixture
def listen(identity, connect, shadow):
    return lambda name=None, **more: Listener(connect(identity(ANY), **more), shadow, name)


# ---- over HTTPS


def test_a_shadows_life(shadow):
    first = shadow.update({"state": {"desired": {"color": "red", "deep": {"a": [1, {"b": 2}]}}}, "clientToken": "x"})
    now = first["timestamp"]
    assert abs(now - time.time()) < 10
    stamp = {"timestamp": now}
    assert first == {
        "state": {"desired": {"color": "red", "deep": {"a": [1, {"b": 2}]}}},
        "metadata": {"desired": {"color": stamp, "deep": {"a": [stamp, {"b": stamp}]}}},
        "version": 1, "timestamp": now, "clientToken": "x"}
    assert set(shadow.update({"state": {"reported": {"color": "green", "extra": 1}}})["state"]) == {"reported"}
    whole = shadow.get()
    assert whole["state"] == {
        "desired": {"color": "red", "deep": {"a": [1, {"b": 2}]}}, "reported": {"color": "green", "extra": 1},
        "delta": {"color": "red", "deep": {"a": [1, {"b": 2}]}}}
    assert whole["version"] == 2 and whole["metadata"]["desired"] == first["metadata"]["desired"]
    assert "delta" not in whole["metadata"]
    shadow.update({"state": {"desired": None, "reported": {"extra": None}}})
    assert shadow.get()["state"] == {"reported": {"color": "green"}}
    gone = shadow.delete()
    assert gone == {"version": 3, "timestamp": gone["timestamp"]}
    with pytest.raises(ClientError, match=f"No shadow exists with name: '{shadow.thing}'"):
        shadow.get()
    assert shadow.update({"state": {"reported": {"a": 1}}})["version"] == 4


def test_a_cleared_state_is_answered_as_by_aws(shadow):
    shadow.update({"state": {"desired": {"a": 1}, "reported": {"b": 2}}})
    cleared = shadow.update({"state": None})
    now = cleared["timestamp"]
    assert cleared == {"state": None, "metadata": {"timestamp": now}, "version": 2, "timestamp": now}
    assert shadow.get() == {"state": {}, "metadata": {}, "version": 2, "timestamp": shadow.get()["timestamp"]}


def test_documents_are_json_on_the_wire(iot_data, shadow, identity):
    answer = iot_data.update_thing_shadow(thingName=shadow.thing, payload=b'{"state": {"reported": {"t": 21.50}}}')
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"
    assert b'"t":21.5}' in answer["payload"].read()


@pytest.mark.parametrize("payload, code, status, message", [
    (b"{", "InvalidRequestException", 400, "Invalid JSON"),
    (b"{}", "InvalidRequestException", 400, "Missing required node: state"),
    (b'{"state":1}', "InvalidRequestException", 400, "State node must be an object"),
    (b'{"state":{"desired":[]}}', "InvalidRequestException", 400, "Desired node must be an object"),
    (b'{"state":{"reported":"x"}}', "InvalidRequestException", 400, "Reported node must be an object"),
    (b'{"state":{"other":{}}}', "InvalidRequestException", 400, "State contains an invalid node: 'other'"),
    (b'{"state":{"desired":{"l":[null]}}}', "InvalidRequestException", 400, "State contains an invalid node: 'l'"),
    (b'{"state":{},"version":"1"}', "InvalidRequestException", 400, "Invalid version"),
    (b'{"state":{},"clientToken":"%s"}' % (b"x" * 65), "InvalidRequestException", 400, "Invalid clientToken"),
    (b'{"state":{"desired":' + b'{"a":' * 9 + b"1" + b"}" * 9 + b"}}", "InvalidRequestException", 400,
     "JSON contains too many levels of nesting; maximum is 8"),
    (b'{"state":' + b"[" * 50_000, "InvalidRequestException", 400, "JSON contains too many levels of nesting; maximum is 8"),
    (b'{"state":{},"version":7}', "ConflictException", 409, "Version conflict"),
    (b'{"state":{"desired":{"a":"%s"}}}' % (b"x" * 8193), "RequestEntityTooLargeException", 413,
     "The payload exceeds the maximum size allowed"),
    (b'{"state":{"desired":{"a":"\xff"}}}', "UnsupportedDocumentEncodingException", 415,
     "Unsupported documented encoding; supported encoding is UTF-8")], ids=lambda value: str(value)[:40])
def test_bad_updates_are_refused_with_aws_words(iot_data, shadow, payload, code, status, message):
    error = refused(code, status, iot_data.update_thing_shadow, thingName=shadow.thing, payload=payload)
    assert error["Error"]["Message"] == message
    refused("ResourceNotFoundException", 404, iot_data.get_thing_shadow, thingName=shadow.thing)


def test_what_is_not_there_is_not_found(iot_data, shadow):
    for call in (iot_data.get_thing_shadow, iot_data.delete_thing_shadow):
        error = refused("ResourceNotFoundException", 404, call, thingName=shadow.thing, shadowName="n")
        assert error["Error"]["Message"] == f"No shadow exists with name: '{shadow.thing}~n'"
    for bad in ({"thingName": "a b"}, {"thingName": "t", "shadowName": "a.b"}, {"thingName": "t", "shadowName": "x" * 65}):
        refused("InvalidRequestException", 400, iot_data.get_thing_shadow, **bad)


def test_named_shadows_are_listed(iot_data, shadow):
    names = sorted([f"s{n}" for n in range(7)] + ["$package", "A:b_c"])
    for name in names + ["gone"]:
        shadow.update({"state": {"reported": {"name": name}}}, name)
    shadow.update({"state": {"reported": {"name": ""}}})
    shadow.delete("gone")
    assert shadow.get("s3")["state"]["reported"] == {"name": "s3"}
    found, token = [], {}
    while True:
        page = iot_data.list_named_shadows_for_thing(thingName=shadow.thing, pageSize=4, **token)
        assert abs(page["timestamp"] - time.time()) < 10 and len(page["results"]) <= 4
        found += page["results"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == names
    assert iot_data.list_named_shadows_for_thing(thingName="nobody-" + shadow.thing)["results"] == []
    refused("InvalidRequestException", 400, iot_data.list_named_shadows_for_thing, thingName=shadow.thing, nextToken="x")
    refused("InvalidRequestException", 400, iot_data.list_named_shadows_for_thing, thingName=shadow.thing, pageSize=101)


def test_shadows_stay_when_their_thing_goes(iot, shadow):
    iot.create_thing(thingName=shadow.thing)
    shadow.update({"state": {"reported": {"a": 1}}})
    iot.delete_thing(thingName=shadow.thing)
    assert shadow.get()["state"] == {"reported": {"a": 1}}


# ---- who may


def test_users_need_the_action_on_the_shadows_own_resource(ann, iam, shadow):
    thing = f"arn:aws:iot:*:*:thing/{shadow.thing}"
    data = ann("iot-data")
    shadow.update({"state": {"reported": {"a": 1}}})
    shadow.update({"state": {"reported": {"a": 1}}}, "n")
    refused("ForbiddenException", 403, data.get_thing_shadow, thingName=shadow.thing)
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [statement("Allow", "iot:GetThingShadow", f"{thing}/n"),
                                               statement("Allow", "iot:UpdateThingShadow", thing)]}))
    assert read(data.get_thing_shadow(thingName=shadow.thing, shadowName="n"))["version"] == 1
    data.update_thing_shadow(thingName=shadow.thing, payload=b'{"state":{}}')
    for call, arguments in (
            (data.get_thing_shadow, {}), (data.get_thing_shadow, {"shadowName": "m"}), (data.delete_thing_shadow, {}),
            (data.update_thing_shadow, {"shadowName": "n", "payload": b'{"state":{}}'}),
            (data.list_named_shadows_for_thing, {})):
        refused("ForbiddenException", 403, call, thingName=shadow.thing, **arguments)


def test_certificates_reach_their_own_shadow_over_https(identity, shadow):
    own = f"arn:aws:iot:*:*:thing/{shadow.thing}"
    device = identity(statement("Allow", ["iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"],
                                [own, f"{own}/n"]))
    path = f"/things/{shadow.thing}/shadow"
    status, body, _ = device.https("POST", path + "?name=n", {"state": {"reported": {"a": 1}}})
    assert (status, body["version"]) == (200, 1)
    assert device.https("GET", path + "?name=n")[1]["state"] == {"reported": {"a": 1}}
    status, body, headers = device.https("GET", path)
    assert status == 404 and body["message"] == f"No shadow exists with name: '{shadow.thing}'"
    assert headers["x-amzn-ErrorType"].startswith("ResourceNotFoundException")
    for refused_path in (path + "?name=m", f"/things/{shadow.thing}x/shadow",
                         f"/api/things/shadow/ListNamedShadowsForThing/{shadow.thing}"):
        assert device.https("GET", refused_path)[0] == 403, refused_path
    assert device.https("DELETE", path + "?name=n")[0] == 200


# ---- over MQTT


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("name", [None, "n"])
def test_an_update_is_told_to_everybody(listen, shadow, name, version):
    device, other = listen(name, version=version), listen(name)
    device.request("update", {"state": {"desired": {"a": 1, "b": [2]}, "reported": {"a": 1}}, "clientToken": "t"})
    topics = "update/accepted", "update/delta", "update/documents"
    accepted, delta, documents = device.hear(*topics)
    assert other.hear(*topics) == [accepted, delta, documents]
    now = accepted["timestamp"]
    stamp = {"timestamp": now}
    assert accepted == {
        "state": {"desired": {"a": 1, "b": [2]}, "reported": {"a": 1}},
        "metadata": {"desired": {"a": stamp, "b": [stamp]}, "reported": {"a": stamp}},
        "version": 1, "timestamp": now, "clientToken": "t"}
    assert delta == {"state": {"b": [2]}, "metadata": {"b": [stamp]}, "version": 1, "timestamp": now, "clientToken": "t"}
    assert documents == {
        "previous": {"state": {}, "metadata": {}, "version": 0},
        "current": {"state": accepted["state"], "metadata": accepted["metadata"], "version": 1},
        "timestamp": now, "clientToken": "t"}
    device.request("update", {"state": {"reported": {"b": [2]}}})
    assert device.hear("update/accepted", "update/documents")[1]["previous"]["version"] == 1
    assert shadow.get(name)["version"] == 2


def test_changes_over_https_are_told_and_refusals_are_not(listen, shadow):
    device = listen()
    shadow.update({"state": {"desired": {"a": 1}}})
    assert device.hear("update/accepted", "update/delta", "update/documents")[1]["state"] == {"a": 1}
    with pytest.raises(ClientError):
        shadow.update({"state": 1})
    shadow.get()
    shadow.delete()
    assert device.hear("delete/accepted")[0]["version"] == 1


def test_get_and_delete_answer_with_the_token(listen, shadow):
    device = listen()
    device.request("get", {"clientToken": "t"})
    missing = device.hear("get/rejected")[0]
    assert missing == {"code": 404, "message": f"No shadow exists with name: '{shadow.thing}'", "clientToken": "t",
                       "timestamp": missing["timestamp"]}
    shadow.update({"state": {"reported": {"a": 1}}})
    device.hear("update/accepted", "update/documents")
    device.request("get")
    assert "clientToken" not in (whole := device.hear("get/accepted")[0]) and whole["state"] == {"reported": {"a": 1}}
    device.request("get", {"clientToken": "u"})
    assert device.hear("get/accepted")[0] == {**whole, "timestamp": device_time(whole), "clientToken": "u"}
    device.request("delete", {"clientToken": "v"})
    gone = device.hear("delete/accepted")[0]
    assert gone == {"version": 1, "timestamp": gone["timestamp"], "clientToken": "v"}
    device.request("delete")
    assert device.hear("delete/rejected")[0]["code"] == 404


def device_time(answer):
    """The second may have changed meanwhile; what is compared is everything else."""
    class Near(int):
        def __eq__(self, other):
            return abs(int(self) - other) <= 2
        __hash__ = int.__hash__
    return Near(answer["timestamp"])


@pytest.mark.parametrize("payload, code", [
    (b"{", 400), (b'{"clientToken":"t"}', 400), (b'{"state":{},"version":9,"clientToken":"t"}', 409),
    (b'{"state":{"desired":{"a":"%s"}},"clientToken":"t"}' % (b"x" * 9000), 413), (b'{"state":{"desired":"\xfe"}}', 415)])
def test_bad_updates_are_rejected(listen, shadow, payload, code):
    device = listen()
    assert device.device.publish(shadow.topic("update"), payload)
    rejected = device.hear("update/rejected")[0]
    assert rejected["code"] == code and rejected["message"] and abs(rejected["timestamp"] - time.time()) < 10
    assert rejected.get("clientToken") == ("t" if b"clientToken" in payload else None)


def test_who_does_not_subscribe_hears_nothing_but_is_acknowledged(identity, connect, shadow):
    device = connect(identity(ANY))
    assert device.publish(shadow.topic("update"), '{"state":{"reported":{"a":1}}}')
    assert shadow.get()["version"] == 1  # acknowledged means stored
    assert device.subscribe(f"after/{shadow.thing}") == 1
    assert device.publish(f"after/{shadow.thing}", "x")
    device.receives_only(f"after/{shadow.thing}", "x")


def test_an_absent_session_loses_no_change(identity, connect, shadow):
    device = identity(ANY)
    first = connect(device, clean=False)
    Listener(first, shadow)
    first.close()
    for n in range(20):
        shadow.update({"state": {"desired": {"n": n}}})
    back = connect(device, clean=False)
    assert back.present
    seen = [json.loads(back.receive(10).payload) for _ in range(60)]
    assert [m["version"] for m in seen if "version" in m and "desired" in m["state"]] == list(range(1, 21))
    assert [m["state"]["n"] for m in seen if "n" in m.get("state", {})] == list(range(20))
    assert [m["current"]["version"] for m in seen if "current" in m] == list(range(1, 21))


def test_concurrent_updates_are_all_counted(identity, connect, shadow):
    devices = [connect(identity(ANY)) for _ in range(4)]
    for n in range(25):
        for number, device in enumerate(devices):
            device.client.publish(shadow.topic("update"), json.dumps({"state": {"reported": {f"d{number}": n}}}), 1)
    for device in devices:
        for _ in range(25):
            device.acknowledged.get(timeout=20)
    whole = shadow.get()
    assert whole["version"] == 100 and whole["state"]["reported"] == {f"d{number}": 24 for number in range(4)}


def test_topics_decide_over_mqtt(identity, connect, shadow):
    prefix = "arn:aws:iot:*:*:topic"
    own = shadow.topic("", None)
    device = identity(statement("Allow", "iot:Connect", "*"),
                      statement("Allow", "iot:Publish", [f"{prefix}/{own}update", f"{prefix}/{own}name/n/get"]),
                      statement("Allow", "iot:Subscribe", f"{prefix}filter/{own}*"),
                      statement("Allow", "iot:Receive", f"{prefix}/{own}update/accepted"))
    live = connect(device)
    assert live.subscribe(own + "#") == 1
    assert live.publish(own + "update", '{"state":{"desired":{"a":1}}}')
    assert live.receive().topic == own + "update/accepted"  # delta and documents may not be received
    assert live.publish(own + "name/n/get") and live.messages.empty()
    for suffix in ("get", "delete", "name/n/update", "update/accepted", "update/delta", "update/documents"):
        assert not connect(device).publish(own + suffix, "{}"), suffix


@pytest.mark.parametrize("suffix", ["update/accepted", "update/delta", "update/documents", "get/rejected", "name/n",
                                    "name/a.b/get", "name//get", "unknown", "get/x"])
def test_topics_of_no_request_are_refused(identity, connect, shadow, suffix):
    spy = connect(identity(ANY))
    assert spy.subscribe(shadow.topic("#")) == 1
    assert not connect(identity(ANY)).publish(shadow.topic(suffix), '{"state":{}}')
    assert spy.messages.empty()


def test_versions_and_tombstones_survive_a_crash(start):
    server = start()
    data = server.client("iot-data")
    for n in range(3):
        data.update_thing_shadow(thingName="t", payload=json.dumps({"state": {"desired": {"n": n}}}))
    data.update_thing_shadow(thingName="gone", payload=b'{"state":{}}')
    data.delete_thing_shadow(thingName="gone")
    server.kill()
    server.start()
    data = server.client("iot-data")
    assert read(data.get_thing_shadow(thingName="t"))["state"]["delta"] == {"n": 2}
    assert read(data.update_thing_shadow(thingName="gone", payload=b'{"state":{}}'))["version"] == 2


def test_messages_of_a_change_survive_a_crash(start, connect, tmp_path):
    server = start()
    device = Identity(server, tmp_path, "d", ANY)
    live = connect(device, clean=False)
    assert live.subscribe("$aws/things/t/shadow/update/delta") == 1
    live.close()
    data = server.client("iot-data")
    for n in range(30):
        data.update_thing_shadow(thingName="t", payload=json.dumps({"state": {"desired": {"n": n}}}))
    server.kill()
    server.start()
    back = connect(device, clean=False)
    assert back.present
    seen = []
    while not seen or seen[-1] != 29:
        seen.append(json.loads(back.receive(10).payload)["state"]["n"])
    assert list(dict.fromkeys(seen)) == list(range(30))  # in order; some may come twice
