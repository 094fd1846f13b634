# SPDX-License-Identifier: Apache-2.0
"""libmosquitto, mosquitto's own client library."""
import pytest

from programs import Plan, cases, compiled, plain_program

CASES = cases(["tcp", "tls"])
PLAN = Plan(lambda broker, transport, version: plain_program(
    [compiled("libmosquitto.cc", "-lmosquitto")], broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
