# SPDX-License-Identifier: Apache-2.0
"""The AWS IoT device SDK v2 for JavaScript: mutual TLS, and WebSocket with Signature Version 4 (token: a role's)."""
import pytest

from programs import QOS_2, Runs, cases, node_program

# Its MQTT 5 client has no QoS 2, since AWS IoT has none.
CASES = cases(["tls", "wss", "wss-token"], [4]) + cases(["tls", "wss", "wss-token"], [5], without=QOS_2)


@pytest.fixture(scope="module")
def runs(broker):
    signers = {"tls": None, "wss": broker.root, "wss-token": broker.session}
    return Runs(CASES, lambda transport, version: node_program(
        "aws_sdk", broker, transport.partition("-")[0], version, sign=signers[transport],
        without=QOS_2 if version == 5 else ()))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(runs, transport, version, scenario):
    runs.check(transport, version, scenario)
