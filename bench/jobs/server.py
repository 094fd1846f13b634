# SPDX-License-Identifier: Apache-2.0
"""The release server on a data directory, what it uses of the machine, and one signed connection to its API."""
import datetime
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"


class Server:
    def __init__(self, data, muster=None, build=BUILD):
        ready = data / "endpoints.json"
        ready.unlink(missing_ok=True)
        self.data = data
        self.log = open(data.parent / "log", "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(
            [muster or build / "src/server/muster", "serve", "--data-dir", data, "--http.port", "0", "--device.port", "0",
             "--device.address", "127.0.0.1", "--plain_mqtt.port", "0", "--plain_mqtt.policy", "*", "--log.level", "warn"],
            stdout=subprocess.DEVNULL, stderr=self.log)
        while not ready.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended at start; see {self.log.name}")
            if time.monotonic() - began > 120:
                self.process.kill()
                raise RuntimeError("the server does not start")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began
        self.endpoints = json.loads(ready.read_text())
        self.key = json.loads((data / "root-key.json").read_text())
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def cpu(self):
        """Seconds of every thread that lives, to the nanosecond; the server's threads live as long as it."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass
        return total / 1e9

    def pss(self):
        for line in pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no Pss in smaps_rollup")

    def peak_rss(self):
        """The most since the last call."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) * 1024
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return peak

    def disk_written(self):
        for line in pathlib.Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise RuntimeError("no write_bytes in io")

    def wait_quiet(self, most=300.0):
        """Until it used less than 2 % of a processor for a while: nothing is left to deliver or to compact."""
        until = time.monotonic() + most
        while time.monotonic() < until:
            before = self.cpu()
            time.sleep(0.6)
            if self.cpu() - before < 0.012:
                return
        raise RuntimeError(f"the server is still busy after {most:.0f} s")

    def table_bytes(self):
        """The sorted tables: what the store keeps. The log beside them is bounded and holds what they do not have yet."""
        return sum(p.stat().st_size for p in (self.data / "store").glob("*.sst"))


class Api:
    """Signs like the SDKs. The time of a call is from the first byte sent to the last received."""

    def __init__(self, server):
        self.server = server
        self.origin = server.endpoints["apiOrigin"]
        self.region = server.endpoints["region"]
        self.credentials = botocore.credentials.Credentials(server.key["accessKeyId"], server.key["secretAccessKey"])
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.origin).netloc, timeout=60)
        self.connection.connect()
        self.milliseconds = 0.0  # of the last call

    def call(self, method, path, query=None, body=None):
        url = self.origin + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = json.dumps(body).encode() if body is not None else b""
        request = botocore.awsrequest.AWSRequest(method, url, {"Content-Type": "application/json"}, data)
        botocore.auth.SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        prepared = request.prepare()
        headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items()}
        target = prepared.url[len(self.origin):]
        began = time.perf_counter()
        self.connection.request(method, target, body=data or None, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.milliseconds = (time.perf_counter() - began) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else {}


def folder_for(base, things):
    stamp = datetime.datetime.now().strftime("%H%M%S")
    folder = pathlib.Path(base or os.environ.get("BENCH_DIR", "/var/tmp")) / f"muster-fleet-{things}-{stamp}-{os.getpid()}"
    folder.mkdir(parents=True)
    return folder
