# SPDX-License-Identifier: Apache-2.0
"""Role aliases through boto3, and the credentials provider: a device's certificate becomes temporary credentials that
work, within the role, and every way in which it must not."""
import http.client
import json

import pytest
from botocore.exceptions import ClientError

from refusals import refused
from tls_device import document, self_signed, statement

PROVIDER = {"Service": "credentials.iot.amazonaws.com"}


def trust(principal, condition=None):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition or {}}]})


@pytest.fixture
def role(iam, unique):
    """role(*statements, principal=...) makes a role with that policy."""
    def make(*statements, principal=None, **more):
        name = f"devices-{unique}"
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(principal or PROVIDER), **more)["Role"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return made["Arn"]
    return make


@pytest.fixture
def alias(iot, unique):
    """alias(role_arn) makes a role alias; its name and ARN."""
    def make(role_arn, **more):
        return iot.create_role_alias(roleAlias=f"a-{unique}", roleArn=role_arn, **more)
    return make


def ask(identity, alias_name, thing=None, method="GET", path=None, context=None):
    """(status, JSON or bytes, headers) of the credentials provider."""
    environment = identity.platform.environment
    connection = http.client.HTTPSConnection(environment["MUSTER_MQTT_HOST"], int(environment["MUSTER_MQTT_PORT"]),
                                             context=context or identity.context(), timeout=10)
    try:
        connection.request(method, path or f"/role-aliases/{alias_name}/credentials",
                           headers={"x-amzn-iot-thingname": thing} if thing else {})
        reply = connection.getresponse()
        text = reply.read()
        is_json = reply.getheader("Content-Type", "").startswith("application/json")
        return reply.status, json.loads(text) if is_json else text, dict(reply.headers)
    finally:
        connection.close()


def client(platform, credentials, service):
    return platform.client(service, access_key=credentials["accessKeyId"], secret_key=credentials["secretAccessKey"],
                           session_token=credentials["sessionToken"])


def test_role_aliases_round_trip(iot, role, unique):
    arn, names = role(), [f"a{n}-{unique}" for n in range(5)]
    made = iot.create_role_alias(roleAlias=names[0], roleArn=arn, tags=[{"Key": "k", "Value": "v"}])
    assert made["roleAlias"] == names[0] and made["roleAliasArn"].endswith(f":rolealias/{names[0]}")
    assert iot.list_tags_for_resource(resourceArn=made["roleAliasArn"])["tags"] == [{"Key": "k", "Value": "v"}]
    found = iot.describe_role_alias(roleAlias=names[0])["roleAliasDescription"]
    assert found["roleArn"] == arn and found["credentialDurationSeconds"] == 3600
    assert found["owner"] == arn.split(":")[4] and found["creationDate"] == found["lastModifiedDate"]
    refused("ResourceAlreadyExistsException", 409, iot.create_role_alias, roleAlias=names[0], roleArn=arn)
    assert iot.update_role_alias(roleAlias=names[0], credentialDurationSeconds=900)["roleAlias"] == names[0]
    found = iot.describe_role_alias(roleAlias=names[0])["roleAliasDescription"]
    assert found["credentialDurationSeconds"] == 900 and found["roleArn"] == arn
    for name in names[1:]:
        iot.create_role_alias(roleAlias=name, roleArn=arn)
    listed = []
    marker = {}
    while True:
        page = iot.list_role_aliases(pageSize=2, **marker)
        listed += page["roleAliases"]
        if "nextMarker" not in page:
            break
        marker = {"marker": page["nextMarker"]}
    assert [n for n in listed if n in names] == names and listed == sorted(listed)
    assert iot.list_role_aliases(ascendingOrder=False)["roleAliases"] == listed[::-1]
    for name in names:
        iot.delete_role_alias(roleAlias=name)
    refused("ResourceNotFoundException", 404, iot.describe_role_alias, roleAlias=names[0])
    refused("ResourceNotFoundException", 404, iot.delete_role_alias, roleAlias=names[0])
    refused("ResourceNotFoundException", 404, iot.update_role_alias, roleAlias=names[0])


def test_roles_of_another_account_and_odd_arns_are_refused(iot, role, unique):
    role()
    for arn in ("arn:aws:iam::999999999999:role/devices", "arn:aws:iam::123456789012:user/devices",
                "x" * 20):
        refused("InvalidRequestException", 400, iot.create_role_alias, roleAlias=f"x-{unique}", roleArn=arn)


def test_a_role_alias_needs_the_right_to_pass_its_role(iot, iam, ann, role, unique):
    arn, name = role(), f"a-{unique}"
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document(
        statement("Allow", "iot:*RoleAlias", "*")))
    refused("AccessDeniedException", 403, ann("iot").create_role_alias, roleAlias=name, roleArn=arn)
    iam.put_user_policy(UserName=ann.name, PolicyName="q", PolicyDocument=document(
        statement("Allow", "iam:PassRole", arn,
                  Condition={"StringEquals": {"iam:PassedToService": "credentials.iot.amazonaws.com"}})))
    ann("iot").create_role_alias(roleAlias=name, roleArn=arn)
    refused("AccessDeniedException", 403, ann("iot").update_role_alias, roleAlias=name, roleArn=arn + "x")


