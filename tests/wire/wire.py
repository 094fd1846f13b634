# SPDX-License-Identifier: Apache-2.0
"""Runs wire scripts: exact bytes to a broker's plain MQTT port and exact bytes back, in MQTT 3.1.1 and 5.

A script says in its first line what it shows, with the numbers of the rules that it proves in brackets: [MQTT-3.1.2-3]
is a statement of 3.1.1's appendix B, [MQTT5-3.3.2-7] one of 5's, [MQTT5 4.8.2] a rule of that section without a number.
rules.md lists them all. `versions: 5` restricts a script (else both run); `each: 00 | 01` runs it once with each of
these in place of {each}. Then one step a line:

  a> 10 <s'MQTT' {L} 02 003c {P} s'{u}a'>   connection a (opened at first use) sends these bytes
  a>> ...                                   the same, one byte a segment
  a> close                                  closes the socket without a word
  a< 20 <00 00 ...>                         a receives exactly this packet next
  a< closed                                 a is closed by the broker, with nothing before
  a< nothing                                nothing is on its way: PINGREQ is answered at once
  a|b< 30 <s't' {P}>                        one of a and b receives this next, the other nothing
  3* a> 32 <s't' {n} {P}>                   three times; {n} is 0001, 0002, 0003
  wait 1.2                                  seconds
  3: STEP / 5: STEP                         only in 3.1.1 / 5

Bytes are hex digits; 'text' (repeated: 'x'*100), s'text' with its 16-bit length, [...] a 16-bit length of what is inside,
<...> a remaining length (or property length), ?? any byte, ... the rest of the packet. {L} is the protocol level, {P} an
empty property list (nothing in 3.1.1), {u} ten characters of the test's own. A connection that was closed opens anew
when its name sends again.
"""
import pathlib
import re
import select
import socket
import time

from mqtt_bytes import take_packet, varint

TIMEOUT = 5
TOKEN = re.compile(r"\s+|(?P<text>s?'(?:[^'\\]|\\.)*')(?:\*(?P<times>\d+))?|(?P<hex>[0-9a-fA-F]{2})|(?P<any>\?\?)"
                   r"|(?P<rest>\.\.\.)|(?P<open>[<\[])|(?P<close>[>\]])")


class WireError(AssertionError):
    pass


def parse(text):
    """A list of byte values; None is any byte, a last Ellipsis the rest of the packet."""
    stack, openers, position = [[]], [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise ValueError(f"cannot read {text[position:]!r}")
        position = match.end()
        if match["text"]:
            string = match["text"]
            prefixed = string.startswith("s")
            value = string[2 if prefixed else 1:-1].encode().decode("unicode_escape").encode("latin-1")
            value *= int(match["times"] or 1)
            stack[-1] += ([len(value) >> 8, len(value) & 255] if prefixed else []) + list(value)
        elif match["hex"]:
            stack[-1].append(int(match["hex"], 16))
        elif match["any"]:
            stack[-1].append(None)
        elif match["rest"]:
            stack[-1].append(Ellipsis)
        elif match["open"]:
            stack.append([])
            openers.append(match["open"])
        elif match["close"]:
            inner, opener = stack.pop(), openers.pop()
            if (opener, match["close"]) not in (("<", ">"), ("[", "]")):
                raise ValueError(f"{opener} closed by {match['close']}")
            if Ellipsis in inner and (inner[-1] is not Ellipsis or inner.count(Ellipsis) > 1):
                raise ValueError("... stands at the end of the packet")
            size = len(inner)
            # With an open end the length is any; its own size is checked by the framing.
            if Ellipsis in inner:
                length = ["length"]
            else:
                length = list(varint(size)) if opener == "<" else [size >> 8, size & 255]
            stack[-1] += length + inner
    if openers:
        raise ValueError(f"{openers[-1]} is not closed")
    return stack[0]


def matches(pattern, packet):
    at = 0
    for index, want in enumerate(pattern):
        if want is Ellipsis:
            return index == len(pattern) - 1
        if want == "length":
            while at < len(packet) and packet[at] & 0x80:
                at += 1
            at += 1
            continue
        if at >= len(packet) or (want is not None and packet[at] != want):
            return False
        at += 1
    return at == len(packet)


def shown(packet):
    text = "".join(chr(b) if 32 <= b < 127 else "." for b in packet)
    return f"{packet.hex(' ')}  |{text}|" if packet else "nothing"


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address, TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self, data, one_by_one=False):
        try:
            if one_by_one:
                for byte in data:
                    self.socket.sendall(bytes([byte]))
            else:
                self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed in the middle of what it refuses: what it answered is looked at next

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise WireError(f"nothing within {TIMEOUT} s; before: {shown(self.received)}") from None
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)

    def packet(self):
        """The next packet's bytes; empty at the end of the stream."""
        while True:
            if taken := take_packet(self.received):
                _, out, self.received = taken
                return out
            if not self._more():
                if self.received:
                    raise WireError(f"closed within a packet: {shown(self.received)}")
                return b""


