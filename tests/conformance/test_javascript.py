# SPDX-License-Identifier: Apache-2.0
"""Runs the Node.js conformance tests (tests/conformance_js) against the shared server."""
import os
import pathlib
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "conformance_js"


@pytest.mark.parametrize("path", sorted(p.name for p in FOLDER.glob("*.test.mjs")))
def test_with_node(platform, path):
    environment = {**os.environ, **{k: v for k, v in platform.environment.items() if k.startswith(("AWS_", "MUSTER_"))}}
    done = subprocess.run(["node", "--test", path], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout
