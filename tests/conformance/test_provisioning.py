# SPDX-License-Identifier: Apache-2.0
"""Provisioning with stock boto3 and paho: templates, claims, fleet provisioning over MQTT, RegisterThing."""
import json
import time

import pytest

from refusals import pages, refused
from tls_device import TlsDevice, document, openssl, statement

TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
CERTIFICATE = {"Type": "AWS::IoT::Certificate",
               "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}}
DEVICE_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


def body(**resources):
    return json.dumps({
        "Parameters": {"Serial": {"Type": "String"}, "Place": {"Type": "String", "Default": "attic"},
                       "AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Mappings": {"Urls": {"attic": {"url": "https://attic.example"}, "cellar": {"url": "https://cellar.example"}}},
        "Resources": {
            "thing": {"Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": {"Fn::Join": ["", ["dev_", {"Ref": "Serial"}]]},
                "AttributePayload": {"serial": {"Ref": "Serial"}, "place": {"Ref": "Place"}}}},
            "certificate": CERTIFICATE,
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": DEVICE_POLICY}}, **resources},
        "DeviceConfiguration": {"url": {"Fn::FindInMap": ["Urls", {"Ref": "Place"}, "url"]}, "fixed": [1, True]}})


@pytest.fixture
def role(iam, unique):
    """role(*statements) makes a role that trusts IoT; its ARN."""
    made = []

    def make(*statements, trust=TRUST):
        name = f"prov-{len(made)}-{unique}"
        made.append(name)
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="p",
                            PolicyDocument=document(*(statements or [statement("Allow", "iot:*", "*")])))
        return arn
    return make


@pytest.fixture
def template(iot, role, unique):
    name = f"T-{unique}"
    made = iot.create_provisioning_template(templateName=name, templateBody=body(), enabled=True,
                                            provisioningRoleArn=role(), description="of a test")
    assert made["templateName"] == name and made["defaultVersionId"] == 1
    assert made["templateArn"].endswith(f":provisioningtemplate/{name}")
    return name


class Claim:
    """A claim's certificate in the form that TlsDevice takes."""

    def __init__(self, platform, iot, folder, template):
        made = iot.create_provisioning_claim(templateName=template)
        self.id, self.platform, self.name, self.expiration = made["certificateId"], platform, "claim", made["expiration"]
        write(self, folder, f"claim-{self.id[:8]}", made["certificatePem"], made["keyPair"]["PrivateKey"])

    context = None


def write(identity, folder, name, certificate, key):
    from tls_device import Identity
    identity.certificate, identity.key = folder / f"{name}.pem", folder / f"{name}.key"
    identity.certificate.write_text(certificate)
    identity.key.write_text(key)
    identity.context = lambda **more: Identity.context(identity, **more)


class Provisioned:
    def __init__(self, platform, folder, name, certificate, key):
        self.platform, self.name = platform, name
        write(self, folder, name, certificate, key)


@pytest.fixture
def claim(platform, iot, tmp_path, template):
    return Claim(platform, iot, tmp_path, template)


class Talk:
    """Asks on a topic and gives back (accepted, answer)."""

    def __init__(self, device):
        self.device, self.heard = device, set()

    def ask(self, topic, payload=b"{}", decode=json.loads):
        for end in ("accepted", "rejected"):
            if f"{topic}/{end}" not in self.heard:
                assert self.device.subscribe(f"{topic}/{end}") == 1
                self.heard.add(f"{topic}/{end}")
        payload = payload if isinstance(payload, (bytes, str)) else json.dumps(payload)
        assert self.device.publish(topic, payload)
        message = self.device.receive(20)
        assert message.topic in (f"{topic}/accepted", f"{topic}/rejected")
        return message.topic.endswith("accepted"), decode(message.payload)

    def keys(self):
        accepted, answer = self.ask("$aws/certificates/create/json")
        assert accepted, answer
        assert sorted(answer) == ["certificateId", "certificateOwnershipToken", "certificatePem", "privateKey"]
        return answer

    def register(self, template, token, **parameters):
        return self.ask(f"$aws/provisioning-templates/{template}/provision/json",
                        {"certificateOwnershipToken": token, "parameters": parameters})


@pytest.fixture
def talk(connect, claim):
    return Talk(connect(claim, "claim-client"))


def rejected(answer, status, code):
    accepted, body = answer
    assert not accepted and sorted(body) == ["errorCode", "errorMessage", "statusCode"], body
    assert (body["statusCode"], body["errorCode"]) == (status, code), body
    return body["errorMessage"]


def test_a_device_gets_its_identity_by_claim(platform, iot, claim, connect, talk, template, tmp_path, unique):
    keys = talk.keys()
    described = iot.describe_certificate(certificateId=keys["certificateId"])["certificateDescription"]
    assert described["status"] == "PENDING_ACTIVATION"
    accepted, answer = talk.register(template, keys["certificateOwnershipToken"], Serial=unique, Place="cellar")
    assert accepted, answer
    assert answer == {"thingName": f"dev_{unique}",
                      "deviceConfiguration": {"url": "https://cellar.example", "fixed": [1, True]}}
    assert iot.describe_thing(thingName=f"dev_{unique}")["attributes"] == {"serial": unique, "place": "cellar"}
    described = iot.describe_certificate(certificateId=keys["certificateId"])["certificateDescription"]
    assert described["status"] == "ACTIVE"
    assert iot.list_thing_principals(thingName=f"dev_{unique}")["principals"] == [described["certificateArn"]]
    own = Provisioned(platform, tmp_path, f"dev_{unique}", keys["certificatePem"], keys["privateKey"])
    device = connect(own)
    assert device.subscribe("x/y") == 1 and device.publish("x/y", "hello")
    device.receives_only("x/y", "hello")


def test_a_certificate_from_a_request(platform, iot, connect, talk, template, tmp_path, unique):
    key = tmp_path / "own.key"
    csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                  "/CN=mine", "-keyout", str(key))
    accepted, answer = talk.ask("$aws/certificates/create-from-csr/json", {"certificateSigningRequest": csr})
    assert accepted and sorted(answer) == ["certificateId", "certificateOwnershipToken", "certificatePem"]
    accepted, registered = talk.register(template, answer["certificateOwnershipToken"], Serial=unique)
    assert accepted, registered
    own = Provisioned(platform, tmp_path, f"dev_{unique}", answer["certificatePem"], key.read_text())
    assert connect(own).publish("x", "y")


