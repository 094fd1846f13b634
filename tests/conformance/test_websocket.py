# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket: paho on ws and wss, pre-signed by botocore, with a certificate, and what is refused."""
import base64
import datetime
import hashlib
import json
import os
import queue
import socket
import ssl
import threading
import time
import urllib.parse

import paho.mqtt.client
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tls_device import Identity, document, statement

ANY = statement("Allow", "iot:*", "*")


class Door:
    """Where WebSockets are opened: the API port plain or with TLS, or the device port."""

    def __init__(self, platform, kind):
        self.platform, self.kind = platform, kind
        if kind == "device":
            self.host = platform.environment["MUSTER_MQTT_HOST"]
            self.port = int(platform.environment["MUSTER_MQTT_PORT"])
        else:
            self.host, self.port = "127.0.0.1", platform.http_port
        self.tls = kind != "plain"

    def context(self):
        return ssl.create_default_context(cafile=self.platform.ca_file)

    def path(self, key, *, token_appended=False, expires=None, service="iotdevicegateway", age_s=0, path="/mqtt"):
        """The path and query of a URL that botocore signed."""
        token = key.get("SessionToken")
        credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"], None if token_appended else token)
        scheme = "wss" if self.tls else "ws"
        request = AWSRequest("GET", f"{scheme}://{self.host}:{self.port}{path}")
        if age_s:
            class Old(SigV4QueryAuth):
                def add_auth(self, request):
                    then = datetime.datetime.utcnow() - datetime.timedelta(seconds=age_s)
                    request.context["timestamp"] = then.strftime("%Y%m%dT%H%M%SZ")
                    self._modify_request_before_signing(request)
                    text = self.string_to_sign(request, self.canonical_request(request))
                    self._inject_signature_to_request(request, self.signature(text, request))
            signer = Old
        else:
            signer = SigV4QueryAuth
        signer(credentials, service, self.platform.region, expires=expires or 300).add_auth(request)
        url = urllib.parse.urlsplit(request.url)
        query = url.query
        if token_appended:
            query += "&X-Amz-Security-Token=" + urllib.parse.quote(token, safe="")
        return f"{url.path}?{query}"

    def socket(self, context=None):
        plain = socket.create_connection((self.host, self.port), timeout=10)
        return (context or self.context()).wrap_socket(plain, server_hostname=self.host) if self.tls else plain

    def upgrade(self, target, context=None, method="GET", version="HTTP/1.1", **changes):
        """(status, body) of a raw handshake; a header with the value None is left out."""
        headers = {"Host": f"{self.host}:{self.port}", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "mqtt",
                   "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()}
        headers.update({name.replace("_", "-"): value for name, value in changes.items()})
        lines = [f"{method} {target} {version}", *(f"{k}: {v}" for k, v in headers.items() if v is not None), "", ""]
        with self.socket(context) as connection:
            connection.sendall("\r\n".join(lines).encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                more = connection.recv(4096)
                assert more, answer
                answer += more
            status = int(answer.split()[1])
            if status == 101:
                accept = hashlib.sha1(headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
                assert base64.b64encode(accept.digest()) in answer
            return status, answer.partition(b"\r\n\r\n")[2].decode()


class Socket:
    """One MQTT connection over a WebSocket, by paho."""

    def __init__(self, door, path, client_id, context=None, version=4, user=None):
        self.messages, self.granted, self.acknowledged = queue.Queue(), queue.Queue(), queue.Queue()
        self.answered, self.lost = threading.Event(), threading.Event()
        self.code = None
        self.client = paho.mqtt.client.Client(client_id, transport="websockets", protocol=version,
                                              reconnect_on_failure=False)
        self.client.ws_set_options(path=path)
        if door.tls:
            self.client.tls_set_context(context or door.context())
        if user:
            self.client.username_pw_set(*user)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: (self.lost.set(), self.answered.set())
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, *_: self.granted.put(codes[0])
        self.client.on_publish = lambda _c, _u, mid: self.acknowledged.put(mid)
        self.client.connect(door.host, door.port)
        self.client.loop_start()
        assert self.answered.wait(10)

    def _on_connect(self, _client, _userdata, _flags, code, *_):
        self.code = getattr(code, "value", code)
        self.answered.set()

    def roundtrip(self, topic, payload):
        self.client.subscribe(topic, 1)
        granted = self.granted.get(timeout=5)
        assert getattr(granted, "value", granted) == 1
        self.client.publish(topic, payload, 1)
        assert self.messages.get(timeout=10).payload == payload

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def opened():
    made = []

    def make(*arguments, **more):
        made.append(Socket(*arguments, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def user(iam, unique):
    """A maker of users with a policy; answers the key."""
    def make(*statements):
        name = f"ws-{unique}-{make.count}"
        make.count += 1
        make.id = iam.create_user(UserName=name)["User"]["UserId"]
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        return {**iam.create_access_key(UserName=name)["AccessKey"], "name": name}
    make.count = 0
    return make


@pytest.fixture
def session(platform, iam, user, unique):
    def make(*statements, **more):
        trust = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
        role = iam.create_role(RoleName=f"ws-{unique}", AssumeRolePolicyDocument=trust)["Role"]
        iam.put_role_policy(RoleName=f"ws-{unique}", PolicyName="p", PolicyDocument=document(*statements))
        key = user(statement("Allow", "sts:AssumeRole", "*"))
        sts = platform.client("sts", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
        return sts.assume_role(RoleArn=role["Arn"], RoleSessionName="browser", **more)["Credentials"]
    return make


@pytest.mark.parametrize("kind", ["plain", "api", "device"])
@pytest.mark.parametrize("version", [4, 5])
def test_signed_url(platform, user, opened, unique, kind, version):
    door = Door(platform, kind)
    live = opened(door, door.path(user(ANY)), f"c-{unique}", version=version)
    assert live.code == 0
    live.roundtrip(f"t/{unique}", b"x" * 100_000)  # more than a TLS record, a frame's short length and a read


def test_session_tokens_signed_or_appended(platform, session, opened, unique):
    door, key = Door(platform, "api"), session(ANY)
    for appended in (False, True):
        live = opened(door, door.path(key, token_appended=appended), f"c-{unique}-{appended}")
        assert live.code == 0
        live.roundtrip(f"t/{unique}/{appended}", b"hello")
    forged = {**key, "SessionToken": key["SessionToken"][:-8] + "AAAAAAAA"}
    assert door.upgrade(door.path(forged, token_appended=True))[0] == 403


def test_wrong_credentials_are_refused_before_the_upgrade(platform, user):
    door, key = Door(platform, "plain"), user(ANY)
    assert door.upgrade(door.path(key))[0] == 101
    assert door.upgrade("/mqtt")[0] == 403
    assert door.upgrade(door.path({**key, "SecretAccessKey": "x" * 40}))[0] == 403
    assert door.upgrade(door.path({**key, "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"}))[0] == 403
    assert door.upgrade(door.path(key) + "&more=1")[0] == 403
    assert door.upgrade(door.path(key, service="iotdata"))[0] == 403
    assert door.upgrade(door.path(key), Host="elsewhere")[0] == 403
    assert door.upgrade(door.path(key, expires=60, age_s=61))[0] == 403
    assert door.upgrade(door.path(key, expires=3600, age_s=1800))[0] == 101
    assert door.upgrade("/mqtt?x-amz-customauthorizer-name=a&token=b")[0] == 403
    assert door.upgrade("/mqtt", X_Amz_CustomAuthorizer_Name="a")[0] == 403
    assert Door(platform, "device").upgrade("/mqtt")[0] == 403


def test_signed_header(platform, user):
    door, key = Door(platform, "plain"), user(ANY)
    request = AWSRequest("GET", f"http://{door.host}:{door.port}/mqtt")
    SigV4Auth(Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "iotdevicegateway",
              platform.region).add_auth(request)
    signed = {"Authorization": request.headers["Authorization"], "X-Amz-Date": request.headers["X-Amz-Date"]}
    assert door.upgrade("/mqtt", **signed)[0] == 101
    signed["Authorization"] = signed["Authorization"][:-1] + ("0" if signed["Authorization"][-1] != "0" else "1")
    assert door.upgrade("/mqtt", **signed)[0] == 403


def test_handshake_errors(platform, user):
    door = Door(platform, "plain")
    path = door.path(user(ANY))
    for status, changes in [(400, {"Sec_WebSocket_Protocol": "soap"}), (400, {"Sec_WebSocket_Protocol": None}),
                            (400, {"Sec_WebSocket_Key": "c2hvcnQ="}), (400, {"Connection": "keep-alive"}),
                            (426, {"Sec_WebSocket_Version": "8"}), (403, {"Origin": "https://elsewhere.example"}),
                            (400, {"method": "POST"}), (400, {"version": "HTTP/1.0"}),
                            (101, {"Sec_WebSocket_Protocol": "mqttv3.1"}),
                            (101, {"Origin": f"http://{door.host}:{door.port}"})]:
        assert door.upgrade(path, **changes)[0] == status, changes


def test_certificate(platform, iot, opened, unique, tmp_path):
    door = Door(platform, "device")
    device = Identity(platform, tmp_path, f"d-{unique}", statement("Allow", ["iot:Connect", "iot:Subscribe"], "*"),
                      statement("Allow", ["iot:Publish", "iot:Receive"],
                                f"arn:aws:iot:{platform.region}:*:topic/mine/*"))
    live = opened(door, "/mqtt", device.name, context=device.context())
    assert live.code == 0
    live.roundtrip("mine/a", b"x")
    iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert live.lost.wait(1)
    again = opened(door, "/mqtt", device.name, context=device.context())
    assert again.code != 0


def test_identity_policies_decide(platform, user, opened, unique):
    door = Door(platform, "plain")
    arn = f"arn:aws:iot:{platform.region}:*:"
    key = user(statement("Allow", "iot:Connect", f"{arn}client/ok-*"),
               statement("Allow", ["iot:Publish", "iot:Receive"], f"{arn}topic/open/*"),
               statement("Allow", "iot:Subscribe", f"{arn}topicfilter/open/*"),
               statement("Deny", "iot:Publish", f"{arn}topic/open/not"))
    assert opened(door, door.path(key), f"no-{unique}").code != 0
    live = opened(door, door.path(key), f"ok-{unique}")
    assert live.code == 0
    live.roundtrip(f"open/{unique}", b"x")
    live.client.subscribe("closed/#", 1)
    assert live.granted.get(timeout=5) == 0x80
    live.client.publish("open/not", b"x", 1)
    assert live.lost.wait(5)
    retained = opened(door, door.path(key), f"ok-{unique}-r")
    retained.client.publish(f"open/{unique}", b"x", 1, retain=True)  # iot:RetainPublish is another permission
    assert retained.lost.wait(5)


@pytest.mark.parametrize("change", ["inactive", "deleted", "policy", "tag"])
def test_change_cuts_live_connections_within_a_second(platform, iam, user, opened, unique, change):
    left = {**statement("Deny", "iot:Connect", "*"), "Condition": {"StringEquals": {"aws:PrincipalTag/state": "left"}}}
    door, key = Door(platform, "plain"), user(ANY, left)
    live = opened(door, door.path(key), f"c-{unique}")
    other = opened(door, door.path(user(ANY)), f"o-{unique}")
    assert live.code == other.code == 0
    if change == "inactive":
        iam.update_access_key(UserName=key["name"], AccessKeyId=key["AccessKeyId"], Status="Inactive")
    elif change == "deleted":
        iam.delete_access_key(UserName=key["name"], AccessKeyId=key["AccessKeyId"])
    elif change == "policy":
        iam.delete_user_policy(UserName=key["name"], PolicyName="p")
    else:
        iam.tag_user(UserName=key["name"], Tags=[{"Key": "state", "Value": "left"}])
    assert live.lost.wait(1.5)
    assert not other.lost.is_set()
    other.roundtrip(f"t/{unique}", b"x")


def test_policies_see_the_upgrade_request(platform, user, opened, unique):
    door = Door(platform, "plain")

    def code(operator, key, value):
        condition = {operator: {key: value}}
        return opened(door, door.path(user({**ANY, "Condition": condition})), f"c-{unique}").code
    assert code("StringEquals", "aws:RequestedRegion", platform.region) == 0
    assert code("StringEquals", "aws:RequestedRegion", "elsewhere") != 0
    assert code("IpAddress", "aws:SourceIp", "127.0.0.0/8") == 0
    assert code("Null", "aws:UserAgent", "true") == 0, "paho sends none"
    assert code("Null", "aws:UserAgent", "false") != 0


def test_session_policy_and_deleted_role(platform, iam, session, opened, unique):
    door = Door(platform, "plain")
    key = session(ANY, Policy=document(ANY, statement("Deny", "iot:Publish", "*")))
    live = opened(door, door.path(key), f"c-{unique}")
    assert live.code == 0
    live.client.publish("t", b"x", 1)
    assert live.lost.wait(5)
    live = opened(door, door.path(key), f"c-{unique}")
    iam.delete_role_policy(RoleName=f"ws-{unique}", PolicyName="p")
    assert live.lost.wait(1.5)


def test_tls_without_anything_is_refused_at_connect(platform, unique):
    """No certificate, no signature: the handshake is fine, CONNECT is not, with or without a token."""
    door = Door(platform, "device")
    for alpn in ([], ["mqtt"]):
        for user in (None, ("u?x-amz-customauthorizer-name=a", "p")):
            context = door.context()
            if alpn:
                context.set_alpn_protocols(alpn)
            codes = queue.Queue()
            client = paho.mqtt.client.Client(f"c-{unique}", reconnect_on_failure=False)
            client.tls_set_context(context)
            if user:
                client.username_pw_set(*user)
            client.on_connect = lambda _c, _u, _f, code, *_: codes.put(code)
            client.connect(door.host, door.port)
            client.loop_start()
            assert codes.get(timeout=10) in (4, 5)
            client.loop_stop()
    assert "there is no such authoriser" in platform.log()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("alpn", ["", "mqtt", "x-amzn-mqtt-ca", "http/1.1", "x-amzn-http-ca"])
def test_one_port_by_alpn(platform, unique, tmp_path, version, alpn):
    device = Identity(platform, tmp_path, f"d-{unique}", ANY)
    packet = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04" + unique[:4].encode()
    context = device.context(version, [alpn] if alpn else None)
    if "http" not in alpn:
        with device.connection(context) as connection:
            connection.sendall(packet)
            assert connection.recv(4) == b"\x20\x02\x00\x00"
    if "mqtt" not in alpn:
        with device.connection(device.context(version, [alpn] if alpn else None)) as connection:
            connection.sendall(b"GET /things/x/jobs HTTP/1.1\r\nHost: h\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.1 "


def test_frames_that_break_the_protocol(platform, user):
    door = Door(platform, "plain")
    target = door.path(user(ANY))
    for bad, code in [(b"\x82\x01x", 1002), (b"\x81\x81\0\0\0\0x", 1003), (b"\xc2\x81\0\0\0\0x", 1002),
                      (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1002)]:
        with door.socket() as connection:
            connection.sendall((f"GET {target} HTTP/1.1\r\nHost: {door.host}:{door.port}\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode() + bad)
            answer = b""
            while more := connection.recv(4096):
                answer += more
        assert answer.partition(b"\r\n\r\n")[2] == b"\x88\x02" + code.to_bytes(2, "big"), bad


def test_expiry_of_the_url_ends_no_connection(platform, opened, user, unique):
    """A pre-signed URL's own lifetime ends no connection."""
    door = Door(platform, "plain")
    live = opened(door, door.path(user(ANY), expires=1), f"c-{unique}")
    time.sleep(1.2)
    live.roundtrip(f"t/{unique}", b"x")
