# SPDX-License-Identifier: Apache-2.0
"""The administration API: MQTT clients listed, shown and disconnected, by signed calls and by the command line."""
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from server_process import binary
from tls_device import statement

ANY = statement("Allow", "iot:*", "*")


@pytest.fixture
def call(platform):
    """(status, JSON) of a call signed with the root key, or with `key`; unsigned when key is False."""
    def ask(method, path, key=None, service="muster"):
        request = AWSRequest(method, platform.endpoint + path)
        if key is not False:
            pair = (key["AccessKeyId"], key["SecretAccessKey"]) if key else (
                platform.environment["AWS_ACCESS_KEY_ID"], platform.environment["AWS_SECRET_ACCESS_KEY"])
            SigV4Auth(Credentials(*pair), service, platform.region).add_auth(request)
        made = urllib.request.Request(request.url, method=method, headers=dict(request.headers))
        try:
            with urllib.request.urlopen(made, timeout=10) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text
    return ask


def one(client_id):
    return "/_admin/mqtt/clients/" + urllib.parse.quote(client_id, safe="")


def muster(platform, *words):
    return subprocess.run([binary(), "mqtt", *words, "--data-dir", platform.data_dir], capture_output=True, text=True,
                          check=False)


def test_a_client_is_shown_and_disconnected(call, identity, connect):
    device = identity(ANY)
    name = f"{device.name}/a ü"
    live = connect(device, name, version=5, expiry=60)
    live.subscribe("a/b")
    status, answer = call("GET", one(name))
    assert status == 200
    shown = answer["client"]
    assert {k: shown[k] for k in ("clientId", "connected", "protocol", "listener", "address", "tls", "principal",
                                  "keepAliveSeconds", "sessionExpirySeconds", "subscriptions")} == {
        "clientId": name, "connected": True, "protocol": "5.0", "listener": "device", "address": "127.0.0.1",
        "tls": True, "principal": device.id, "keepAliveSeconds": 60, "sessionExpirySeconds": 60, "subscriptions": 1}
    assert call("POST", one(name) + "/disconnect") == (200, {})
    assert live.is_cut(5)
    status, answer = call("GET", one(name))
    assert answer["client"]["connected"] is False and "disconnected by" in answer["client"]["lastDisconnect"]
    assert call("POST", one(name) + "/disconnect")[0] == 404
    assert call("GET", one(name + "x"))[0] == 404


def test_lists_come_in_pages(call, identity, connect, unique):
    device = identity(ANY)
    names = [f"{unique}-{n}" for n in range(3)]
    for name in names:
        connect(device, name)
    status, page = call("GET", f"/_admin/mqtt/clients?limit=2&after={unique}")
    assert status == 200 and [c["clientId"] for c in page["clients"]] == names[:2] and page["nextAfter"] == names[1]
    status, page = call("GET", f"/_admin/mqtt/clients?limit=1&after={names[1]}")
    assert [c["clientId"] for c in page["clients"]] == names[2:]
    assert call("GET", "/_admin/mqtt/clients?limit=0")[0] == 400
    assert call("GET", "/_admin/mqtt/clients?limt=1")[0] == 400


def test_only_the_authorised_may_administer(call, identity, connect, iam, ann):
    device = identity(ANY)
    live = connect(device)
    paths = (("GET", "/_admin/mqtt/clients"), ("GET", one(device.name)), ("POST", one(device.name) + "/disconnect"))
    for method, path in paths:
        assert call(method, path, key=False)[0] == 403
        assert call(method, path, key=ann.key)[0] == 403
        assert call(method, path, service="iot")[0] in (400, 403, 404)
        assert device.https(method, path)[0] == 403  # an IoT policy with iot:* is no administrator
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "muster:GetMqttClient", "Resource": f"arn:aws:iot:*:*:client/{device.name}"},
            {"Effect": "Allow", "Action": "muster:ListMqttClients", "Resource": "*"}]}))
    assert call("GET", "/_admin/mqtt/clients", key=ann.key)[0] == 200
    assert call("GET", one(device.name), key=ann.key)[0] == 200
    assert call("GET", one("other"), key=ann.key)[0] == 403
    assert call("POST", one(device.name) + "/disconnect", key=ann.key)[0] == 403
    assert not live.lost.is_set()


def test_the_command_line(platform, identity, connect):
    device = identity(ANY)
    live = connect(device)
    listed = muster(platform, "clients")
    assert listed.returncode == 0, listed.stderr
    head, *rows = listed.stdout.splitlines()
    assert head.split()[:3] == ["CLIENT", "STATE", "SINCE"]
    assert any(row.startswith(device.name) and "online" in row for row in rows)
    assert f"principal             {device.id}" in muster(platform, "client", device.name).stdout
    assert muster(platform, "disconnect", device.name).stdout == f"{device.name} is disconnected\n"
    assert live.is_cut(5)
    gone = muster(platform, "disconnect", device.name)
    assert gone.returncode == 1 and "No MQTT client is connected" in gone.stderr