class Cbor:
    """As much of RFC 8949 as these messages need, from the standard's text: maps, text, small integers."""

    @staticmethod
    def dumps(value):
        if isinstance(value, str):
            text = value.encode()
            return b"\x79" + len(text).to_bytes(2, "big") + text
        return bytes([0xa0 + len(value)]) + b"".join(Cbor.dumps(part) for item in value.items() for part in item)

    @staticmethod
    def loads(data):
        value, rest = Cbor.take(data)
        assert rest == b""
        return value

    @staticmethod
    def take(data):
        major, detail, rest = data[0] >> 5, data[0] & 31, data[1:]
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(detail, 0)
        number, rest = (int.from_bytes(rest[:width], "big"), rest[width:]) if width else (detail, rest)
        if major == 0:
            return number, rest
        if major == 3:
            return rest[:number].decode(), rest[number:]
        if major == 7:
            return {20: False, 21: True, 22: None}[detail], rest
        items = []
        for _ in range(number * (2 if major == 5 else 1)):
            item, rest = Cbor.take(rest)
            items.append(item)
        return (dict(zip(items[::2], items[1::2])) if major == 5 else items), rest


def test_cbor_forms(talk, template, unique):
    accepted, keys = talk.ask("$aws/certificates/create/cbor", Cbor.dumps({}), Cbor.loads)
    assert accepted and keys["privateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    topic = f"$aws/provisioning-templates/{template}/provision/cbor"
    request = {"certificateOwnershipToken": keys["certificateOwnershipToken"], "parameters": {"Serial": unique}}
    accepted, answer = talk.ask(topic, Cbor.dumps(request), Cbor.loads)
    assert accepted and answer == {"thingName": f"dev_{unique}",
                                   "deviceConfiguration": {"url": "https://attic.example", "fixed": [1, True]}}
    rejected(talk.ask(topic, Cbor.dumps(request), Cbor.loads), 400, "InvalidCertificateOwnershipToken")
    rejected(talk.ask(topic, b"\xff\xff", Cbor.loads), 400, "InvalidPayload")


def test_calls_are_in_the_audit_log(platform, iot, claim, talk, template, tmp_path, unique):
    """What the claim made and was refused, before it was answered; no key, token or parameter is in it."""
    keys = talk.keys()
    csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                  "/CN=mine", "-keyout", str(tmp_path / "own.key"))
    accepted, own = talk.ask("$aws/certificates/create-from-csr/json", {"certificateSigningRequest": csr})
    assert accepted, own
    accepted, answer = talk.register(template, keys["certificateOwnershipToken"], Serial=unique, Place="cellar")
    assert accepted, answer
    rejected(talk.register(template, own["certificateOwnershipToken"], Place="cellar"), 400, "InvalidParameters")
    rejected(talk.ask("$aws/certificates/create/json", b"not json"), 400, "InvalidPayload")

    name = iot.describe_certificate(certificateId=claim.id)["certificateDescription"]["certificateArn"]
    pages = platform.client("cloudtrail").get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventSource", "AttributeValue": "iot.amazonaws.com"}])
    records = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    records = [r for r in records if r["userIdentity"].get("arn") == name][::-1]
    assert [(r["eventName"], r.get("errorCode")) for r in records] == [
        ("CreateKeysAndCertificate", None), ("CreateCertificateFromCsr", None), ("RegisterThing", None),
        ("RegisterThing", "InvalidParameters"), ("CreateKeysAndCertificate", "InvalidPayload")]
    for record in records:
        assert record["userIdentity"]["type"] == "Certificate" and record["sourceIPAddress"] in ("127.0.0.1", "::1")
        assert record["additionalEventData"].items() >= {"protocol": "MQTT", "clientId": "claim-client"}.items()
        assert record["readOnly"] is False and record["managementEvent"] is True
    made, requested, registered = ([r["ARN"].split(":", 5)[5] for r in record["resources"]] for record in records[:3])
    assert made == [f"cert/{keys['certificateId']}"] and requested == [f"cert/{own['certificateId']}"]
    assert registered == [f"provisioningtemplate/{template}", f"cert/{keys['certificateId']}", f"thing/dev_{unique}"]
    assert records[1]["requestParameters"] == {"certificateSigningRequest": csr}
    hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert records[2]["requestParameters"] == {"templateName": template,
                                               "parameters": {"Serial": hidden, "Place": hidden}}
    text = json.dumps(records)
    for secret in (keys["certificateOwnershipToken"], own["certificateOwnershipToken"], "PRIVATE KEY", "cellar"):
        assert secret not in text


