# SPDX-License-Identifier: Apache-2.0
"""The identity clients of the AWS IoT device SDK v2 for JavaScript, both generations (v1: IotIdentityClient, v2:
IotIdentityClientv2) on both of its MQTT clients: fleet provisioning with a claim certificate."""
import json
import os
import tempfile
import uuid

import pytest

from brokers import document, openssl, statement
from programs import HERE, Plan

pytestmark = pytest.mark.skipif(os.environ.get("MUSTER_INTEROP_BROKER") == "mosquitto",
                                reason="mosquitto provisions nobody")
SCENARIOS = ["keys", "rejections", "register", "from_csr"]
TEMPLATE = {
    "Parameters": {"Serial": {"Type": "String"}, "Place": {"Type": "String", "Default": "attic"}},
    "Mappings": {"Urls": {"attic": {"url": "https://attic.example"}}},
    "Resources": {
        "thing": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": {"Fn::Sub": "dev_${Serial}"}}},
        "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
            "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}}},
    "DeviceConfiguration": {"url": {"Fn::FindInMap": ["Urls", {"Ref": "Place"}, "url"]}}}
MADE = {}  # kind -> (client, serial), to look from the operator's side


def program(broker, style, version):
    assert (HERE / "node_modules").is_dir(), f"npm ci has not been run in {HERE}; ./dev test does"
    name = f"sdk-{uuid.uuid4().hex[:10]}"
    iot, iam = broker.platform.client("iot"), broker.platform.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "iot.amazonaws.com"}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(statement("Allow", "iot:*", "*")))
    iot.create_provisioning_template(templateName=name, templateBody=json.dumps(TEMPLATE), enabled=True,
                                     provisioningRoleArn=role)
    claim = iot.create_provisioning_claim(templateName=name)
    folder = tempfile.mkdtemp(prefix="muster-claim-")
    files = {"certificate": f"{folder}/claim.pem", "key": f"{folder}/claim.key"}
    for what, text in (("certificate", claim["certificatePem"]), ("key", claim["keyPair"]["PrivateKey"])):
        with open(files[what], "w") as file:
            file.write(text)
    csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=own",
                  "-keyout", f"{folder}/own.key")
    MADE[style, version] = iot, name
    options = {"style": style, "version": version, "template": name, "serial": name, "csr": csr, "clientId": name,
               "host": broker.host, "port": broker.ports["tls"], "ca": broker.files["ca"], **files}
    return ["node", str(HERE / "identity_scenarios.mjs"), json.dumps(options)]


PLAN = Plan(program)
KINDS = [(style, version) for style in ("v1", "v2") for version in (4, 5)]


@pytest.mark.parametrize("transport,version,scenario", [
    pytest.param(*kind, scenario, id=f"{kind[0]}-{kind[1]}-{scenario}") for kind in KINDS for scenario in SCENARIOS])
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)


@pytest.mark.parametrize("transport,version", [pytest.param(*kind, id=f"{kind[0]}-{kind[1]}") for kind in KINDS])
def test_operator_sees_the_devices(broker, transport, version):
    PLAN.running[transport, version].result()
    iot, serial = MADE[transport, version]
    for thing in (f"dev_{serial}", f"dev_{serial}-csr"):
        principal, = iot.list_thing_principals(thingName=thing)["principals"]
        described = iot.describe_certificate(certificateId=principal.rpartition("/")[2])["certificateDescription"]
        assert described["status"] == "ACTIVE"
