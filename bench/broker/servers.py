# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: each starts on a fresh folder, pinned to one core, and ends with stop()."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
SERVER_CORE, LOAD_CORE = 0, 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError("the server ended at start")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("no server on its port")


class Server:
    """process.pid is the server itself: it is pinned by the call before exec, not by a parent."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.log = open(folder / "log", "wb")

    def start(self, command, **more):
        self.process = subprocess.Popen(
            command, preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}), stderr=self.log, **more)

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        # Killed, so that the end of one run takes nothing from the next; no run looks at what is kept.
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Muster(Server):
    name = "muster"

    def __init__(self, folder, scenario=None, binary=None, policy="*"):
        super().__init__(folder)
        data = folder / "data"
        self.start([binary or BUILD / "src/server/muster", "serve", "--data-dir", data, "--http.port", "0", "--device.port", "0",
                    "--device.address", "127.0.0.1", "--plain_mqtt.port", "0", "--plain_mqtt.policy", policy, "--log.level", "warn"],
                   stdout=subprocess.DEVNULL)
        ready = data / "endpoints.json"
        for _ in range(400):
            if ready.exists():
                break
            if self.process.poll() is not None:
                raise RuntimeError("muster ended at start: " + (folder / "log").read_text())
            time.sleep(0.02)
        self.endpoints = json.loads(ready.read_text())
        self.port = self.endpoints["plainMqttPort"]
        self.tls_port = self.endpoints["devicePort"]
        self.data = data


class Mosquitto(Server):
    """No persistence, no log, no limit that would make it drop or wait; the flood alone meets its default queue."""
    name = "mosquitto"

    def __init__(self, folder, scenario=None, identity=None):
        super().__init__(folder)
        self.port = free_port()
        queued = 1000 if scenario and "flood" in scenario else 0
        text = (f"per_listener_settings false\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
                f"persistence false\nlog_type none\nmax_queued_messages {queued}\nmax_inflight_messages 1000\n"
                "max_connections -1\n")
        if os.geteuid() == 0:
            text += "user root\n"
        if identity:
            self.tls_port = free_port()
            text += (f"listener {self.tls_port} 127.0.0.1\ncafile {identity}/ca.pem\ncertfile {identity}/server.pem\n"
                     f"keyfile {identity}/server.key\nrequire_certificate true\n")
        (folder / "mosquitto.conf").write_text(text)
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.start([binary, "-c", folder / "mosquitto.conf"], stdout=subprocess.DEVNULL)
        wait_for_port(self.port, self.process)


class Relay(Server):
    """The kernel's sockets and nothing else: the ceiling of QoS 0 and of connects."""
    name = "relay"

    def __init__(self, folder, scenario=None):
        super().__init__(folder)
        self.start([BUILD / "bench/mqtt_relay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
