# SPDX-License-Identifier: Apache-2.0
"""Runs a library's program once for each version and transport; each scenario's line is a test of its own.

A failure names the library (by its file), transport, version and scenario, as in
test_paho_cpp.py::test_scenario[tls-5-session_qos1].
"""
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import threading
import uuid

import pytest

from server_process import ROOT

HERE = pathlib.Path(__file__).parent
SCENARIOS = ["connect", "qos0", "qos1", "qos2", "lower_qos", "lower_qos2", "retained", "wildcards", "unsubscribe",
             "large", "large_qos2", "burst_qos1", "burst_qos2", "session_qos1", "session_qos2", "will", "takeover"]
SCENARIOS_5 = ["shared", "properties", "options"]
QOS_2 = ["qos2", "lower_qos2", "large_qos2", "burst_qos2", "session_qos2"]
SECONDS = 60
COMPILING = collections.defaultdict(threading.Lock)


def cases(transports, versions=(4, 5), without=(), only=()):
    return [pytest.param(transport, version, scenario, id=f"{transport}-{version}-{scenario}")
            for transport in transports for version in versions
            for scenario in SCENARIOS + (SCENARIOS_5 if version == 5 else [])
            if scenario not in without and (not only or scenario in only)]


def compiled(source, *libraries):
    """The path of the program, built when its sources are new; it stays in build/interop."""
    with COMPILING[source]:
        return build(source, libraries)


def build(source, libraries):
    sources = [HERE / "scenarios.cc", HERE / source]
    command = ["g++", "-std=c++20", "-O1", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-pthread",
               *map(str, sources), *libraries]
    digest = hashlib.sha256(json.dumps(command).encode())
    for path in [*sources, *sorted(HERE.glob("*.h"))]:
        digest.update(path.read_bytes())
    program = ROOT / "build/interop" / f"{pathlib.Path(source).stem}-{digest.hexdigest()[:16]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        for old in program.parent.glob(f"{pathlib.Path(source).stem}-*"):
            old.unlink()
        made = program.with_name(f"{program.name}.{os.getpid()}")
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.rename(program)
    return str(program)


def node_program(library, broker, transport, version, *, sign=None, without=(), only=()):
    assert (HERE / "node_modules").is_dir(), f"npm ci has not been run in {HERE}; ./dev test does"
    certificate = {"ca": broker.files["ca"]} if sign else broker.files if transport not in ("tcp", "ws") else {}
    where = {"host": "127.0.0.1" if transport in ("tcp", "ws") else broker.host, "port": broker.ports[transport]}
    options = {"library": library, "transport": transport, "version": version, "prefix": prefix(), **where,
               **certificate, "without": list(without), "only": list(only)}
    if sign:
        options["sign"] = sign
    return ["node", str(HERE / "scenarios.mjs"), json.dumps(options)]


def plain_program(program, broker, transport, version):
    """The command line of a program that takes HOST PORT VERSION PREFIX [CA CERTIFICATE KEY]."""
    host = "127.0.0.1" if transport == "tcp" else broker.host
    files = [broker.files[name] for name in ("ca", "certificate", "key")] if transport != "tcp" else []
    return [*program, "run", host, str(broker.ports[transport]), str(version), prefix(), *files]


def prefix():
    return f"interop/{uuid.uuid4().hex[:10]}"


class Plan:
    """command(broker, transport, version) for each kind of the cases; started with those of all other files."""

    def __init__(self, command):
        self.command, self.running = command, {}

    def start(self, pool, broker, kinds):
        for kind in kinds:
            self.running[kind] = pool.submit(lambda kind=kind: run(self.command(broker, *kind)))

    def check(self, transport, version, scenario):
        lines, ending = self.running[transport, version].result()
        if scenario not in lines:
            pytest.fail(f"no word about it: {ending}", pytrace=False)
        if lines[scenario]:
            pytest.fail(lines[scenario], pytrace=False)


def start_plans(pool, broker, items):
    """The programs of the chosen tests, side by side: they wait more than they work."""
    kinds = {}
    for item in items:
        if plan := getattr(item.module, "PLAN", None):
            kinds.setdefault(plan, {})[item.callspec.params["transport"], item.callspec.params["version"]] = True
    for plan, wanted in kinds.items():
        plan.start(pool, broker, wanted)


def run(command):
    """(scenario -> what failed, or None; how the program ended)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        out, ending = done.stdout, f"exit status {done.returncode}, {done.stderr[-2000:]}"
    except subprocess.TimeoutExpired as late:
        out, ending = (late.stdout or b"").decode(), f"not done within {SECONDS} s"
    lines = {}
    for line in out.splitlines():
        word, _, rest = line.partition(" ")
        lines[rest.partition(":")[0]] = None if word == "ok" else rest
    return lines, ending
