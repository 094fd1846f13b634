# SPDX-License-Identifier: Apache-2.0
"""mosquitto_pub, mosquitto_sub and mosquitto_rr, as a user would type them."""
import subprocess
import time
import uuid

import pytest

SECONDS = 10


class Shell:
    def __init__(self, broker, transport, version):
        self.topic = f"cli/{uuid.uuid4().hex[:10]}"
        host = "127.0.0.1" if transport == "tcp" else broker.host
        self.where = ["-h", host, "-p", str(broker.ports[transport]), "-V", "mqttv5" if version == 5 else "mqttv311"]
        if transport == "tls":
            self.where += ["--cafile", broker.files["ca"], "--cert", broker.files["certificate"],
                           "--key", broker.files["key"]]
        self.started = []

    def run(self, command, *arguments, input=None, code=0):
        done = subprocess.run([command, *self.where, *arguments], input=input, capture_output=True, timeout=SECONDS,
                              check=False)
        assert done.returncode == code, (done.returncode, done.stderr.decode())
        return done.stdout.decode()

    def start(self, command, *arguments, wait_for=b"Subscribed"):
        """With its debug output, so that it is known when it has subscribed."""
        process = subprocess.Popen(["stdbuf", "-oL", command, *self.where, "-d", *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        self.started.append(process)
        for line in process.stdout:
            if wait_for in line:
                return process
        raise AssertionError(f"{command} ended with {process.wait()}")

    @staticmethod
    def lines(process):
        out, _ = process.communicate(timeout=SECONDS)
        return [line for line in out.decode().splitlines()
                if not line.startswith(("Client ", "Subscribed", "Received ", "Sending "))]


@pytest.fixture(params=["tcp-4", "tcp-5", "tls-4", "tls-5"])
def shell(request, broker):
    transport, version = request.param.split("-")
    made = Shell(broker, transport, int(version))
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def shell5(shell):
    if "mqttv5" not in shell.where:
        pytest.skip("MQTT 5 only")
    return shell


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_publish_and_subscribe(shell, qos):
    listening = shell.start("mosquitto_sub", "-t", f"{shell.topic}/+/temp", "-q", qos, "-C", "2", "-F", "%t %q %r %p")
    shell.run("mosquitto_pub", "-t", f"{shell.topic}/a/temp", "-m", "21.5", "-q", qos)
    shell.run("mosquitto_pub", "-t", f"{shell.topic}/b/temp", "-n", "-q", qos)
    assert shell.lines(listening) == [f"{shell.topic}/a/temp {qos} 0 21.5", f"{shell.topic}/b/temp {qos} 0 "]


def test_lines_of_standard_input(shell):
    listening = shell.start("mosquitto_sub", "-t", f"{shell.topic}/#", "-q", "1", "-C", "50")
    shell.run("mosquitto_pub", "-t", f"{shell.topic}/log", "-l", "-q", "1",
              input="".join(f"line {number}\n" for number in range(50)).encode())
    assert shell.lines(listening) == [f"line {number}" for number in range(50)]


def test_file_of_100_kilobytes(shell, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789abcdef" * 6400)
    listening = shell.start("mosquitto_sub", "-t", shell.topic, "-q", "1", "-C", "1")
    shell.run("mosquitto_pub", "-t", shell.topic, "-f", str(path), "-q", "1")
    assert shell.lines(listening) == [path.read_text()]


def test_retained(shell):
    shell.run("mosquitto_pub", "-t", shell.topic, "-m", "kept", "-r", "-q", "1")
    assert shell.run("mosquitto_sub", "-t", shell.topic, "-C", "1", "-F", "%r %p", "-q", "1") == "1 kept\n"
    shell.run("mosquitto_pub", "-t", shell.topic, "-n", "-r", "-q", "1")
    # 27: it gave up waiting.
    assert shell.run("mosquitto_sub", "-t", shell.topic, "-C", "1", "-W", "1", code=27) == ""


def test_persistent_session(shell):
    listen = ["mosquitto_sub", "-i", shell.topic.replace("/", "-"), "-c", "-q", "1", "-t", shell.topic]
    shell.run(*listen, "-E")
    for number in range(3):
        shell.run("mosquitto_pub", "-t", shell.topic, "-m", f"while away {number}", "-q", "1")
    assert shell.run(*listen, "-C", "3").splitlines() == [f"while away {number}" for number in range(3)]


def test_will(shell):
    listening = shell.start("mosquitto_sub", "-t", f"{shell.topic}/will", "-q", "1", "-C", "1")
    dying = shell.start("mosquitto_sub", "-t", f"{shell.topic}/x", "--will-topic", f"{shell.topic}/will",
                        "--will-payload", "gone", "--will-qos", "1")
    dying.kill()
    assert shell.lines(listening) == ["gone"]


def test_shared_subscription(shell5):
    topic, members = shell5.topic, [shell5.start("mosquitto_sub", "-t", f"$share/g/{shell5.topic}", "-t",
                                                 f"{shell5.topic}/end", "-q", "1", "-F", "%t %p") for _ in range(2)]
    shell5.run("mosquitto_pub", "-t", topic, "-l", "-q", "1",
               input="".join(f"{number}\n" for number in range(20)).encode())
    time.sleep(0.5)
    got = []
    for member in members:
        member.terminate()
        lines = shell5.lines(member)
        assert lines, "a member of two received nothing"
        got += [int(line.split()[1]) for line in lines]
    assert sorted(got) == list(range(20))


def test_request_and_response(shell5):
    answering = shell5.start("mosquitto_sub", "-t", f"{shell5.topic}/ask", "-q", "1", "-C", "1", "-F", "%R %D %p")
    asking = shell5.start("mosquitto_rr", "-t", f"{shell5.topic}/ask", "-e", f"{shell5.topic}/answer", "-m", "question",
                          "-q", "1", "-D", "publish", "correlation-data", "7", wait_for=b"PUBACK")
    assert shell5.lines(answering) == [f"{shell5.topic}/answer 7 question"]
    shell5.run("mosquitto_pub", "-t", f"{shell5.topic}/answer", "-m", "answer", "-q", "1", "-D", "publish",
               "correlation-data", "7")
    assert shell5.lines(asking) == ["answer"]
