# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho C++."""
import pytest

from programs import Runs, cases, compiled, plain_program

CASES = cases(["tcp", "tls"])


@pytest.fixture(scope="module")
def runs(broker):
    program = [compiled("paho_cpp.cc", "-lpaho-mqttpp3", "-lpaho-mqtt3as")]
    return Runs(CASES, lambda transport, version: plain_program(program, broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(runs, transport, version, scenario):
    runs.check(transport, version, scenario)
