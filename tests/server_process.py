# SPDX-License-Identifier: Apache-2.0
"""Starts the real server binary on free ports and a private data directory, and makes stock clients for it."""
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[1]


def binary():
    path = os.environ.get("MUSTER_BINARY", str(ROOT / "build/dev/src/server/muster"))
    assert os.access(path, os.X_OK), f"{path} is not there; run ./dev build"
    return path


class Server:
    """One server process. Ports stay the same over restart()."""

    def __init__(self, data_dir=None, flags=()):
        self.data_dir = data_dir or tempfile.mkdtemp(prefix="muster-test-")
        self.own_data_dir = data_dir is None
        self.flags = list(flags)
        self.process = None
        self.environment = {}
        self.log_path = os.path.join(tempfile.gettempdir(), f"muster-test-{os.getpid()}-{id(self)}.log")
        self.fixed = {}
        self.start()

    def start(self):
        ports = self.fixed or {"http.port": 0, "device.port": 0}
        command = [binary(), "serve", "--data-dir", self.data_dir, "--device.address", "127.0.0.1"]
        command += self.flags
        for key, value in ports.items():
            command += [f"--{key}", str(value)]
        endpoints = pathlib.Path(self.data_dir, "endpoints.json")
        endpoints.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            clean = {k: v for k, v in os.environ.items() if not k.startswith("MUSTER_")}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=clean)
        deadline = time.monotonic() + 30
        while not endpoints.exists() or not self._ready():
            assert self.process.poll() is None, "the server ended at start:\n" + self.log()
            assert time.monotonic() < deadline, "the server did not get ready:\n" + self.log()
            time.sleep(0.02)
        self.fixed = {"http.port": self.http_port, "device.port": int(self.environment["MUSTER_MQTT_PORT"])}
        if "MUSTER_MQTT_PLAIN_PORT" in self.environment:
            self.fixed["plain_mqtt.port"] = int(self.environment["MUSTER_MQTT_PLAIN_PORT"])

    def _ready(self):
        out = subprocess.run([binary(), "env", "--data-dir", self.data_dir], capture_output=True, text=True, check=False)
        if out.returncode:
            return False
        for line in out.stdout.splitlines():
            if line.startswith("export "):
                name, _, value = line[len("export "):].partition("=")
                self.environment[name] = shlex.split(value)[0] if value else ""
        try:
            with urllib.request.urlopen(self.endpoint + "/health/ready", timeout=5) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @property
    def endpoint(self):
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def http_port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def region(self):
        return self.environment["AWS_DEFAULT_REGION"]

    @property
    def ca_file(self):
        return self.environment["MUSTER_CA_FILE"]

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")[-8000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.kill()
        self.start()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server did not stop on SIGTERM:\n" + self.log()) from None

    def remove(self):
        self.stop()
        if self.own_data_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)
        pathlib.Path(self.log_path).unlink(missing_ok=True)

    def client(self, service, access_key=None, secret_key=None, session_token=None, endpoint=None, **config):
        return boto3.client(
            service, endpoint_url=endpoint or self.endpoint, region_name=self.region, verify=self.ca_file,
            aws_access_key_id=access_key or self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret_key or self.environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=session_token,
            config=Config(retries={"max_attempts": 1}, **config))

    def cli(self, *arguments, check=True, input=None):
        """The stock AWS CLI; returns CompletedProcess with text."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment.update({k: v for k, v in self.environment.items() if k.startswith("AWS_")})
        environment.update(AWS_PAGER="", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
        done = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.endpoint, *arguments], env=environment, text=True,
                              capture_output=True, check=False, input=input)
        if check:
            assert done.returncode == 0, done.stderr
        return done


def wait_until(condition, seconds=10, what="condition"):
    """The value of condition() as soon as it is true; fails after that long."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
