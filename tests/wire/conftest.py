# SPDX-License-Identifier: Apache-2.0
"""The scripts speak to a server with the limits that they write down."""
import pytest

from server_process import Server

LIMITS = {"max_payload_bytes": 131072, "max_packet_bytes": 149504, "max_client_id_bytes": 128, "max_keep_alive_s": 1200,
          "topic_alias_maximum": 8}


@pytest.fixture(scope="session")
def plain_mqtt():
    flags = [text for name, value in LIMITS.items() for text in (f"--mqtt.{name}", str(value))]
    server = Server(flags=["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*", *flags])
    yield "127.0.0.1", int(server.environment["MUSTER_MQTT_PLAIN_PORT"])
    server.remove()
