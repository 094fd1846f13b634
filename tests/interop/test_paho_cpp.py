# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho C++."""
import pytest

from programs import Plan, cases, compiled, plain_program

CASES = cases(["tcp", "tls"])
PLAN = Plan(lambda broker, transport, version: plain_program(
    [compiled("paho_cpp.cc", "-lpaho-mqttpp3", "-lpaho-mqtt3as")], broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
