# SPDX-License-Identifier: Apache-2.0
"""The npm package "mqtt": TCP, TLS, and WebSocket at /mqtt with a pre-signed address or with a client certificate.

"token-appended" is AWS's own form for temporary credentials, "token-signed" that of other signers.
"""
import pytest

from programs import Plan, cases, node_program

CASES = cases(["tcp", "tls", "ws", "wss"])
FEW = ["connect", "qos0", "qos1", "qos2", "large", "session_qos1", "will"]
CASES += cases(["wss-device", "token-appended", "token-signed"], only=FEW)


def program(broker, transport, version):
    if transport.startswith("token"):
        sign = {**broker.session, "tokenIs": transport.partition("-")[2]}
        return node_program("mqttjs", broker, "wss", version, sign=sign, only=FEW)
    if transport == "wss-device":
        return node_program("mqttjs", broker, transport, version, only=FEW)
    return node_program("mqttjs", broker, transport, version, sign=broker.root if transport in ("ws", "wss") else None)


PLAN = Plan(program)


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
