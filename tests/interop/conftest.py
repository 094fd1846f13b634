# SPDX-License-Identifier: Apache-2.0
"""MUSTER_INTEROP_BROKER=mosquitto runs the same programs against Debian's mosquitto instead of the real binary."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from brokers import Mosquitto, Muster  # noqa: E402


@pytest.fixture(scope="session")
def broker(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    if os.environ.get("MUSTER_INTEROP_BROKER") == "mosquitto":
        made = Mosquitto(folder)
    else:
        made = Muster(request.getfixturevalue("platform"), folder)
    yield made
    made.stop()
