# SPDX-License-Identifier: Apache-2.0
"""Certificates, policies with versions and targets, and the endpoint, through boto3 and openssl."""
import datetime
import hashlib
import json
import re
import ssl

import pytest

from refusals import pages, refused
from tls_device import Identity, document, openssl, self_signed, statement

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
CONFLICT = ("DeleteConflictException", 409)
NO_CERTIFICATE = "0" * 64
POLICY = document(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${iot:ClientId}"))


@pytest.fixture(scope="module")
def shared(iot):
    """A certificate to attach things to; tests leave nothing attached."""
    return iot.create_keys_and_certificate(setAsActive=True)


@pytest.fixture
def policy(iot, unique):
    iot.create_policy(policyName=unique, policyDocument=POLICY)
    return unique


# ---- issuing


def test_created_key_belongs_to_the_certificate(iot, platform, tmp_path):
    made = iot.create_keys_and_certificate()
    pem, pair = made["certificatePem"], made["keyPair"]
    assert made["certificateArn"] == (f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:cert/"
                                      + made["certificateId"])
    assert made["certificateId"] == hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    assert pair["PrivateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    public = openssl("x509", "-pubkey", "-noout", input=pem)
    assert openssl("rsa", "-pubout", input=pair["PrivateKey"]) == public == pair["PublicKey"]
    text = openssl("x509", "-noout", "-text", input=pem)
    assert "Public-Key: (2048 bit)" in text and ("sha256WithRSA" in text or "ecdsa-with-SHA256" in text)
    assert "CN = AWS IoT Certificate" in openssl("x509", "-noout", "-subject", input=pem)
    shown = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert shown["status"] == "INACTIVE"
    others = iot.create_keys_and_certificate()
    assert others["certificateId"] != made["certificateId"] and others["keyPair"] != pair


def test_description(iot, platform, shared):
    shown = iot.describe_certificate(certificateId=shared["certificateId"])["certificateDescription"]
    assert shown["certificateArn"] == shared["certificateArn"] and shown["certificatePem"] == shared["certificatePem"]
    assert shown["status"] == "ACTIVE" and shown["customerVersion"] == 1 and shown["certificateMode"] == "DEFAULT"
    assert shown["ownedBy"] == platform.environment["MUSTER_ACCOUNT_ID"]
    assert shown["validity"]["notBefore"] < shown["creationDate"] < shown["validity"]["notAfter"]
    assert shown["validity"]["notAfter"].astimezone(datetime.timezone.utc).isoformat() == "2049-12-31T23:59:59+00:00"
    assert re.fullmatch(r"[0-9a-f-]{36}", shown["generationId"])


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_request_is_signed_for_its_own_key(iot, platform, tmp_path, unique, kind):
    key, csr = tmp_path / "own.key", tmp_path / "own.csr"
    how = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("req", "-new", "-newkey", *how, "-nodes", "-subj", "/O=Acme/CN=box-9", "-keyout", str(key), "-out",
            str(csr))
    made = iot.create_certificate_from_csr(certificateSigningRequest=csr.read_text(), setAsActive=True)
    assert "keyPair" not in made
    public = openssl("x509", "-pubkey", "-noout", input=made["certificatePem"])
    assert public == openssl("req", "-in", str(csr), "-noout", "-pubkey")
    assert "box-9" in openssl("x509", "-noout", "-subject", input=made["certificatePem"])
    # The same request gives another certificate each time.
    again = iot.create_certificate_from_csr(certificateSigningRequest=csr.read_text())
    assert again["certificateId"] != made["certificateId"]
    # It works in TLS.
    device = Identity(platform, tmp_path, f"csr-{unique}", statement("Allow", "iot:*", "*"), iot=iot)
    device.certificate.write_text(made["certificatePem"])
    device.key.write_text(key.read_text())
    iot.attach_policy(policyName=device.policy, target=made["certificateArn"])
    assert device.https("POST", "/topics/a?qos=1", b"x")[0] == 200


@pytest.mark.parametrize("break_it", [
    lambda csr: "junk", lambda csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    lambda csr: csr[:200] + ("A" if csr[200] != "A" else "B") + csr[201:], lambda csr: csr.replace("REQUEST", "")])
def test_broken_requests(iot, tmp_path, break_it):
    csr = tmp_path / "c.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a",
            "-keyout", str(tmp_path / "k"), "-out", str(csr))
    refused(*INVALID, iot.create_certificate_from_csr, certificateSigningRequest=break_it(csr.read_text()))


def test_weak_request_is_refused(iot, tmp_path):
    csr = tmp_path / "c.csr"
    openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=a", "-keyout", str(tmp_path / "k"), "-out",
            str(csr))
    refused(*INVALID, iot.create_certificate_from_csr, certificateSigningRequest=csr.read_text())


# ---- registering


