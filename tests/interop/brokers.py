# SPDX-License-Identifier: Apache-2.0
"""The broker that the libraries talk to: Muster, or Debian's mosquitto to see whether a failure is a program's own."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))
from server_process import free_port, wait_until  # noqa: E402
from tls_device import Identity, document, openssl, statement  # noqa: E402


class Muster:
    def __init__(self, platform, folder):
        self.platform = platform
        environment = platform.environment
        self.host = environment["MUSTER_MQTT_HOST"]
        device = int(environment["MUSTER_MQTT_PORT"])
        self.ports = {"tcp": int(environment["MUSTER_MQTT_PLAIN_PORT"]), "tls": device, "wss-device": device,
                      "ws": platform.http_port, "wss": platform.http_port}
        identity = Identity(platform, folder, "interop", statement("Allow", "iot:*", "*"))
        self.files = {"ca": platform.ca_file, "certificate": str(identity.certificate), "key": str(identity.key)}
        self.root = {"accessKey": environment["AWS_ACCESS_KEY_ID"], "secretKey": environment["AWS_SECRET_ACCESS_KEY"],
                     "region": platform.region}
        iam = platform.client("iam")
        user = iam.create_user(UserName="interop")["User"]["Arn"]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user}}
        role = iam.create_role(RoleName="interop", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="interop", PolicyName="p",
                            PolicyDocument=document(statement("Allow", "iot:*", "*")))
        key = iam.create_access_key(UserName="interop")["AccessKey"]
        sts = platform.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
        got = sts.assume_role(RoleArn=role, RoleSessionName="interop")["Credentials"]
        self.session = {"accessKey": got["AccessKeyId"], "secretKey": got["SecretAccessKey"],
                        "token": got["SessionToken"], "region": platform.region}

    def stop(self):
        pass


class Mosquitto:
    """Takes any signature and any path: what it shows is MQTT."""
    host = "localhost"
    root = {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "secret", "region": "us-east-1"}
    session = {**root, "token": "token"}

    def __init__(self, folder):
        self.ports = {name: free_port() for name in ("tcp", "tls", "ws", "wss", "wss-device")}
        ca, pem, key = (str(folder / name) for name in ("ca.pem", "server.pem", "server.key"))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=ca", "-keyout", str(folder / "ca.key"), "-out", ca)
        for name in ("server", "device"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.csr"))
            (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            openssl("x509", "-req", "-in", str(folder / f"{name}.csr"), "-CA", ca, "-CAkey", str(folder / "ca.key"),
                    "-CAcreateserial", "-days", "30", "-extfile", str(folder / "names"),
                    "-out", str(folder / f"{name}.pem"))
        self.files = {"ca": ca, "certificate": str(folder / "device.pem"), "key": str(folder / "device.key")}
        lines = ["user root", "allow_anonymous true", "max_queued_messages 5000", "max_inflight_messages 0"]
        for name, port in self.ports.items():
            lines.append(f"listener {port} 127.0.0.1")
            if name.startswith("ws"):
                lines.append("protocol websockets")
            if name not in ("tcp", "ws"):
                lines += [f"cafile {ca}", f"certfile {pem}", f"keyfile {key}"]
            if name in ("tls", "wss-device"):
                lines.append("require_certificate true")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        with open(folder / "mosquitto.log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=log,
                                            stderr=log)
        wait_until(lambda: "running" in (folder / "mosquitto.log").read_text(), what="mosquitto's start")

    def stop(self):
        self.process.terminate()
        self.process.wait()
