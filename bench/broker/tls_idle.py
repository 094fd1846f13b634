# SPDX-License-Identifier: Apache-2.0
"""Memory of idle connections over mutual TLS. Both servers get the same identity and the same client certificate: a
Muster makes them (its device CA, its server certificate, one certificate by CreateKeysAndCertificate)."""
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import servers


def packet(number):
    name = f"tls-device-{number}".encode()
    body = b"\0\4MQTT\4\2" + (600).to_bytes(2, "big") + len(name).to_bytes(2, "big") + name
    return bytes([0x10, len(body)]) + body


def pss(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def issue_certificate(muster, into):
    """client.pem and client.key, with a policy that allows everything."""
    import boto3
    text = subprocess.run([servers.BUILD / "src/server/muster", "env", "--data-dir", muster.data], check=True, capture_output=True,
                          text=True).stdout
    values = dict(line.removeprefix("export ").split("=", 1) for line in text.splitlines() if line.startswith("export "))
    values = {k: v.strip("'") for k, v in values.items()}
    iot = boto3.client("iot", endpoint_url=values["AWS_ENDPOINT_URL"], region_name=values["AWS_DEFAULT_REGION"],
                       aws_access_key_id=values["AWS_ACCESS_KEY_ID"], aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"])
    made = iot.create_keys_and_certificate(setAsActive=True)
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'
    iot.create_policy(policyName="all", policyDocument=document)
    iot.attach_policy(policyName="all", target=made["certificateArn"])
    (into / "client.pem").write_text(made["certificatePem"])
    (into / "client.key").write_text(made["keyPair"]["PrivateKey"])
    for name in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(muster.data / name, into / name)


def open_one(context, port, number):
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = context.wrap_socket(raw, server_hostname="localhost")
    client.sendall(packet(number))
    answer = client.recv(4)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise RuntimeError("no CONNACK over TLS")
    return client


def measure(kind, folder, options):
    identity = folder.with_name("identity")
    shutil.rmtree(identity, ignore_errors=True)
    identity.mkdir()
    server = servers.Muster(folder, None, options.muster)
    try:
        issue_certificate(server, identity)
        if kind == "K":
            server.stop()
            server = servers.Mosquitto(folder, None, identity)
        context = ssl.create_default_context(cafile=identity / "ca.pem")
        context.load_cert_chain(identity / "client.pem", identity / "client.key")
        clients = [open_one(context, server.tls_port, -1 - i) for i in range(20)]
        time.sleep(0.3)
        before, cpu_before, began = pss(server.pid), cpu(server.pid), time.monotonic()
        clients += [open_one(context, server.tls_port, i) for i in range(options.tls_clients)]
        took, used = time.monotonic() - began, cpu(server.pid) - cpu_before
        time.sleep(1)
        after = pss(server.pid)
        for client in clients:
            client.close()
        return {"connects": options.tls_clients, "seconds": round(took, 3), "server_cpu_s": round(used, 3),
                "server_cpu_us_per_accept": round(used / options.tls_clients * 1e6), "pss_before": before, "pss_after": after,
                "bytes_per_connection": round((after - before) / options.tls_clients)}
    finally:
        server.stop()