def test_registering_without_ca(iot, tmp_path, unique):
    pem, _ = self_signed(tmp_path, unique)
    made = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    shown = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert shown["status"] == "ACTIVE" and shown["certificateMode"] == "SNI_ONLY"
    assert "caCertificateId" not in shown
    error = refused(*EXISTS, iot.register_certificate_without_ca, certificatePem=pem)
    assert error["resourceArn"] == made["certificateArn"] and error["resourceId"] == made["certificateId"]
    other, _ = self_signed(tmp_path, "inactive")
    inactive = iot.register_certificate_without_ca(certificatePem=other, status="INACTIVE")
    shown = iot.describe_certificate(certificateId=inactive["certificateId"])["certificateDescription"]
    assert shown["status"] == "INACTIVE"


@pytest.mark.parametrize("body", [None, "AAAA", "A" * 60000], ids=["junk", "short", "long"])
def test_broken_certificates(iot, body):
    pem = "junk" if body is None else f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    error = refused("CertificateValidationException", 400, iot.register_certificate_without_ca, certificatePem=pem)
    assert len(error["Error"]["Message"]) < 2000


# ---- life of a certificate


def test_status_and_deletion(iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    identifier = made["certificateId"]

    def shown():
        return iot.describe_certificate(certificateId=identifier)["certificateDescription"]
    refused("CertificateStateException", 406, iot.delete_certificate, certificateId=identifier)
    refused("CertificateStateException", 406, iot.delete_certificate, certificateId=identifier, forceDelete=True)
    for number, status in enumerate(["INACTIVE", "ACTIVE", "REVOKED"]):
        iot.update_certificate(certificateId=identifier, newStatus=status)
        assert shown()["status"] == status and shown()["customerVersion"] == 2 + number
    assert shown()["lastModifiedDate"] >= shown()["creationDate"]
    for status in ("PENDING_TRANSFER", "REGISTER_INACTIVE", "PENDING_ACTIVATION", "GONE"):
        refused(*INVALID, iot.update_certificate, certificateId=identifier, newStatus=status)
    iot.delete_certificate(certificateId=identifier)
    for call, more in ((iot.describe_certificate, {}), (iot.delete_certificate, {}),
                       (iot.update_certificate, {"newStatus": "ACTIVE"})):
        refused(*MISSING, call, certificateId=identifier, **more)
    refused(*INVALID, iot.describe_certificate, certificateId="g" * 64)


def test_deletion_waits_for_policies_and_things(iot, policy, unique):
    made = iot.create_keys_and_certificate()
    identifier, arn = made["certificateId"], made["certificateArn"]
    iot.create_thing(thingName=unique)
    iot.attach_policy(policyName=policy, target=arn)
    refused(*CONFLICT, iot.delete_certificate, certificateId=identifier)
    iot.attach_thing_principal(thingName=unique, principal=arn)
    iot.detach_policy(policyName=policy, target=arn)
    refused(*CONFLICT, iot.delete_certificate, certificateId=identifier)
    refused(*INVALID, iot.delete_thing, thingName=unique)
    refused(*CONFLICT, iot.delete_certificate, certificateId=identifier, forceDelete=True)  # attached to a thing
    iot.detach_thing_principal(thingName=unique, principal=arn)
    iot.attach_policy(policyName=policy, target=arn)
    iot.delete_certificate(certificateId=identifier, forceDelete=True)
    assert iot.list_thing_principals(thingName=unique)["principals"] == []
    assert iot.list_targets_for_policy(policyName=policy)["targets"] == []
    iot.delete_policy(policyName=policy)
    iot.delete_thing(thingName=unique)


def test_listing(iot, tmp_path):
    made = []
    for number in range(4):
        pem, _ = self_signed(tmp_path, f"l{number}")
        made.append(iot.register_certificate_without_ca(certificatePem=pem, status="INACTIVE")["certificateId"])
    for ascending in (True, False):
        listed = pages(iot, "list_certificates", "certificates", ascendingOrder=ascending)
        found = [c["certificateId"] for c in listed]
        assert [i for i in found if i in made] == (made if ascending else made[::-1])
        assert len(found) == len(set(found))
    one = next(c for c in listed if c["certificateId"] == made[0])
    assert one["status"] == "INACTIVE" and one["certificateArn"].endswith(made[0]) and one["creationDate"].year > 2000
    refused(*INVALID, iot.list_certificates, pageSize=251)
    refused(*INVALID, iot.list_certificates, marker="AAAA")


def test_things_of_a_principal(iot, shared, unique):
    arn = shared["certificateArn"]
    names = [f"{unique}-{n}" for n in range(3)]
    for name in names:
        iot.create_thing(thingName=name)
        for _ in range(2):
            iot.attach_thing_principal(thingName=name, principal=arn)
    assert sorted(pages(iot, "list_principal_things", "things", principal=arn)) == names
    assert iot.list_thing_principals(thingName=names[0])["principals"] == [arn]
    for name in names:
        iot.detach_thing_principal(thingName=name, principal=arn)
    assert iot.list_principal_things(principal=arn)["things"] == []
    missing = arn[:-64] + NO_CERTIFICATE
    refused(*MISSING, iot.attach_thing_principal, thingName=names[0], principal=missing)
    refused(*MISSING, iot.attach_thing_principal, thingName=f"no-{unique}", principal=arn)
    refused(*INVALID, iot.attach_thing_principal, thingName=names[0], principal="junk")


# ---- policies


def test_policy_is_made_once_as_it_was_written(iot, platform, unique):
    spaced = json.dumps(json.loads(POLICY), indent=4)
    made = iot.create_policy(policyName=unique, policyDocument=spaced, tags=[{"Key": "a", "Value": "1"}])
    arn = f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:policy/{unique}"
    del made["ResponseMetadata"]
    assert made == {"policyName": unique, "policyArn": arn, "policyDocument": spaced, "policyVersionId": "1"}
    shown = iot.get_policy(policyName=unique)
    assert shown["policyDocument"] == spaced and shown["defaultVersionId"] == "1" and shown["policyArn"] == arn
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "1"}]
    error = refused(*EXISTS, iot.create_policy, policyName=unique, policyDocument=spaced)
    assert unique in error["Error"]["Message"]
    iot.delete_policy(policyName=unique)
    for call in (iot.get_policy, iot.delete_policy, iot.list_policy_versions, iot.list_targets_for_policy):
        refused(*MISSING, call, policyName=unique)


