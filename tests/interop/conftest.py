# SPDX-License-Identifier: Apache-2.0
"""MUSTER_INTEROP_BROKER=mosquitto runs the same programs against Debian's mosquitto instead of the real binary."""
import concurrent.futures
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from brokers import Mosquitto, Muster  # noqa: E402
from programs import start_plans  # noqa: E402


@pytest.fixture(scope="session")
def broker(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    if os.environ.get("MUSTER_INTEROP_BROKER") == "mosquitto":
        made = Mosquitto(folder)
    else:
        made = Muster(request.getfixturevalue("platform"), folder)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        start_plans(pool, made, request.session.items)
        yield made
    made.stop()
