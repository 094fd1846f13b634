# SPDX-License-Identifier: Apache-2.0
"""Pre-provisioning hooks: a function that the platform calls by Lambda's Invoke decides about each device."""
import json
import time

import pytest

from called_servers import FunctionError, Functions
from test_provisioning import TRUST, Claim, Talk, body, rejected
from tls_device import document, statement


@pytest.fixture
def site(start, connect, tmp_path):
    class Site:
        functions = Functions()
        server = start("--functions.endpoints", f"*={functions.url}")
        iot = server.client("iot")
    iam = Site.server.client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document(statement("Allow", "iot:*", "*")))
    account = role.split(":")[4]
    arn = Site.iot.create_provisioning_template(
        templateName="T", templateBody=body(), enabled=True, provisioningRoleArn=role, preProvisioningHook={
            "targetArn": f"arn:aws:lambda:{Site.server.region}:{account}:function:hook"})["templateArn"]
    Site.template_arn, Site.claim = arn, Claim(Site.server, Site.iot, tmp_path, "T")
    Site.talk = Talk(connect(Site.claim, "client-7"))
    yield Site
    Site.functions.close()


def test_a_hook_sees_the_request_and_changes_it(site):
    site.functions["hook"] = lambda event: {"allowProvisioning": True, "parameterOverrides": {"Place": "cellar"}}
    keys = site.talk.keys()
    accepted, answer = site.talk.register("T", keys["certificateOwnershipToken"], Serial="1", Place="attic", Secret="s")
    assert accepted and answer["deviceConfiguration"]["url"] == "https://cellar.example"
    assert site.iot.describe_thing(thingName="dev_1")["attributes"] == {"serial": "1", "place": "cellar"}
    assert site.functions.events == [{
        "claimCertificateId": site.claim.id, "certificateId": keys["certificateId"],
        "certificatePem": keys["certificatePem"], "templateArn": site.template_arn, "clientId": "client-7",
        "parameters": {"Serial": "1", "Place": "attic", "Secret": "s"}}]


def test_a_hook_that_times_out_or_answers_garbage_denies(site):
    def fail(_):
        raise FunctionError("broken")

    def sleep(_):
        time.sleep(7)
        return {"allowProvisioning": True}
    token = site.talk.keys()["certificateOwnershipToken"]
    for answer in (b"garbage", b"", [], {}, {"allowProvisioning": "true"}, {"allowProvisioning": False}):
        site.functions["hook"] = lambda _, answer=answer: answer
        rejected(site.talk.register("T", token, Serial="1"), 403, "AccessDenied")
    site.functions["hook"] = fail
    rejected(site.talk.register("T", token, Serial="1"), 403, "AccessDenied")
    site.functions["hook"] = sleep
    began = time.monotonic()
    rejected(site.talk.register("T", token, Serial="1"), 403, "AccessDenied")
    assert 4 < time.monotonic() - began < 6.9, "five seconds, no more"
    site.functions["hook"] = lambda _: {"allowProvisioning": True}
    assert site.talk.register("T", token, Serial="1")[0], "the token is still good"
