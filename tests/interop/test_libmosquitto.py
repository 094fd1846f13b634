# SPDX-License-Identifier: Apache-2.0
"""libmosquitto, mosquitto's own client library."""
import pytest

from programs import Runs, cases, compiled, plain_program

CASES = cases(["tcp", "tls"])


@pytest.fixture(scope="module")
def runs(broker):
    program = [compiled("libmosquitto.cc", "-lmosquitto")]
    return Runs(CASES, lambda transport, version: plain_program(program, broker, transport, version))


@pytest.mark.parametrize("transport,version,scenario", CASES)
def test_scenario(runs, transport, version, scenario):
    runs.check(transport, version, scenario)
