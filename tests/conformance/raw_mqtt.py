# SPDX-License-Identifier: Apache-2.0
"""MQTT packets and WebSocket frames byte by byte, right or wrong as the test wants them."""
import base64
import os
import socket
import struct

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from mqtt_bytes import packet, string, take_packet, varint

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 5, 6, 7, 9, 13, 14
PING = b"\xc0\x00"


def props(version, data=b""):
    return varint(len(data)) + data if version == 5 else b""


def user_properties(count):
    return (b"\x26" + string("a") + string("b")) * count


def connect(client_id, version=4, *, clean=True, keep_alive=60, properties=b"", will=None):
    """will: (topic, payload, qos, retain, properties)."""
    flags, tail = (2 if clean else 0), string(client_id)
    if will:
        topic, payload, qos, retain, more = will
        flags |= 4 | qos << 3 | (32 if retain else 0)
        tail += props(version, more) + string(topic) + string(payload)
    head = string("MQTT") + struct.pack(">BBH", version, flags, keep_alive)
    return packet(0x10, head + props(version, properties) + tail)


def publish(topic, payload=b"x", qos=0, packet_id=1, version=4, *, retain=False, properties=b"", dup=False):
    number = struct.pack(">H", packet_id) if qos else b""
    return packet(0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0),
                  string(topic) + number + props(version, properties) + payload)


def subscribe(filters, packet_id=1, version=4, *, qos=1):
    asked = b"".join(string(each) + bytes([qos]) for each in filters)
    return packet(0x82, struct.pack(">H", packet_id) + props(version) + asked)


def acknowledge(kind, packet_id):
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack(">H", packet_id))


def deliver(stream, topic, payload, qos=1, packet_id=1):
    """Publishes, in 3.1.1, and waits for the last acknowledgement."""
    stream.send(publish(topic, payload, qos, packet_id))
    if qos == 2:
        stream.expect(PUBREC)
        stream.send(acknowledge(PUBREL, packet_id))
    stream.expect(PUBCOMP if qos == 2 else PUBACK)


class Stream:
    """Packets over a connected socket."""

    def __init__(self, stream, timeout=5):
        self.socket, self.received = stream, b""
        stream.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *pieces):
        """False when the other side had closed in the middle of it."""
        try:
            self.socket.sendall(b"".join(pieces))
            return True
        except (BrokenPipeError, ConnectionResetError, ConnectionAbortedError):
            return False

    def read(self):
        """More bytes of MQTT; empty at the end of the stream."""
        try:
            return self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def packet(self):
        """(type, flags, body) of the next packet; None at the end of the stream."""
        while True:
            if taken := take_packet(self.received):
                size, out, self.received = taken
                return out[0] >> 4, out[0] & 15, out[size:]
            more = self.read()
            if not more:
                return None
            self.received += more

    def expect(self, kind):
        got = self.packet()
        assert got and got[0] == kind, got
        return got

    def packets(self):
        """All that comes until the end of the stream."""
        return list(iter(self.packet, None))

    def open(self, client_id, version=4, **options):
        self.send(connect(client_id, version, **options))
        _, _, body = self.expect(CONNACK)
        assert body[1] == 0, f"CONNACK {body[1]}"
        return self

    def ping(self):
        """True when the other side still answers: everything sent before has been looked at."""
        if not self.send(PING):
            return False
        while got := self.packet():
            if got[0] == PINGRESP:
                return True
        return False


def plain(address, *arguments, **options):
    """A connection to the plain port; with a client id it is connected."""
    stream = Stream(socket.create_connection(address, timeout=10))
    return stream.open(*arguments, **options) if arguments else stream


def frame(opcode, data=b"", *, fin=True, masked=True, reserved=0, length=None):
    """One frame; length is bytes of its length field that lie (the second byte of the frame and what follows it)."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if length is None:
        mask_bit = 0x80 if masked else 0
        length = bytes([mask_bit | len(data)]) if len(data) < 126 else \
            bytes([mask_bit | 126]) + struct.pack(">H", len(data)) if len(data) < 65536 else \
            bytes([mask_bit | 127]) + struct.pack(">Q", len(data))
    key = b"\x12\x34\x56\x78"
    if masked:
        whole = key * (len(data) // 4 + 1)
        data = key + (int.from_bytes(data, "big") ^ int.from_bytes(whole[:len(data)], "big")).to_bytes(len(data), "big")
    return head + length + data


def presigned_target(platform, credentials=None):
    environment = platform.environment
    key = credentials or Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    ask = AWSRequest("GET", f"http://127.0.0.1:{platform.http_port}/mqtt")
    SigV4QueryAuth(key, "iotdevicegateway", platform.region, expires=60).add_auth(ask)
    return ask.url.partition(str(platform.http_port))[2]


class WebSocket(Stream):
    """A WebSocket to the API port; .send() takes frames, .send_mqtt() packets, .packet() gives packets."""

    def __init__(self, platform, *, target=None, headers=(), timeout=5):
        super().__init__(socket.create_connection(("127.0.0.1", platform.http_port), timeout=10), timeout)
        fields = {"Host": f"127.0.0.1:{platform.http_port}", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "mqtt",
                  "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), **dict(headers)}
        lines = [f"GET {target or presigned_target(platform)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.socket.recv(65536)
            assert more, f"closed in the handshake after {head}"
            head += more
        self.head, _, self.raw = head.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])
        self.controls = []  # (opcode, data) of the control frames that came

    def send_mqtt(self, *pieces):
        return self.send(frame(2, b"".join(pieces)))

    def frame(self):
        """(first byte, data) of the next frame; None at the end of the stream."""
        while True:
            if len(self.raw) >= 2:
                size, start = self.raw[1], 2
                assert size < 128, "a server's frame is never masked"
                if size >= 126:
                    start = 4 if size == 126 else 10
                    size = int.from_bytes(self.raw[2:start], "big")
                if len(self.raw) >= start + size:
                    first, data = self.raw[0], self.raw[start:start + size]
                    self.raw = self.raw[start + size:]
                    return first, data
            more = super().read()
            if not more:
                return None
            self.raw += more

    def read(self):
        while got := self.frame():
            if got[0] & 15 in (0, 2):
                return got[1]
            self.controls.append((got[0] & 15, got[1]))
        return b""

    def open(self, client_id, version=4, **options):
        assert self.status == 101, self.head
        self.send_mqtt(connect(client_id, version, **options))
        assert self.expect(CONNACK)[2][1] == 0
        return self

    def ping(self):
        if not self.send_mqtt(PING):
            return False
        while got := self.packet():
            if got[0] == PINGRESP:
                return True
        return False

    def close_code(self):
        """The code in the CLOSE frame with which the other side ends, 0 without one; None when it does not end."""
        try:
            self.packets()
        except TimeoutError:
            return None
        codes = [int.from_bytes(data[:2], "big") for opcode, data in self.controls if opcode == 8]
        return codes[0] if codes else 0
