# SPDX-License-Identifier: Apache-2.0
"""The numbered scripts NN-topic/NN-behaviour.wire against the real server, each in both versions of MQTT."""
import concurrent.futures
import uuid

import pytest
from wire import load_all

SCRIPTS = load_all()
AT_ONCE = 12  # most of them wait for the clock


@pytest.fixture(scope="session")
def outcomes(request, plain_mqtt):
    """Script name -> future. They run side by side, the ones that wait first; each has names of its own."""
    chosen = [item.callspec.params["script"] for item in request.session.items
              if "outcomes" in getattr(item, "fixturenames", ())]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {script.name: pool.submit(script.run, tuple(plain_mqtt), uuid.uuid4().hex[:10])
               for script in sorted(chosen, key=lambda script: -script.waits())}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_wire(script, outcomes):
    outcomes[script.name].result()