def test_replayed_ownership_token(iot, talk, template, unique):
    token = talk.keys()["certificateOwnershipToken"]
    assert talk.register(template, token, Serial=unique)[0]
    rejected(talk.register(template, token, Serial=f"{unique}-2"), 400, "InvalidCertificateOwnershipToken")
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=f"dev_{unique}-2")
    assert rejected(talk.register(template, ""), 400, "InvalidCertificateOwnershipToken") == \
        "Certificate ownership token cannot be empty."


def test_requests_that_are_refused(talk, template, unique):
    token = talk.keys()["certificateOwnershipToken"]
    rejected(talk.register(template, token), 400, "InvalidParameters")
    rejected(talk.register(template, token, Serial="a/b"), 400, "InvalidParameters")
    rejected(talk.register(template, token, Serial="*"), 400, "InvalidParameters")
    rejected(talk.register(template, token, Serial=7), 400, "InvalidParameters")
    rejected(talk.register(template, token, Serial=unique, **{"AWS::IoT::Certificate::Id": "0" * 64}), 400,
             "InvalidParameters")
    topic = f"$aws/provisioning-templates/{template}/provision/json"
    rejected(talk.ask(topic, b"not json"), 400, "InvalidPayload")
    rejected(talk.ask(topic, b"[]"), 400, "InvalidPayload")
    rejected(talk.ask(topic, {"certificateOwnershipToken": token, "more": 1}), 400, "InvalidPayload")
    rejected(talk.ask("$aws/certificates/create-from-csr/json", {"certificateSigningRequest": "no"}), 400,
             "InvalidCertificateSigningRequest")
    rejected(talk.ask("$aws/certificates/create-from-csr/json", {}), 400, "InvalidPayload")
    assert talk.register(template, token, Serial=unique)[0], "the token is still good"


