# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho Python."""
import pytest

from programs import HERE, Plan, cases, plain_program

CASES = cases(["tcp", "tls"])
PLAN = Plan(lambda broker, transport, version: plain_program(
    ["/usr/bin/python3", str(HERE / "paho_python.py")], broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)
