# SPDX-License-Identifier: Apache-2.0
"""Just-in-time registration and provisioning: a CA is registered, its devices' first connection does the rest."""
import json
import queue

import pytest

from server_process import wait_until
from test_provisioning import CERTIFICATE, DEVICE_POLICY, Provisioned, role  # noqa: F401, a fixture
from tls_device import TlsDevice, openssl

JIT = json.dumps({"Resources": {
    "thing": {"Type": "AWS::IoT::Thing", "Properties": {
        "ThingName": {"Ref": "AWS::IoT::Certificate::CommonName"},
        "AttributePayload": {"country": {"Ref": "AWS::IoT::Certificate::Country"}}}},
    "certificate": CERTIFICATE,
    "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": DEVICE_POLICY}}}})


class Ca:
    def __init__(self, folder, name):
        self.folder, self.key, self.pem = folder, folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/O=Maker/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", str(self.key),
                "-out", str(self.pem))

    def sign(self, name, subject):
        key, csr, pem = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                "-keyout", str(key), "-out", str(csr))
        openssl("x509", "-req", "-in", str(csr), "-CA", str(self.pem), "-CAkey", str(self.key), "-CAcreateserial",
                "-days", "10", "-out", str(pem))
        return pem.read_text(), key.read_text()

    def register(self, iot, **config):
        code = iot.get_registration_code()["registrationCode"]
        verification, _ = self.sign("verification", f"/CN={code}")
        return iot.register_ca_certificate(caCertificate=self.pem.read_text(), verificationCertificate=verification,
                                           setAsActive=True, allowAutoRegistration=True, **config)["certificateId"]


@pytest.fixture
def ca(iot, tmp_path, unique):
    if not hasattr(iot, "register_ca_certificate"):
        pytest.skip("no CA operations")
    return Ca(tmp_path, f"ca-{unique}")


@pytest.fixture
def device(platform, ca, tmp_path, unique):
    """A certificate of the CA, with the CA behind it as AWS wants it."""
    pem, key = ca.sign(f"d-{unique}", f"/C=DE/O=Maker/CN=d-{unique}")
    return Provisioned(platform, tmp_path, f"chain-{unique}", pem + ca.pem.read_text(), key)


def first_connection_is_refused(connect, device):
    assert connect(device, device.name, connected=False).code != 0


def test_registration_is_announced(iot, ca, device, connect, identity, unique):
    ca_id = ca.register(iot)
    watcher = connect(identity({"Effect": "Allow", "Action": "iot:*", "Resource": "*"}))
    topic = f"$aws/events/certificates/registered/{ca_id}"
    assert watcher.subscribe(topic) == 1
    first_connection_is_refused(connect, device)
    message = watcher.receive(10)
    event = json.loads(message.payload)
    assert message.topic == topic
    assert list(event) == ["certificateId", "caCertificateId", "timestamp", "certificateStatus", "awsAccountId",
                           "certificateRegistrationTimestamp"]
    described = iot.describe_certificate(certificateId=event["certificateId"])["certificateDescription"]
    assert described["status"] == event["certificateStatus"] == "PENDING_ACTIVATION"
    assert described["caCertificateId"] == event["caCertificateId"] == ca_id
    assert isinstance(event["timestamp"], int) and event["certificateRegistrationTimestamp"].isdigit()
    # What the one who hears it does.
    iot.update_certificate(certificateId=event["certificateId"], newStatus="ACTIVE")
    name = f"jit-{unique}"
    iot.create_policy(policyName=name, policyDocument=json.dumps(DEVICE_POLICY))
    iot.attach_policy(policyName=name, target=described["certificateArn"])
    assert connect(device).publish("x", "y")


def wait_for(iot, thing):
    for _ in range(100):
        try:
            return iot.describe_thing(thingName=thing)
        except iot.exceptions.ResourceNotFoundException:
            try:
                queue.Queue().get(timeout=0.05)
            except queue.Empty:
                pass
    raise AssertionError(f"{thing} was not provisioned")


def test_provisioning_by_a_body(iot, ca, device, connect, role, unique):  # noqa: F811
    ca.register(iot, registrationConfig={"templateBody": JIT, "roleArn": role()})
    first_connection_is_refused(connect, device)
    assert wait_for(iot, f"d-{unique}")["attributes"] == {"country": "DE"}
    assert connect(device, f"d-{unique}").publish("x", "y")
    assert len(iot.list_thing_principals(thingName=f"d-{unique}")["principals"]) == 1


def test_first_connections_are_in_the_audit_log(platform, iot, ca, device, connect, role, unique):  # noqa: F811
    ca.register(iot, registrationConfig={"templateBody": JIT, "roleArn": role()})
    first_connection_is_refused(connect, device)
    wait_for(iot, f"d-{unique}")
    [arn] = iot.list_thing_principals(thingName=f"d-{unique}")["principals"]

    def found():
        events = platform.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": arn.split("/")[1]}])["Events"]
        events = [json.loads(event["CloudTrailEvent"]) for event in events]
        return {e["eventName"]: e for e in events if e["userIdentity"].get("arn") == arn and e["eventName"] != "Connect"}
    wait_until(lambda: len(found()) == 2, what="both records")
    records = found()
    assert set(records) == {"RegisterCertificate", "RegisterThing"}
    for record in records.values():
        assert record["userIdentity"]["type"] == "Certificate" and record["sourceIPAddress"] in ("127.0.0.1", "::1")
        assert "errorCode" not in record
    assert [r["ARN"].split(":", 5)[5] for r in records["RegisterThing"]["resources"]] == [
        arn.split(":", 5)[5], f"thing/d-{unique}"]


def test_provisioning_by_a_template(iot, ca, device, connect, role, unique):  # noqa: F811
    iot.create_provisioning_template(templateName=f"J-{unique}", templateBody=JIT, type="JITP", enabled=True,
                                     provisioningRoleArn=role())
    ca.register(iot, registrationConfig={"templateName": f"J-{unique}"})
    first_connection_is_refused(connect, device)
    wait_for(iot, f"d-{unique}")
    assert connect(device).publish("x", "y")


def test_a_strangers_certificate_leaves_nothing(iot, ca, platform, connect, tmp_path, unique):
    ca.register(iot)
    stranger = Ca(tmp_path, f"ca-{unique}-2")
    stranger.key, stranger.pem  # another key under a name of its own
    pem, key = stranger.sign("s", f"/CN=s-{unique}")
    before = len(iot.list_certificates(pageSize=250)["certificates"])
    first_connection_is_refused(connect, Provisioned(platform, tmp_path, "stranger", pem + ca.pem.read_text(), key))
    assert len(iot.list_certificates(pageSize=250)["certificates"]) == before
