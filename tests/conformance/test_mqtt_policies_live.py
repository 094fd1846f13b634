# SPDX-License-Identifier: Apache-2.0
"""What TestAuthorization says is what connections get; changes by any path reach live connections within a second."""
import time

import pytest

from refusals import refused
from tls_device import document, statement

CONNECT = statement("Allow", "iot:Connect", "*")


def arn(platform, rest):
    return f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:{rest}"


def soon(holds, seconds=1.0):
    """Whether it holds within a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


class Publisher:
    """May the live connection publish there? It reconnects when a refusal cost it the connection."""

    def __init__(self, connect, device, client_id):
        self.connect, self.device, self.client_id = connect, device, client_id
        self.live = connect(device, client_id)

    def may(self, topic):
        if self.live.lost.is_set():
            self.live = self.connect(self.device, self.client_id)
        return self.live.publish(topic)


# ---- sessions


@pytest.mark.parametrize("version", [4, 5])
def test_a_session_is_no_right_to_what_its_last_client_had(identity, connect, unique, version):
    """The same client id by another certificate: a rotated one loses nothing, a stranger's gets nothing."""
    def may(*topics):
        return [CONNECT, *(statement("Allow", ["iot:Publish", "iot:Receive"], f"arn:aws:iot:*:*:topic/{unique}/{t}/*")
                           for t in topics), *(statement("Allow", "iot:Subscribe", f"arn:aws:iot:*:*:topicfilter/{unique}/{t}/*")
                                               for t in topics)]
    sender = connect(identity(*may("own", "both")))
    kept = {"version": version, "clean": False, **({"expiry": 300} if version == 5 else {})}
    first = connect(identity(*may("own", "both")), unique, **kept)
    assert first.subscribe(f"{unique}/own/+") == 1 and first.subscribe(f"{unique}/both/+") == 1
    first.kill()
    for topic in ("own", "both"):
        assert sender.publish(f"{unique}/{topic}/1", "waits")
    stranger = connect(identity(*may("both")), unique, **kept)
    assert stranger.present
    stranger.receives_only(f"{unique}/both/1", "waits")
    for topic in ("own", "both"):
        assert sender.publish(f"{unique}/{topic}/2", "live")
    stranger.receives_only(f"{unique}/both/2", "live")
    stranger.kill()
    for topic in ("own", "both"):
        assert sender.publish(f"{unique}/{topic}/3", "later")
    rotated = connect(identity(*may("own", "both")), unique, **kept)
    assert rotated.present
    rotated.receives_only(f"{unique}/both/3", "later")


# ---- TestAuthorization