def test_template_of_another_name_with_a_claim(iot, role, connect, claim, template, unique):
    other = f"O-{unique}"
    iot.create_provisioning_template(templateName=other, templateBody=body(), enabled=True, provisioningRoleArn=role())
    device = connect(claim, "one")
    assert device.subscribe(f"$aws/provisioning-templates/{other}/provision/json/accepted") in (0x80, None)
    device = connect(claim, "two")
    assert not device.publish(f"$aws/provisioning-templates/{other}/provision/json", "{}")
    # Even with a policy that would let it.
    name = f"wide-{unique}"
    iot.create_policy(policyName=name, policyDocument=document(statement("Allow", "iot:*", "*")))
    described = iot.describe_certificate(certificateId=claim.id)["certificateDescription"]
    iot.attach_policy(policyName=name, target=described["certificateArn"])
    talk = Talk(connect(claim, "three"))
    message = rejected(talk.register(other, talk.keys()["certificateOwnershipToken"], Serial=unique), 403, "AccessDenied")
    assert message == "The provisioning claim is for another template."


def test_a_claim_may_do_nothing_else(claim, connect):
    assert abs(claim.expiration.timestamp() - time.time() - 300) < 30
    assert not connect(claim, "one").publish("x/y", "z")
    assert connect(claim, "two").subscribe("x/y") in (0x80, None)


def test_disabled_template_and_hook_without_a_function(iot, talk, template, unique):
    token = talk.keys()["certificateOwnershipToken"]
    iot.update_provisioning_template(templateName=template, enabled=False)
    rejected(talk.register(template, token, Serial=unique), 400, "InvalidRequest")
    arn = iot.describe_provisioning_template(templateName=template)["templateArn"]
    function = arn.split("provisioningtemplate")[0].replace(":iot:", ":lambda:") + "function:nobody"
    iot.update_provisioning_template(templateName=template, enabled=True, preProvisioningHook={"targetArn": function})
    assert iot.describe_provisioning_template(templateName=template)["preProvisioningHook"] == \
        {"payloadVersion": "2020-04-01", "targetArn": function}
    rejected(talk.register(template, token, Serial=unique), 403, "AccessDenied")
    iot.update_provisioning_template(templateName=template, removePreProvisioningHook=True)
    assert "preProvisioningHook" not in iot.describe_provisioning_template(templateName=template)
    assert talk.register(template, token, Serial=unique)[0]


def test_role_that_does_not_trust_iot(iot, role, unique):
    lambda_trust = json.loads(json.dumps(TRUST).replace("iot.amazonaws.com", "lambda.amazonaws.com"))
    refused("InvalidRequestException", 400, iot.create_provisioning_template, templateName=f"N-{unique}",
            templateBody=body(), provisioningRoleArn=role(trust=lambda_trust))


