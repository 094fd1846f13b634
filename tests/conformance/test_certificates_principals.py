# SPDX-License-Identifier: Apache-2.0
"""Things and their principals, exclusive or not, and Amazon Cognito identities, through boto3 and signed calls."""
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from refusals import refused
from tls_device import document, statement

INVALID = ("InvalidRequestException", 400)
IDENTITY = "eu-central-1:12345678-90ab-cdef-1234-123456789012"


@pytest.fixture
def call(platform):
    """(status, JSON) of a signed call: the packaged boto3 does not know these members yet."""
    def ask(method, path, principal=None, **query):
        environment = platform.environment
        url = platform.endpoint + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = AWSRequest(method, url, headers={"x-amzn-principal": principal} if principal else {})
        pair = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(pair, "iot", platform.region).add_auth(request)
        try:
            made = urllib.request.Request(request.url, method=method, headers=dict(request.headers))
            with urllib.request.urlopen(made, timeout=10) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
    return ask


def attach(call, thing, arn, kind):
    return call("PUT", f"/things/{thing}/principals", arn, thingPrincipalType=kind)


def test_an_exclusive_thing(iot, call, unique):
    arn = iot.create_keys_and_certificate()["certificateArn"]
    for name in ("a", "b"):
        iot.create_thing(thingName=f"{name}-{unique}")
    a, b = f"a-{unique}", f"b-{unique}"
    assert attach(call, a, arn, "EXCLUSIVE_THING")[0] == 200
    refused(*INVALID, iot.attach_thing_principal, thingName=b, principal=arn)
    assert attach(call, b, arn, "EXCLUSIVE_THING")[0] == 400
    assert attach(call, a, arn, "NON_EXCLUSIVE_THING")[0] == 400
    assert attach(call, a, arn, "SOMETHING")[0] == 400
    status, listed = call("GET", f"/things/{a}/principals-v2")
    assert status == 200
    assert listed["thingPrincipalObjects"] == [{"principal": arn, "thingPrincipalType": "EXCLUSIVE_THING"}]
    listed = call("GET", "/principals/things-v2", arn)[1]
    assert listed["principalThingObjects"] == [{"thingName": a, "thingPrincipalType": "EXCLUSIVE_THING"}]
    listed = call("GET", "/principals/things-v2", arn, thingPrincipalType="NON_EXCLUSIVE_THING")[1]
    assert listed["principalThingObjects"] == []
    iot.detach_thing_principal(thingName=a, principal=arn)
    for name in (a, b):
        iot.attach_thing_principal(thingName=name, principal=arn)
    status, first = call("GET", "/principals/things-v2", arn, maxResults=1)
    second = call("GET", "/principals/things-v2", arn, maxResults=1, nextToken=first["nextToken"])[1]
    found = first["principalThingObjects"] + second["principalThingObjects"]
    assert found == [{"thingName": n, "thingPrincipalType": "NON_EXCLUSIVE_THING"} for n in (a, b)]
    assert "nextToken" not in second


def test_an_exclusive_thing_stands_for_every_client_id(iot, call, identity, connect, unique):
    iot.create_thing(thingName=unique)
    device = identity(statement("Allow", "iot:Connect", "*"), statement(
        "Allow", "iot:Publish", "arn:aws:iot:*:*:topic/${iot:Connection.Thing.ThingName}"))
    live = connect(device, f"other-{unique}")
    assert not live.publish(unique)
    assert attach(call, unique, device.arn, "EXCLUSIVE_THING")[0] == 200
    assert connect(device, f"another-{unique}").publish(unique)


def test_identities_are_targets_and_principals(iot, unique):
    text = document(statement("Allow", "iot:Connect", "*"))
    iot.create_policy(policyName=unique, policyDocument=text)
    iot.create_thing(thingName=unique)
    iot.attach_policy(policyName=unique, target=IDENTITY)
    assert unique in [p["policyName"] for p in iot.list_attached_policies(target=IDENTITY)["policies"]]
    assert iot.list_targets_for_policy(policyName=unique)["targets"] == [IDENTITY]
    assert iot.list_policy_principals(policyName=unique)["principals"] == [IDENTITY]
    assert unique in [p["policyName"] for p in iot.get_effective_policies(principal=IDENTITY)["effectivePolicies"]]
    refused("DeleteConflictException", 409, iot.delete_policy, policyName=unique)
    iot.attach_thing_principal(thingName=unique, principal=IDENTITY)
    assert iot.list_thing_principals(thingName=unique)["principals"] == [IDENTITY]
    assert unique in iot.list_principal_things(principal=IDENTITY)["things"]
    iot.detach_thing_principal(thingName=unique, principal=IDENTITY)
    iot.detach_policy(policyName=unique, target=IDENTITY)
    iot.delete_policy(policyName=unique)
    for wrong in ("eu-central-1:1234", IDENTITY.upper(), "cognito:" + IDENTITY, "*"):
        refused(*INVALID, iot.attach_thing_principal, thingName=unique, principal=wrong)
    refused(*INVALID, iot.get_effective_policies, principal=IDENTITY, cognitoIdentityPoolId="eu-central-1:pool")


def test_arns_of_another_account_are_nobodys(iot, identity, unique):
    device = identity(statement("Allow", "iot:Connect", "*"))
    parts = device.arn.split(":")
    iot.create_thing(thingName=unique)
    for foreign in (":".join([*parts[:4], "999999999999", parts[5]]), ":".join([*parts[:3], "xx-east-9", *parts[4:]])):
        refused(*INVALID, iot.attach_policy, policyName=device.policy, target=foreign)
        refused(*INVALID, iot.detach_policy, policyName=device.policy, target=foreign)
        refused(*INVALID, iot.list_attached_policies, target=foreign)
        refused(*INVALID, iot.attach_thing_principal, thingName=unique, principal=foreign)
        refused(*INVALID, iot.list_principal_things, principal=foreign)
        refused(*INVALID, iot.get_effective_policies, principal=foreign)
        refused(*INVALID, iot.test_authorization, principal=foreign, authInfos=[
            {"actionType": "CONNECT", "resources": ["arn:aws:iot:us-east-1:123456789012:client/x"]}])
    assert iot.list_targets_for_policy(policyName=device.policy)["targets"] == [device.arn]


def test_effective_policies_of_a_thing(iot, identity, unique):
    device = identity(statement("Allow", "iot:Connect", "*"))
    group = iot.create_thing_group(thingGroupName=unique)["thingGroupArn"]
    iot.create_policy(policyName=unique, policyDocument=document(statement("Allow", "iot:Publish", "*")))
    iot.attach_policy(policyName=unique, target=group)
    device.thing()
    iot.add_thing_to_thing_group(thingGroupName=unique, thingName=device.name)

    def names(**more):
        return sorted(p["policyName"] for p in iot.get_effective_policies(**more)["effectivePolicies"])
    assert names(thingName=device.name) == [unique]
    assert names(principal=device.arn) == names(principal=device.arn, thingName=device.name) == sorted(
        [device.policy, unique])
    refused(*INVALID, iot.get_effective_policies)
    refused("ResourceNotFoundException", 404, iot.get_effective_policies, thingName=f"no-{unique}")
