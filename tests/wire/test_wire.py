# SPDX-License-Identifier: Apache-2.0
"""The numbered scripts NN-topic/NN-behaviour.wire against the real server, each in both versions of MQTT."""
import pytest
from wire import load_all

SCRIPTS = load_all()


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_wire(script, plain_mqtt, unique):
    script.run((plain_mqtt.host, plain_mqtt.port), unique)