def test_role_that_may_not(iot, role, talk, template, unique):
    iot.update_provisioning_template(templateName=template,
                                     provisioningRoleArn=role(statement("Allow", "iot:CreateThing", "*")))
    token = talk.keys()["certificateOwnershipToken"]
    message = rejected(talk.register(template, token, Serial=unique), 403, "AccessDenied")
    assert "iot:UpdateCertificate" in message
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=f"dev_{unique}")


def test_templates_and_versions(iot, role, template, unique):
    described = iot.describe_provisioning_template(templateName=template)
    assert (described["type"], described["enabled"], described["description"]) == ("FLEET_PROVISIONING", True, "of a test")
    assert described["templateBody"] == body() and described["defaultVersionId"] == 1
    made = iot.create_provisioning_template_version(templateName=template, templateBody=body(), setAsDefault=True)
    assert (made["versionId"], made["isDefaultVersion"]) == (2, True)
    for _ in range(3):
        iot.create_provisioning_template_version(templateName=template, templateBody=body())
    refused("VersionsLimitExceededException", 409, iot.create_provisioning_template_version, templateName=template,
            templateBody=body())
    found = pages(iot, "list_provisioning_template_versions", "versions", templateName=template)
    assert [(v["versionId"], v["isDefaultVersion"]) for v in found] == [(1, False), (2, True), (3, False), (4, False), (5, False)]
    refused("DeleteConflictException", 409, iot.delete_provisioning_template_version, templateName=template, versionId=2)
    iot.delete_provisioning_template_version(templateName=template, versionId=1)
    refused("ResourceNotFoundException", 404, iot.describe_provisioning_template_version, templateName=template, versionId=1)
    iot.update_provisioning_template(templateName=template, defaultVersionId=3)
    assert iot.describe_provisioning_template_version(templateName=template, versionId=3)["isDefaultVersion"]
    refused("ResourceAlreadyExistsException", 409, iot.create_provisioning_template, templateName=template,
            templateBody=body(), provisioningRoleArn=role())
    assert template in [t["templateName"] for t in pages(iot, "list_provisioning_templates", "templates")]
    iot.delete_provisioning_template(templateName=template)
    refused("ResourceNotFoundException", 404, iot.describe_provisioning_template, templateName=template)
    refused("ResourceNotFoundException", 404, iot.create_provisioning_claim, templateName=template)


def test_tags_of_a_template(iot, role, unique):
    name = f"G-{unique}"
    arn = iot.create_provisioning_template(templateName=name, templateBody=body(), provisioningRoleArn=role(),
                                           tags=[{"Key": "team", "Value": "a"}])["templateArn"]
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "team", "Value": "a"}]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "more", "Value": "b"}])
    iot.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "more", "Value": "b"}]


def test_hostile_template_bodies(iot, role, unique):
    arn = role()
    deep = "\"x\""
    for _ in range(20):
        deep = '{"Fn::Join":["",[' + deep + "]]}"
    named = '{"Resources":{"c":' + json.dumps(CERTIFICATE) + ',"t":{"Type":"AWS::IoT::Thing","Properties":{"ThingName":%s}}}}'
    for text in ["", "{", "[]", "null", "{}", "[" * 5000, named % deep, named % '{"Ref":"Undeclared"}',
                 named % '{"Fn::ImportValue":"x"}', named % '{"Ref":{"Ref":"x"}}']:
        answer = refused("InvalidRequestException", 400, iot.create_provisioning_template, templateName=f"H-{unique}",
                         templateBody=text, provisioningRoleArn=arn)
        assert "template body" in answer["Error"]["Message"]
    answer = refused("InvalidRequestException", 400, iot.create_provisioning_template, templateName=f"H-{unique}",
                     templateBody=named % '{"Fn::ImportValue":"x"}', provisioningRoleArn=arn)
    assert "Fn::ImportValue" in answer["Error"]["Message"]


