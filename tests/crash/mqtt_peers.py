# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 clients that keep what the protocol makes them keep over any number of lost connections: publishers that know
what was acknowledged, subscribers that know what they were given. They reconnect by themselves and end when told."""
import collections
import socket
import struct
import threading
import time

from mqtt_bytes import packet, string, take_packet


class Broken(Exception):
    """The server broke a promise."""


class Peer(threading.Thread):
    def __init__(self, name, port):
        super().__init__(name=name, daemon=True)
        self.client_id, self.port = name, port
        self.known = False  # the server has promised to keep the session
        self.stopping = threading.Event()
        self.failure = None
        self.connections = 0

    def run(self):
        while not self.stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as self.socket:
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.socket.settimeout(5)
                    self.received = b""
                    self._connect()
                    self.serve()
            except (OSError, EOFError):
                time.sleep(0.01)
            except Broken as broken:
                self.failure = f"{self.client_id}: {broken}"
                return

    def _connect(self):
        self.send(packet(0x10, string("MQTT") + b"\x04\x00\x00\x3c" + string(self.client_id)))
        first, body = self.read()
        if first != 0x20:
            raise Broken(f"{first:02x} instead of CONNACK")
        if body[1] != 0:
            raise OSError(f"CONNACK {body[1]}")
        if self.known and body[0] != 1:
            raise Broken("the session is gone")
        self.known = True
        self.connections += 1

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        while True:
            if taken := take_packet(self.received):
                size, out, self.received = taken
                return out[0], out[size:]
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.received += data


class Publisher(Peer):
    """Numbers 1, 2, 3... on its topic at one QoS, a window of them at a time; with `retain` each replaces the one before."""

    def __init__(self, name, port, topic, qos, retain=False, window=20):
        super().__init__(name, port)
        self.topic, self.qos, self.retain, self.window = topic, qos, retain, window
        self.flying = collections.OrderedDict()  # packet id -> number, None once it only waits for PUBCOMP
        self.next_number, self.next_id = 1, 1
        self.acknowledged = 0  # the largest number up to which everything was
        self.done = set()
        self.limit = None

    def _publish(self, packet_id, number, dup):
        first = 0x30 | self.qos << 1 | (8 if dup else 0) | (1 if self.retain else 0)
        self.send(packet(first, string(self.topic) + struct.pack(">H", packet_id) + str(number).encode()))

    def serve(self):
        for packet_id, number in list(self.flying.items()):
            if number is None:
                self.send(packet(0x62, struct.pack(">H", packet_id)))
            else:
                self._publish(packet_id, number, True)
        while not (self.stopping.is_set() and not self.flying):
            while len(self.flying) < self.window and not self.stopping.is_set():
                packet_id, self.next_id = self.next_id, self.next_id % 65535 + 1
                self.flying[packet_id] = self.next_number
                self.next_number += 1
                self._publish(packet_id, self.flying[packet_id], False)
            if self.flying:
                self._answer(*self.read())

    def _answer(self, first, body):
        packet_id = struct.unpack(">H", body[:2])[0]
        if first == 0x50:
            number = self.flying.get(packet_id)
            if number is not None:
                self._acknowledge(number)
                self.flying[packet_id] = None
            self.send(packet(0x62, struct.pack(">H", packet_id)))
            return
        if first not in (0x40, 0x70):
            raise Broken(f"{first:02x} to a publisher")
        number = self.flying.pop(packet_id, None)
        if number is not None:
            self._acknowledge(number)

    def _acknowledge(self, number):
        self.done.add(number)
        while self.acknowledged + 1 in self.done:
            self.done.discard(self.acknowledged + 1)
            self.acknowledged += 1

    def finish(self):
        self.stopping.set()


class Subscriber(Peer):
    """Writes down the numbers of each topic as the protocol hands them to an application."""

    def __init__(self, name, port, topic_filter, qos):
        super().__init__(name, port)
        self.filter, self.qos = topic_filter, qos
        self.subscribed = False
        self.got = collections.defaultdict(list)  # topic -> numbers
        self.unreleased = set()
        self.repeated = 0

    def serve(self):
        if not self.subscribed:
            self.send(packet(0x82, b"\0\1" + string(self.filter) + bytes([self.qos])))
        while not self.stopping.is_set():
            try:
                first, body = self.read()
            except TimeoutError:
                self.send(b"\xc0\x00")
                continue
            if first >> 4 == 3:
                self._message(first, body)
            elif first == 0x62:
                self.unreleased.discard(struct.unpack(">H", body)[0])
                self.send(packet(0x70, body))
            elif first == 0x90:
                if body[2] != self.qos:
                    raise Broken(f"SUBACK {body[2]}")
                self.subscribed = True
            elif first != 0xD0:
                raise Broken(f"{first:02x} to a subscriber")

    def _message(self, first, body):
        size = struct.unpack(">H", body[:2])[0]
        topic, body = body[2:2 + size].decode(), body[2 + size:]
        qos = first >> 1 & 3
        if qos == 0:
            raise Broken("a message at QoS 0")
        packet_id, number = struct.unpack(">H", body[:2])[0], int(body[2:])
        if qos == 2:
            if packet_id not in self.unreleased:
                self.unreleased.add(packet_id)
                self._take(topic, number, False)
            self.send(packet(0x50, body[:2]))
            return
        # Also without DUP: what was sent on before it was acknowledged comes from its publisher again after a crash.
        self._take(topic, number, True)
        self.send(packet(0x40, body[:2]))

    def _take(self, topic, number, may_repeat):
        got = self.got[topic]
        last = got[-1] if got else 0
        if number == last + 1:
            got.append(number)
        elif number <= last and may_repeat:
            self.repeated += 1
        else:
            raise Broken(f"{number} behind {last} on {topic}")

    def finish(self):
        self.stopping.set()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
