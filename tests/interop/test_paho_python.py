# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho Python."""
import pytest

from programs import HERE, Runs, cases, plain_program

CASES = cases(["tcp", "tls"])


@pytest.fixture(scope="module")
def runs(broker):
    program = ["/usr/bin/python3", str(HERE / "paho_python.py")]
    return Runs(CASES, lambda transport, version: plain_program(program, broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(runs, transport, version, scenario):
    runs.check(transport, version, scenario)