def test_pass_role_and_tagging_are_asked_for(iot, iam, ann, role, unique):
    arn = role()
    create = statement("Allow", "iot:CreateProvisioningTemplate", "*")
    own = ann("iot")

    def may(*statements):
        iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document(*statements))
    may(create)
    wanted = {"templateName": f"P-{unique}", "templateBody": body(), "provisioningRoleArn": arn}
    assert "iam:PassRole" in refused("AccessDeniedException", 403, own.create_provisioning_template, **wanted)["Error"]["Message"]
    may(create, statement("Allow", "iam:PassRole", arn))
    tagged = {**wanted, "tags": [{"Key": "k", "Value": "v"}]}
    assert "iot:TagResource" in refused("AccessDeniedException", 403, own.create_provisioning_template, **tagged)["Error"]["Message"]
    own.create_provisioning_template(**wanted)


# ---- RegisterThing

REGISTER = {"Parameters": {"Name": {"Type": "String"}, "CSR": {"Type": "String"}}, "Resources": {
    "thing": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": {"Ref": "Name"}}},
    "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateSigningRequest": {"Ref": "CSR"}}},
    "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": json.dumps(DEVICE_POLICY)}}}}


@pytest.fixture
def csr(tmp_path):
    return openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                   "-keyout", str(tmp_path / "csr.key"))


def test_register_thing(iot, csr, unique):
    made = iot.register_thing(templateBody=json.dumps(REGISTER), parameters={"Name": unique, "CSR": csr})
    assert sorted(made["resourceArns"]) == ["certificate", "policy", "thing"]
    assert made["resourceArns"]["thing"].endswith(f":thing/{unique}")
    assert made["certificatePem"].startswith("-----BEGIN CERTIFICATE-----")
    principal = made["resourceArns"]["certificate"]
    assert iot.list_thing_principals(thingName=unique)["principals"] == [principal]
    assert [p["policyArn"] for p in iot.list_attached_policies(target=principal)["policies"]] == [made["resourceArns"]["policy"]]
    refused("InvalidRequestException", 400, iot.register_thing, templateBody=json.dumps(REGISTER),
            parameters={"Name": unique, "CSR": csr, "Other": "x"})


def test_register_thing_acts_as_its_caller(iot, iam, ann, csr, unique):
    own = ann("iot")
    wanted = {"templateBody": json.dumps(REGISTER), "parameters": {"Name": unique, "CSR": csr}}
    refused("AccessDeniedException", 403, own.register_thing, **wanted)
    actions = ["iot:RegisterThing", "iot:CreateThing", "iot:CreateCertificateFromCsr", "iot:CreatePolicy",
               "iot:AttachPolicy", "iot:AttachThingPrincipal"]
    for missing in actions[1:]:
        if missing == "iot:CreatePolicy":
            continue  # the policy may be there already
        iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document(
            statement("Allow", [a for a in actions if a != missing], "*")))
        assert missing in refused("AccessDeniedException", 403, own.register_thing, **wanted)["Error"]["Message"]
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName=unique)
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document(statement("Allow", actions, "*")))
    own.register_thing(**wanted)


def test_register_thing_overrides(iot, unique):
    iot.create_thing(thingName=unique, attributePayload={"attributes": {"a": "1", "b": "1"}})

    def register(**settings):
        return {"templateBody": json.dumps({"Resources": {"t": {
            "Type": "AWS::IoT::Thing", "Properties": {"ThingName": unique, "AttributePayload": {"a": "2"}},
            "OverrideSettings": settings}}})}

    def attributes():
        return iot.describe_thing(thingName=unique)["attributes"]
    iot.register_thing(**register())
    assert attributes() == {"a": "1", "b": "1"}
    refused("ResourceRegistrationFailureException", 400, iot.register_thing, **register(AttributePayload="FAIL"))
    iot.register_thing(**register(AttributePayload="MERGE"))
    assert attributes() == {"a": "2", "b": "1"}
    iot.register_thing(**register(AttributePayload="REPLACE"))
    assert attributes() == {"a": "2"}