@pytest.mark.parametrize("text", [
    "junk", "{}", "[]", '{"Version":"2012-10-17","Statement":[]}', '{"Version":"2020-01-01","Statement":[]}',
    document(statement("Maybe", "iot:Connect", "*")), document(statement("Allow", "iot:Connect", "*", Extra="x")),
    document({"Effect": "Allow", "Action": "iot:Connect"}), document({"Effect": "Allow", "Resource": "*"}),
    document(statement("Allow", "iot:Connect", "*", Principal="*")),
    document(statement("Allow", "iot:Connect", "*", Condition={"NoSuchOperator": {"iot:ClientId": "x"}})),
    document(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/" + "x" * 2100)),
    POLICY + "x"], ids=range(13))
def test_malformed_policies(iot, unique, text):
    refused("MalformedPolicyException", 400, iot.create_policy, policyName=unique, policyDocument=text)
    refused(*MISSING, iot.get_policy, policyName=unique)


def test_versions(iot, policy):
    def versions():
        listed = iot.list_policy_versions(policyName=policy)["policyVersions"]
        return [(v["versionId"], v["isDefaultVersion"]) for v in listed]
    documents = {"1": POLICY}
    for number in "2345":
        documents[number] = document(statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{number}"))
        made = iot.create_policy_version(policyName=policy, policyDocument=documents[number],
                                         setAsDefault=number == "3")
        assert made["policyVersionId"] == number and made["isDefaultVersion"] == (number == "3")
        assert made["policyDocument"] == documents[number]
    refused("VersionsLimitExceededException", 409, iot.create_policy_version, policyName=policy, policyDocument=POLICY)
    assert sorted(versions()) == [(n, n == "3") for n in "12345"]
    assert iot.get_policy(policyName=policy)["policyDocument"] == documents["3"]
    for number, text in documents.items():
        shown = iot.get_policy_version(policyName=policy, policyVersionId=number)
        assert shown["policyDocument"] == text and shown["isDefaultVersion"] == (number == "3")
    refused(*CONFLICT, iot.delete_policy_version, policyName=policy, policyVersionId="3")
    refused(*CONFLICT, iot.delete_policy, policyName=policy)
    iot.delete_policy_version(policyName=policy, policyVersionId="1")
    made = iot.create_policy_version(policyName=policy, policyDocument=POLICY)
    assert made["policyVersionId"] == "6"  # never again 1
    iot.set_default_policy_version(policyName=policy, policyVersionId="6")
    for call in (iot.get_policy_version, iot.delete_policy_version, iot.set_default_policy_version):
        refused(*MISSING, call, policyName=policy, policyVersionId="1")
        refused(*INVALID, call, policyName=policy, policyVersionId="x")
    refused("MalformedPolicyException", 400, iot.create_policy_version, policyName=policy, policyDocument="{}")
    for number in "2345":
        iot.delete_policy_version(policyName=policy, policyVersionId=number)
    iot.delete_policy(policyName=policy)


def test_targets(iot, shared, policy, unique):
    arn = shared["certificateArn"]
    group = iot.create_thing_group(thingGroupName=unique)["thingGroupArn"]
    for target in (arn, group):
        for _ in range(2):
            iot.attach_policy(policyName=policy, target=target)
        attached = pages(iot, "list_attached_policies", "policies", target=target)
        assert [p["policyName"] for p in attached] == [policy]
        assert attached[0]["policyArn"].endswith(f":policy/{policy}")
    assert sorted(pages(iot, "list_targets_for_policy", "targets", size=1, policyName=policy)) == sorted([arn, group])
    refused(*CONFLICT, iot.delete_policy, policyName=policy)
    child = iot.create_thing_group(thingGroupName=f"{unique}-c", parentGroupName=unique)["thingGroupArn"]
    assert iot.list_attached_policies(target=child)["policies"] == []
    assert [p["policyName"] for p in iot.list_attached_policies(target=child, recursive=True)["policies"]] == [policy]
    for target in (arn, group):
        for _ in range(2):
            iot.detach_policy(policyName=policy, target=target)
    assert iot.list_targets_for_policy(policyName=policy)["targets"] == []
    for call in (iot.attach_policy, iot.detach_policy):
        refused(*MISSING, call, policyName=f"no-{unique}", target=arn)
        refused(*MISSING, call, policyName=policy, target=arn[:-64] + NO_CERTIFICATE)
        refused(*INVALID, call, policyName=policy, target="junk")


def test_older_operations_on_principals(iot, shared, policy):
    arn = shared["certificateArn"]
    iot.attach_principal_policy(policyName=policy, principal=arn)
    assert [p["policyName"] for p in iot.list_principal_policies(principal=arn)["policies"]] == [policy]
    assert iot.list_policy_principals(policyName=policy)["principals"] == [arn]
    effective = iot.get_effective_policies(principal=arn)["effectivePolicies"]
    assert [(p["policyName"], p["policyDocument"]) for p in effective] == [(policy, POLICY)]
    iot.detach_principal_policy(policyName=policy, principal=arn)
    assert iot.list_principal_policies(principal=arn)["policies"] == []


def test_policies_of_a_target_are_limited(iot, shared, unique):
    arn, names = shared["certificateArn"], [f"{unique}-{n}" for n in range(11)]
    for name in names:
        iot.create_policy(policyName=name, policyDocument=POLICY)
    for name in names[:10]:
        iot.attach_policy(policyName=name, target=arn)
    refused("LimitExceededException", 410, iot.attach_policy, policyName=names[10], target=arn)
    listed = [p["policyName"] for p in pages(iot, "list_attached_policies", "policies", size=3, target=arn)]
    assert sorted(listed) == sorted(names[:10])
    for name in names[:10]:
        iot.detach_policy(policyName=name, target=arn)
    ascending = [p["policyName"] for p in pages(iot, "list_policies", "policies", size=4, ascendingOrder=True)]
    descending = [p["policyName"] for p in pages(iot, "list_policies", "policies", size=4, ascendingOrder=False)]
    assert set(names) <= set(ascending) and descending == ascending[::-1] and len(set(ascending)) == len(ascending)


# ---- endpoint


def test_endpoint_is_where_devices_connect(iot, platform):
    host = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert host == platform.environment["MUSTER_MQTT_HOST"] == iot.describe_endpoint()["endpointAddress"]
    assert iot.describe_endpoint(endpointType="iot:Data")["endpointAddress"] == host
    for kind in ("iot:Jobs", "iot:CredentialProvider"):
        assert iot.describe_endpoint(endpointType=kind)["endpointAddress"].split(":")[0] == host
    for kind in ("iot:Nonsense", "", "iot:data-ats"):
        refused(*INVALID, iot.describe_endpoint, endpointType=kind)


def test_another_spelling_of_an_id_is_not_found(iot, iam, ann, platform):
    made = iot.create_keys_and_certificate(setAsActive=True)
    denied = document(statement("Allow", "iot:*", "*"), statement("Deny", "iot:*", made["certificateArn"]))
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=denied)
    own, id_ = ann("iot"), made["certificateId"]
    refused("AccessDeniedException", 403, own.update_certificate, certificateId=id_, newStatus="REVOKED")
    for spelling in (id_.upper(), "0x" + id_[2:]):
        refused(*MISSING, own.update_certificate, certificateId=spelling, newStatus="REVOKED")
        refused(*MISSING, own.describe_certificate, certificateId=spelling)
        refused(*MISSING, own.delete_certificate, certificateId=spelling)
        refused(*MISSING, own.transfer_certificate, certificateId=spelling,
                targetAwsAccount=platform.environment["MUSTER_ACCOUNT_ID"])
        arn = made["certificateArn"].replace(id_, spelling)
        refused(*INVALID, own.list_attached_policies, target=arn)
        refused(*INVALID, own.list_principal_things, principal=arn)
    assert iot.describe_certificate(certificateId=id_)["certificateDescription"]["status"] == "ACTIVE"