def test_authorization(iot, platform, identity, connect, unique):
    device = identity(CONNECT, statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/*"),
                      statement("Deny", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/secret"),
                      statement("Allow", "iot:Subscribe", f"arn:aws:iot:*:*:topicfilter/{unique}/${{iot:ClientId}}"))

    def ask(action, rest, **more):
        answer = iot.test_authorization(principal=device.arn, authInfos=[
            {"actionType": action, "resources": [arn(platform, rest)]}], **{"clientId": device.name, **more})
        return answer["authResults"][0]
    policies = {"policyName": device.policy, "policyArn": arn(platform, f"policy/{device.policy}")}
    allowed = ask("PUBLISH", f"topic/{unique}/open")
    assert allowed["authDecision"] == "ALLOWED" and allowed["allowed"]["policies"] == [policies]
    assert allowed["denied"]["explicitDeny"]["policies"] == [] == allowed["missingContextValues"]
    denied = ask("PUBLISH", f"topic/{unique}/secret")
    assert denied["authDecision"] == "EXPLICIT_DENY" and denied["denied"]["explicitDeny"]["policies"] == [policies]
    none = ask("PUBLISH", "topic/elsewhere")
    assert none["authDecision"] == "IMPLICIT_DENY" and none["denied"]["implicitDeny"]["policies"] == [policies]
    assert ask("CONNECT", f"client/{device.name}")["authDecision"] == "ALLOWED"
    missing = iot.test_authorization(principal=device.arn, authInfos=[
        {"actionType": "SUBSCRIBE", "resources": [arn(platform, f"topicfilter/{unique}/x")]}])["authResults"][0]
    assert missing["authDecision"] == "IMPLICIT_DENY" and missing["missingContextValues"] == ["iot:ClientId"]
    assert ask("PUBLISH", f"topic/{unique}/open", policyNamesToSkip=[device.policy])["authDecision"] == "IMPLICIT_DENY"
    iot.create_policy(policyName=unique, policyDocument=document(statement("Deny", "iot:*", "*")))
    assert ask("CONNECT", "client/x", policyNamesToAdd=[unique])["authDecision"] == "EXPLICIT_DENY"
    refused("ResourceNotFoundException", 404, ask, action="CONNECT", rest="client/x", policyNamesToAdd=["no" + unique])
    refused("InvalidRequestException", 400, iot.test_authorization, authInfos=[
        {"actionType": "CONNECT", "resources": [arn(platform, "client/x")]}])
    # The connection agrees.
    publisher = Publisher(connect, device, device.name)
    assert publisher.may(f"{unique}/open")
    assert not publisher.may(f"{unique}/secret") and not publisher.may("elsewhere")


# ---- changes


@pytest.fixture
def fleet(iot, identity, connect, unique):
    """A live device that may connect, and its thing, whose groups and attributes decide."""
    device = identity(CONNECT, statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/"
                                                                 "${iot:Connection.Thing.Attributes[site]}"))
    device.thing(attributes={"site": "north"})
    publisher = Publisher(connect, device, device.name)
    assert publisher.may(f"{unique}/north")
    return device, publisher


def test_versions_and_attachments(iot, fleet, unique):
    device, publisher = fleet
    topic = f"{unique}/new"
    assert not publisher.may(topic)
    text = document(CONNECT, statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{topic}"))
    iot.create_policy_version(policyName=device.policy, policyDocument=text, setAsDefault=True)
    assert soon(lambda: publisher.may(topic))
    iot.set_default_policy_version(policyName=device.policy, policyVersionId="1")
    assert soon(lambda: not publisher.may(topic))
    iot.create_policy(policyName=unique, policyDocument=text)
    iot.attach_policy(policyName=unique, target=device.arn)
    assert soon(lambda: publisher.may(topic))
    iot.detach_policy(policyName=unique, target=device.arn)
    assert soon(lambda: not publisher.may(topic))


def test_attributes_and_groups(iot, fleet, unique):
    device, publisher = fleet
    iot.update_thing(thingName=device.name, attributePayload={"attributes": {"site": "south"}})
    assert soon(lambda: publisher.may(f"{unique}/south"))
    assert not publisher.may(f"{unique}/north")
    root = iot.create_thing_group(thingGroupName=unique)["thingGroupArn"]
    iot.create_thing_group(thingGroupName=f"{unique}-leaf", parentGroupName=unique)
    iot.create_policy(policyName=unique, policyDocument=document(
        statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/group")))
    iot.attach_policy(policyName=unique, target=root)
    assert not publisher.may(f"{unique}/group")
    iot.add_thing_to_thing_group(thingGroupName=f"{unique}-leaf", thingName=device.name)
    assert soon(lambda: publisher.may(f"{unique}/group"))
    iot.update_thing_groups_for_thing(thingName=device.name, thingGroupsToRemove=[f"{unique}-leaf"])
    assert soon(lambda: not publisher.may(f"{unique}/group"))
    iot.update_thing_groups_for_thing(thingName=device.name, thingGroupsToAdd=[f"{unique}-leaf"])
    assert soon(lambda: publisher.may(f"{unique}/group"))
    iot.delete_thing_group(thingGroupName=f"{unique}-leaf")
    assert soon(lambda: not publisher.may(f"{unique}/group"))


def test_what_ends_a_connection(iot, fleet, connect, unique):
    device, _ = fleet
    for end, again in (
            (lambda: iot.update_certificate(certificateId=device.id, newStatus="REVOKED"),
             lambda: iot.update_certificate(certificateId=device.id, newStatus="ACTIVE")),
            (lambda: iot.detach_policy(policyName=device.policy, target=device.arn),
             lambda: iot.attach_policy(policyName=device.policy, target=device.arn)),
            (lambda: iot.create_policy_version(policyName=device.policy, setAsDefault=True,
                                               policyDocument=document(statement("Allow", "iot:Publish", "*"))),
             lambda: iot.set_default_policy_version(policyName=device.policy, policyVersionId="1"))):
        live = connect(device, f"live-{unique}")
        end()
        assert live.is_cut(1)
        again()
    assert connect(device, f"live-{unique}").code == 0


# ---- values that hold wildcards


@pytest.mark.parametrize("client_id", ["*", "+", "#", "?", "a/b", "a/+", "${iot:ClientId}"])
def test_client_ids_open_no_others_topics(identity, connect, unique, client_id):
    device = identity(CONNECT, statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/${{iot:ClientId}}"))
    assert not connect(device, client_id).publish(f"{unique}/victim")


def test_attribute_values_open_no_others_topics(iot, identity, connect, unique):
    device = identity(CONNECT, statement(
        "Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/${{iot:Connection.Thing.Attributes[site]}}/up"))
    device.thing(attributes={"site": "a/b"})
    assert connect(device, device.name).publish(f"{unique}/a/b/up")
    assert not connect(device, device.name).publish(f"{unique}/a/c/up")


@pytest.mark.parametrize("text", [
    "", "null", "[" * 2000 + "]" * 2000, '{"Version":"2012-10-17","Statement":' + "[" * 40 + "]" * 40 + "}",
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*","Condition":'
    + '{"StringEquals":' * 50 + '""' + "}" * 50 + "}]}",
    document(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${")),
    document(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${iot:ClientId")),
    document(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/" + "*" * 3000))],
    ids=["empty", "null", "nested", "nested statements", "nested conditions", "open brace", "open variable", "large"])
def test_hostile_policies(iot, unique, text):
    refused("MalformedPolicyException", 400, iot.create_policy, policyName=unique, policyDocument=text)
    refused("ResourceNotFoundException", 404, iot.get_policy, policyName=unique)
