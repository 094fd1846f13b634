# SPDX-License-Identifier: Apache-2.0
"""The AWS IoT device SDK v2 for JavaScript: mutual TLS, and WebSocket with Signature Version 4 (token: a role's)."""
import pytest

from programs import QOS_2, Plan, cases, node_program

CASES = cases(["tls", "wss", "wss-token"], [4])
CASES += cases(["tls", "wss", "wss-token"], [5], without=QOS_2)  # its MQTT 5 client has no QoS 2: AWS IoT has none


def program(broker, transport, version):
    sign = {"tls": None, "wss": broker.root, "wss-token": broker.session}[transport]
    return node_program("aws_sdk", broker, transport.partition("-")[0], version, sign=sign,
                        without=QOS_2 if version == 5 else ())


PLAN = Plan(program)


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
