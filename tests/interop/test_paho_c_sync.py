# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho C, the synchronous client."""
import pytest

from programs import Runs, cases, compiled, plain_program

CASES = cases(["tcp", "tls"])


@pytest.fixture(scope="module")
def runs(broker):
    program = [compiled("paho_c_sync.cc", "-lpaho-mqtt3cs")]
    return Runs(CASES, lambda transport, version: plain_program(program, broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(runs, transport, version, scenario):
    runs.check(transport, version, scenario)