def first_to_receive(connections):
    """The one that has something to read, or reached the end of its stream, first."""
    for connection in connections:
        if connection.received:
            return connection
    readable, _, _ = select.select([connection.socket for connection in connections], [], [], TIMEOUT)
    if not readable:
        raise WireError(f"none received anything within {TIMEOUT} s")
    return next(connection for connection in connections if connection.socket is readable[0])


class Script:
    def __init__(self, name, lines, version):
        self.name, self.lines, self.version = name, lines, version

    def waits(self):
        """Seconds that it spends in waits."""
        return sum(float(line[5:]) for _, line in self.lines if line.startswith("wait "))

    def run(self, address, unique):
        connections = {}
        try:
            for number, line in self.lines:
                try:
                    self._repeat(connections, address, line, unique)
                except (WireError, ValueError) as error:
                    raise WireError(f"{self.name}:{number}: {line}\n  {error}") from None
        finally:
            for connection in connections.values():
                connection.socket.close()

    def _repeat(self, connections, address, line, unique):
        match = re.match(r"(\d+)\* ", line)
        times = int(match[1]) if match else 1
        step = line[match.end():] if match else line
        for n in range(1, times + 1):
            self._step(connections, address, step.replace("{n}", f"{n:04x}"), unique)

    def _step(self, connections, address, line, unique):
        if line.startswith("wait "):
            time.sleep(float(line[5:]))
            return
        match = re.fullmatch(r"([a-z](?:\|[a-z])*)(>>?|<) (.*)", line)
        if not match:
            raise ValueError("not a step")
        names, direction, what = match[1].split("|"), match[2], match[3]
        for name in names:
            if name not in connections:
                connections[name] = Connection(address)
        if direction == "<":
            self._receive(connections, names, what, unique)
        elif len(names) > 1:
            raise ValueError("one connection sends")
        elif what == "close":
            connections.pop(names[0]).socket.close()
        else:
            data = self._bytes(what, unique)
            if not all(isinstance(b, int) for b in data):
                raise ValueError("bytes to send cannot be open")
            connections[names[0]].send(bytes(data), direction == ">>")

    def _receive(self, connections, names, what, unique):
        receiver = first_to_receive([connections[name] for name in names]) if len(names) > 1 else connections[names[0]]
        if what == "nothing":
            receiver.send(b"\xc0\x00")
            expected = [0xD0, 0x00]
        else:
            expected = [] if what == "closed" else self._bytes(what, unique)
        packet = receiver.packet()
        if not matches(expected, packet):
            raise WireError(f"received {shown(packet)}")
        if what == "closed":
            connections.pop(names[0]).socket.close()
        for name in names:
            if len(names) > 1 and connections[name] is not receiver:
                self._receive(connections, [name], "nothing", unique)

    def _bytes(self, text, unique):
        level, properties = ("05", "00") if self.version == 5 else ("04", "")
        return parse(text.replace("{u}", unique).replace("{L}", level).replace("{P}", properties))


def load(path, root):
    """The scripts of each version and each value that the file is for."""
    versions, values, steps = (3, 5), [""], []
    text = path.read_text()
    if not text.startswith("# "):
        raise ValueError(f"{path}: the first line says what it shows")
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(" # ")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("versions:"):
            versions = tuple(int(v[0]) for v in line[9:].split())
            continue
        if line.startswith("each:"):
            values = ([] if values == [""] else values) + [value.strip() for value in line[5:].split(" | ")]
            continue
        only, _, step = line.partition(": ") if re.match(r"[35]: ", line) else ("35", "", line)
        steps.append((number, only, step))
    for version in versions:
        for at, value in enumerate(values, 1):
            name = f"{path.relative_to(root).with_suffix('')}-{'v5' if version == 5 else 'v311'}"
            name += f"-{at}" if len(values) > 1 else ""
            yield Script(name, [(n, step.replace("{each}", value)) for n, only, step in steps if str(version) in only],
                         version)


def load_all(root=pathlib.Path(__file__).parent):
    return [script for path in sorted(root.glob("*/*.wire")) for script in load(path, root)]