def test_credentials_work_within_the_role(platform, identity, role, alias, unique):
    arn = role(statement("Allow", "iot:DescribeThing", "arn:aws:iot:*:*:thing/${credentials-iot:ThingName}"),
               statement("Allow", "iot:ListThings", "*", Condition={
                   "StringEquals": {"credentials-iot:AwsCertificateId": "${aws:userid}"}}))
    made = alias(arn, credentialDurationSeconds=900)
    device = identity(statement("Allow", "iot:AssumeRoleWithCertificate", made["roleAliasArn"]))
    device.thing()
    status, body, _ = ask(device, made["roleAlias"], thing=device.name)
    assert status == 200, body
    credentials = body["credentials"]
    assert set(credentials) == {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"}
    assert credentials["accessKeyId"].startswith("ASIA") and credentials["expiration"].endswith("Z")
    me = client(platform, credentials, "sts").get_caller_identity()
    assert me["Arn"].endswith(f":assumed-role/devices-{unique}/{device.id}")
    assert client(platform, credentials, "iot").describe_thing(thingName=device.name)["thingName"] == device.name
    refused("AccessDeniedException", 403, client(platform, credentials, "iot").describe_thing, thingName="other")
    refused("AccessDeniedException", 403, client(platform, credentials, "iot").list_things)
    # Without the thing's name the variable has no value, and nothing matches it.
    status, body, _ = ask(device, made["roleAlias"])
    assert status == 200, body
    refused("AccessDeniedException", 403, client(platform, body["credentials"], "iot").describe_thing,
            thingName=device.name)


def test_refusals_in_awss_words(iot, iam, identity, role, alias, unique):
    """The statuses and messages that AWS's provider gives, in its order."""
    made = {"roleAlias": f"a-{unique}"}
    device = identity()
    assert said(ask(device, made["roleAlias"], thing="nobody")) == (403, "Invalid thing name passed")
    thing = device.thing()
    assert said(ask(device, made["roleAlias"], thing=thing)) == (403, "Access Denied")
    iot.create_policy(policyName=f"assume-{unique}", policyDocument=document(
        statement("Allow", "iot:AssumeRoleWithCertificate", f"arn:aws:iot:*:*:rolealias/a-{unique}")))
    iot.attach_policy(policyName=f"assume-{unique}", target=device.arn)
    status, body, headers = ask(device, made["roleAlias"], thing=thing)
    assert (status, body) == (404, {"message": "Role alias does not exist"})
    assert headers["x-amzn-ErrorType"] == "ResourceNotFoundException" and headers["x-amzn-RequestId"]
    missing = (400, "Unable to assume the role, or the role to assume does not exist")
    account = device.arn.split(":")[4]
    made = alias(f"arn:aws:iam::{account}:role/devices-{unique}", credentialDurationSeconds=7200)
    assert said(ask(device, made["roleAlias"], thing=thing)) == missing
    role(principal={"Service": "iot.amazonaws.com"})  # trusts another service
    assert said(ask(device, made["roleAlias"], thing=thing)) == missing
    iam.update_assume_role_policy(RoleName=f"devices-{unique}", PolicyDocument=trust(PROVIDER))
    assert said(ask(device, made["roleAlias"], thing=thing)) == (
        400, "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role")
    iot.update_role_alias(roleAlias=made["roleAlias"], credentialDurationSeconds=3600)
    assert ask(device, made["roleAlias"], thing=thing)[0] == 200
    iot.detach_policy(policyName=f"assume-{unique}", target=device.arn)
    assert said(ask(device, made["roleAlias"], thing=thing)) == (403, "Access Denied")


def said(answer):
    return answer[0], answer[1]["message"]


def test_only_active_registered_certificates_and_their_things(iot, identity, role, alias, tmp_path):
    made = alias(role(statement("Allow", "iot:*", "*")))
    allow = statement("Allow", "iot:AssumeRoleWithCertificate", "*")
    device, other = identity(allow), identity(allow)
    thing = other.thing()
    assert said(ask(device, made["roleAlias"], thing=thing)) == (403, "Invalid thing name passed")
    assert ask(device, made["roleAlias"])[0] == 200
    iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert said(ask(device, made["roleAlias"])) == (403, "Certificate is invalid on this endpoint")
    pem, key = self_signed(tmp_path, "stranger")
    context = device.context()
    (tmp_path / "s.pem").write_text(pem)
    context.load_cert_chain(tmp_path / "s.pem", key)
    assert said(ask(device, made["roleAlias"], context=context)) == (403, "Certificate is invalid on this endpoint")
    assert said(ask(other, made["roleAlias"], method="POST")) == (400, "Only GET is supported")
    for path in ("/role-aliases//credentials", "/role-aliases/a/b/credentials", "/role-aliases/a"):
        assert ask(other, "", path=path)[0] == 403, path
    assert ask(other, "", path="/role-aliases/%2e%2e/credentials")[0] == 400


def test_calls_are_in_the_audit_log(platform, iot, identity, role, alias, tmp_path, unique):
    """Credentials, refusals and strangers, before they are answered; the credentials themselves are not in it."""
    arn = role(statement("Allow", "iot:ListThings", "*"))
    made = alias(arn)
    device = identity(statement("Allow", "iot:AssumeRoleWithCertificate", made["roleAliasArn"]))
    other, thing = identity(), device.thing()
    status, body, headers = ask(device, made["roleAlias"], thing=thing)
    assert status == 200, body
    assert ask(other, made["roleAlias"])[0] == 403
    pem, key = self_signed(tmp_path, "stranger")
    (tmp_path / "s.pem").write_text(pem)
    context = device.context()
    context.load_cert_chain(tmp_path / "s.pem", key)
    assert ask(device, made["roleAlias"], context=context)[0] == 403

    looked_up = platform.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": made["roleAlias"]}])["Events"]
    records = [json.loads(event["CloudTrailEvent"]) for event in looked_up]
    stranger, refusal, given = [r for r in records if r["eventName"] == "AssumeRoleWithCertificate"]
    assert given["eventSource"] == "sts.amazonaws.com" and given["requestID"] == headers["x-amzn-RequestId"]
    assert given["userIdentity"]["type"] == "Certificate" and given["userIdentity"]["arn"] == device.arn
    assert given["sourceIPAddress"] in ("127.0.0.1", "::1") and "errorCode" not in given
    assert given["requestParameters"] == {"roleAlias": made["roleAlias"], "thingName": thing}
    assert [r["ARN"] for r in given["resources"]] == [
        made["roleAliasArn"], arn, iot.describe_thing(thingName=thing)["thingArn"]]
    assert refusal["errorCode"] == "AccessDeniedException" and refusal["errorMessage"] == "Access Denied"
    assert refusal["userIdentity"]["arn"] == other.arn
    assert stranger["errorMessage"] == "Certificate is invalid on this endpoint"
    assert "arn" not in stranger["userIdentity"]
    for secret in ("secretAccessKey", "sessionToken"):
        assert body["credentials"][secret] not in json.dumps(records)


def test_trust_policies_see_the_request(iam, identity, role, alias, unique):
    made = alias(role(statement("Allow", "iot:ListThings", "*")))
    device = identity(statement("Allow", "iot:AssumeRoleWithCertificate", "*"))
    for addresses, expected in (["127.0.0.0/8", "::1"], 200), (["192.0.2.0/24"], 400):
        iam.update_assume_role_policy(RoleName=f"devices-{unique}", PolicyDocument=trust(PROVIDER, {
            "IpAddress": {"aws:SourceIp": addresses}, "Bool": {"aws:SecureTransport": "true"}}))
        assert ask(device, made["roleAlias"])[0] == expected, addresses


def test_sessions_end_with_their_role(platform, iam, identity, role, alias, unique):
    made = alias(role(statement("Allow", "iot:ListThings", "*")))
    device = identity(statement("Allow", "iot:AssumeRoleWithCertificate", "*"))
    credentials = ask(device, made["roleAlias"])[1]["credentials"]
    things = client(platform, credentials, "iot")
    things.list_things()
    iam.delete_role_policy(RoleName=f"devices-{unique}", PolicyName="p")
    with pytest.raises(ClientError):
        things.list_things()
    forged = {**credentials, "sessionToken": credentials["sessionToken"][:-4] + "AAAA"}
    with pytest.raises(ClientError):
        client(platform, forged, "sts").get_caller_identity()
