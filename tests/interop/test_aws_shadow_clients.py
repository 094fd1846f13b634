# SPDX-License-Identifier: Apache-2.0
"""The Device Shadow clients of the AWS IoT device SDK v2 for JavaScript, both generations (v1: IotShadowClient, v2:
IotShadowClientv2) on both of its MQTT clients, by mutual TLS and by WebSocket with Signature Version 4."""
import json
import os
import uuid

import pytest

from programs import HERE, Plan

pytestmark = pytest.mark.skipif(os.environ.get("MUSTER_INTEROP_BROKER") == "mosquitto", reason="mosquitto has no shadows")
SCENARIOS = [f"{kind}_{what}" for kind in ("classic", "named")
             for what in ("missing", "desired", "reported", "rejections", "removal", "deletion")]


def program(broker, transport, version):
    transport, _, style = transport.partition("-")
    assert (HERE / "node_modules").is_dir(), f"npm ci has not been run in {HERE}; ./dev test does"
    files = {"ca": broker.files["ca"]} if transport == "wss" else broker.files
    options = {"style": style, "transport": transport, "version": version, "thing": f"sdk-{uuid.uuid4().hex[:10]}",
               "host": broker.host, "port": broker.ports[transport], **files}
    if transport == "wss":
        options["sign"] = broker.session
    return ["node", str(HERE / "shadow_scenarios.mjs"), json.dumps(options)]


PLAN = Plan(program)
KINDS = [(f"{transport}-{style}", version) for transport in ("tls", "wss") for style in ("v1", "v2") for version in (4, 5)]


@pytest.mark.parametrize("transport,version,scenario", [
    pytest.param(*kind, scenario, id=f"{kind[0]}-{kind[1]}-{scenario}") for kind in KINDS for scenario in SCENARIOS])
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
