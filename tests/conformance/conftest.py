# SPDX-License-Identifier: Apache-2.0
"""Devices with certificates of their own, and users with keys, for every test here."""
import pytest

from jobs_device import Device
from server_process import Server
from tls_device import Identity, TlsDevice


@pytest.fixture
def identity(platform, iot, tmp_path, unique):
    """identity(*statements) makes a certificate with that policy."""
    made = []

    def make(*statements, **more):
        made.append(Identity(platform, tmp_path, f"d{len(made)}-{unique}", *statements, iot=iot, **more))
        return made[-1]
    return make


@pytest.fixture
def connect():
    """TlsDevice(), closed at the end."""
    devices = []

    def make(*arguments, **options):
        devices.append(TlsDevice(*arguments, **options))
        return devices[-1]
    yield make
    for device in devices:
        device.close()


@pytest.fixture
def ann(platform, iam, unique):
    """A user with a key, and a maker of clients that sign with it."""
    name = f"ann-{unique}"
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def client(service):
        return platform.client(service, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    client.name, client.arn, client.key = name, user["Arn"], key
    return client


@pytest.fixture
def thing(iot, unique):
    return iot.create_thing(thingName=f"t-{unique}")


@pytest.fixture
def device(plain_mqtt, thing):
    device = Device(plain_mqtt, thing["thingName"])
    yield device
    device.close()


@pytest.fixture
def start():
    """start(*flags): a server of its own with these settings, ended with the test."""
    servers = []

    def make(*flags):
        servers.append(Server(flags=flags))
        return servers[-1]
    yield make
    for server in servers:
        server.remove()
