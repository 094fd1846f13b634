# SPDX-License-Identifier: Apache-2.0
"""Fixtures over the real server binary. `platform` is shared by a test run; tests use names of their own."""
import collections
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server_process import Server  # noqa: E402

Address = collections.namedtuple("Address", "host port")


@pytest.fixture(scope="session")
def platform():
    server = Server(flags=["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*", "--log.level", "debug"])
    yield server
    server.remove()


@pytest.fixture
def own_platform():
    """A server of the test's own, to kill and restart."""
    server = Server(flags=["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*"])
    yield server
    server.remove()


@pytest.fixture(scope="session")
def plain_mqtt(platform):
    return Address("127.0.0.1", int(platform.environment["MUSTER_MQTT_PLAIN_PORT"]))


@pytest.fixture
def unique():
    """A name part of this test's own."""
    return uuid.uuid4().hex[:10]


def client_fixture(service):
    @pytest.fixture(scope="session")
    def client(platform):
        return platform.client(service)
    return client


iot = client_fixture("iot")
iot_data = client_fixture("iot-data")
iot_jobs = client_fixture("iot-jobs-data")
s3 = client_fixture("s3")
iam = client_fixture("iam")
sts = client_fixture("sts")
