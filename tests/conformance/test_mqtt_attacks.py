# SPDX-License-Identifier: Apache-2.0
"""Hostile MQTT peers: packets that lie about themselves, floods, connections after their takeover, hoarders."""
import concurrent.futures
import pathlib
import re
import struct
import threading
import time

import pytest

import raw_mqtt
from raw_mqtt import (DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, acknowledge, connect, packet, plain,
                      props, publish, string, subscribe, user_properties, varint)
from server_process import binary, wait_until
from test_attacks import alive, request, resident_kib
from tls_device import Identity, TlsDevice, statement

VERSIONS = pytest.mark.parametrize("version", [4, 5])
RECEIVE_MAXIMUM = 100


def bounded(platform, before, kib):
    """Growth of memory, where the build can tell."""
    if b"__asan_init" not in pathlib.Path(binary()).read_bytes():
        assert resident_kib(platform) - before < kib, resident_kib(platform) - before


def gauge(platform, name):
    _, _, text = request(platform, "GET", "/metrics")
    return int(float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text.decode(), re.M).group(1)))


def outcome(stream):
    """What a malformed packet may lead to: the end, in MQTT 5 with a reason before it."""
    got = stream.packets()
    kinds = [kind for kind, _, _ in got]
    assert kinds in ([], [DISCONNECT], [raw_mqtt.CONNACK]), got
    if got:
        reason = got[0][2][1] if kinds == [raw_mqtt.CONNACK] else got[0][2][0]
        assert reason >= 0x80 or got[0][2][1] in range(1, 6), got


# ---- lengths that reach beyond the packet


FULL_WILL = b"\x18\x00\x00\x00\x05" + b"\x01\x01" + b"\x02\x00\x00\x00\x09" + b"\x03" + string("text") + b"\x08" + \
    string("answer") + b"\x09" + string("id") + b"\x26" + string("a") + string("b")
FULL_CONNECT = b"\x11\x00\x00\x00\x05" + b"\x21\x00\x05" + b"\x27\x00\x00\xff\xff" + b"\x22\x00\x05" + b"\x19\x00" + \
    b"\x17\x01" + b"\x26" + string("a") + string("b")
FULL_PUBLISH = b"\x01\x01" + b"\x02\x00\x00\x00\x09" + b"\x08" + string("answer") + b"\x09" + string("id") + b"\x26" + \
    string("a") + string("b") + b"\x03" + string("text")


def cuts(whole, until=None):
    """The packet with its body cut at every byte, each rightly framed: every field's length reaches beyond its end."""
    start = 2 if whole[1] < 128 else 3
    body = whole[start:]
    return [packet(whole[0], body[:size]) for size in range(until or len(body))]


def lying_varints(whole, at):
    """The packet with its property length, which stands at this place of the body, replaced by lengths that lie."""
    start = 2 if whole[1] < 128 else 3
    body = whole[start:]
    return [packet(whole[0], body[:at] + lie + body[at + 1:]) for lie in (
        b"\x7f", b"\xff\x7f", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x7f",
        b"\x80\x80\x80\x80\x00", bytes([body[at] + 1]))] + [
        packet(whole[0], body[:at] + lie) for lie in (
            b"\x80", b"\xff\xff", b"\xff\xff\xff", b"\xff\xff\xff\xff", b"\x01")]


@VERSIONS
def test_connect_whose_lengths_reach_beyond_it(platform, plain_mqtt, unique, version):
    whole = connect(f"cut-{unique}", version, properties=FULL_CONNECT,
                    will=(unique, b"payload", 1, False, FULL_WILL))
    lies = cuts(whole)
    if version == 5:
        lies += lying_varints(whole, 10)
    for lie in lies:
        with plain(plain_mqtt) as stream:
            stream.send(lie)
            outcome(stream)
    with plain(plain_mqtt) as stream:  # and the whole one is good
        stream.send(whole)
        assert stream.expect(raw_mqtt.CONNACK)[2][1] == 0
    assert alive(platform)


@VERSIONS
def test_packets_whose_lengths_reach_beyond_them(platform, plain_mqtt, unique, version):
    sent = publish(unique, b"", 1, 7, version, properties=FULL_PUBLISH)
    asked = subscribe([unique], 7, version)
    unsubscribe = packet(0xA2, asked[2:-1])
    lies = cuts(sent) + cuts(asked) + cuts(unsubscribe)
    if version == 5:
        lies += lying_varints(sent, 2 + len(unique) + 2) + lying_varints(asked, 2) + lying_varints(unsubscribe, 2)
        lies += [packet(0x40, b"\x00\x01\x00" + lie) for lie in (b"\x80", b"\x05", b"\xff\xff\xff\x7f")]
        lies += [packet(0xE0, b"\x00" + lie) for lie in (b"\x80", b"\x05", b"\xff\xff\xff\x7f")]
    for number, lie in enumerate(lies):
        with plain(plain_mqtt, f"cut-{unique}", version) as stream:
            stream.send(lie)
            got = stream.packets()
            assert [kind for kind, _, _ in got] in ([], [DISCONNECT]), (number, lie, got)
    assert alive(platform)


@pytest.mark.parametrize("length", [b"\x80\x80\x80\x80\x01", b"\xff" * 5, b"\x80" * 8 + b"\x01"],
                         ids=lambda length: length.hex())
def test_remaining_length_without_an_end(platform, plain_mqtt, unique, length):
    with plain(plain_mqtt) as stream:
        stream.send(b"\x10", length)
        outcome(stream)
    with plain(plain_mqtt, unique) as stream:
        stream.send(b"\x30", length)
        outcome(stream)
    assert alive(platform)


# ---- memory before CONNECT


def test_announced_connects_cost_no_memory(platform, plain_mqtt):
    """A CONNECT of the largest size is announced on each of 3,000 connections and held back."""
    before = resident_kib(platform)
    streams = []
    try:
        for _ in range(3000):
            streams.append(plain(plain_mqtt))
            streams[-1].send(b"\x10", varint(139_000), connect("x" * 20, will=("t", b"", 0, False, b""))[2:])
        bounded(platform, before, 60_000)
        with plain(plain_mqtt, "somebody-else") as other:
            assert other.ping()
    finally:
        for stream in streams:
            stream.close()


def test_announcement_beyond_the_bound_is_refused_at_once(plain_mqtt):
    for length in (varint(2_000_000), varint(268_435_455)):
        with plain(plain_mqtt) as stream:
            stream.send(b"\x10", length)
            outcome(stream)


# ---- after takeover


@VERSIONS
def test_what_is_sent_after_a_takeover_counts_for_nothing(plain_mqtt, unique, version):
    name = f"twin-{unique}"
    expiry = b"\x11\x00\x00\x00\x3c" if version == 5 else b""
    with plain(plain_mqtt, f"watch-{unique}") as watcher, plain(plain_mqtt) as old:
        watcher.send(subscribe([f"{unique}/#"]))
        watcher.expect(SUBACK)
        old.open(name, version, clean=False, properties=expiry)
        old.send(subscribe([f"{unique}/queue"], 1, version))
        old.expect(SUBACK)
        watcher.send(publish(f"{unique}/queue", b"unacknowledged", 1, 9))
        held = struct.unpack(">H", old.expect(PUBLISH)[2][len(unique) + 8:][:2])[0]
        with plain(plain_mqtt) as new:
            new.send(connect(name, version, clean=False, properties=expiry))
            assert new.expect(raw_mqtt.CONNACK)[2][:2] == b"\x01\x00"
            for number in range(20):
                old.send(publish(f"{unique}/ghost", b"boo", number % 2, 100 + number, version),
                         subscribe([f"{unique}/ghost"], 200 + number, version), acknowledge(PUBACK, held),
                         packet(0xA2, struct.pack(">H", 300 + number) + props(version) + string(f"{unique}/queue")))
            old.send(b"\xe0\x00" if version == 4 else b"\xe0\x01\x04")
            assert [kind for kind, _, _ in old.packets()] in ([], [DISCONNECT])
            # The acknowledgement of the old one is none: the message comes again, marked so.
            kind, flags, body = new.packet()
            assert (kind, flags & 8) == (PUBLISH, 8) and body.endswith(b"unacknowledged")
            new.send(acknowledge(PUBACK, struct.unpack(">H", body[len(unique) + 8:][:2])[0]))
            watcher.send(publish(f"{unique}/queue", b"still subscribed", 0), publish(f"{unique}/ghost", b"last", 0))
            assert new.packet()[2].endswith(b"still subscribed")
            assert new.ping()
        topics = []
        while not topics or not topics[-1].endswith(b"last"):
            got = watcher.packet()
            if got[0] == PUBLISH:
                topics.append(got[2])
        assert not any(b"boo" in topic for topic in topics), topics


@VERSIONS
def test_storm_of_takeovers_while_messages_flow(platform, plain_mqtt, unique, version):
    name, topic, count = f"storm-{unique}", f"storm/{unique}", 300
    expiry = b"\x11\x00\x00\x00\x3c" if version == 5 else b""
    with plain(plain_mqtt, name, version, clean=False, properties=expiry) as first:
        first.send(subscribe([topic], 1, version))
        first.expect(SUBACK)
    seen, stop, wrong = set(), threading.Event(), []

    def take(stream):
        """Reads and acknowledges until the end of the stream or the last message."""
        while got := stream.packet():
            if got[0] == PUBLISH:
                start = 2 + len(topic)
                rest = got[2][start + (3 if version == 5 else 2):]
                seen.add(int(rest))
                stream.send(acknowledge(PUBACK, struct.unpack(">H", got[2][start:start + 2])[0]))
                if len(seen) == count:
                    return

    def steal():
        while not stop.is_set():
            try:
                with plain(plain_mqtt) as stream:
                    stream.send(connect(name, version, clean=False, properties=expiry))
                    got = stream.packet()
                    if got is None:
                        continue
                    if got[0] == raw_mqtt.CONNACK and got[2][1] not in (0, 3, 0x89):  # 3 and 0x89: busy
                        wrong.append(got)
                    stream.socket.settimeout(0.5)
                    take(stream)
            except TimeoutError:
                continue
            except OSError as error:
                wrong.append(error)

    thieves = [threading.Thread(target=steal) for _ in range(6)]
    for thief in thieves:
        thief.start()
    try:
        with plain(plain_mqtt, f"send-{unique}") as sender:
            for number in range(count):
                sender.send(publish(topic, str(number).encode(), 1, number + 1))
                sender.expect(PUBACK)
        time.sleep(0.2)
    finally:
        stop.set()
        for thief in thieves:
            thief.join(20)
    assert not wrong, wrong[:3]
    with plain(plain_mqtt) as last:
        last.send(connect(name, version, clean=False, properties=expiry))
        last.expect(raw_mqtt.CONNACK)
        last.socket.settimeout(1)
        try:
            take(last)
        except TimeoutError:
            pass
    assert seen == set(range(count)), f"{count - len(seen)} acknowledged messages are lost"
    assert alive(platform)


# ---- topics


DEEP = ["/" * 65535, "a/" * 32767, "/" * 1025, "a/" * 600]


@VERSIONS
@pytest.mark.parametrize("topic", DEEP, ids=lambda topic: f"{topic[:2]}x{len(topic)}")
def test_deep_topics_are_refused(platform, plain_mqtt, unique, version, topic):
    for data in (publish(topic, b"x", 0, version=version), publish(topic, b"x", 1, version=version),
                 publish(topic, b"x", 1, version=version, retain=True)):
        with plain(plain_mqtt, f"deep-{unique}", version) as stream:
            stream.send(data)
            kinds = [kind for kind, _, _ in stream.packets()] if version == 4 else [stream.packet()[0]]
            assert kinds in ([], [DISCONNECT], [PUBACK]), kinds
    for filter_ in (topic, topic[:-1] + "#", topic[:-2] + "/+", "+/" * (len(topic) // 2 - 1) + "#"):
        with plain(plain_mqtt, f"deep-{unique}", version) as stream:
            stream.send(subscribe([filter_], 1, version))
            got = stream.packet()
            assert got is None or got[0] == DISCONNECT or got[0] == SUBACK and got[2][-1] >= 0x80, got
    with plain(plain_mqtt, f"deep-{unique}", version, will=("t", b"", 0, False, b"")):
        pass
    with plain(plain_mqtt) as stream:
        stream.send(connect(f"deep-{unique}", version, will=(topic, b"x", 0, True, b"")))
        outcome(stream)
    assert alive(platform)


def test_many_wildcards_match_in_bounded_time(platform, plain_mqtt, unique):
    """Filters that make every level of the tree branch, and a topic that walks all of its branches."""
    levels = 12
    filters = ["/".join("+" if number >> level & 1 else "a" for level in range(levels))
               for number in range(2 ** levels)]
    streams = []
    try:
        for at in range(0, len(filters), 1000):
            streams.append(plain(plain_mqtt, f"wild-{at}-{unique}"))
            for start in range(at, min(at + 1000, len(filters)), 100):
                streams[-1].send(subscribe(filters[start:start + 100], 1 + start - at, qos=0))
                streams[-1].expect(SUBACK)
        with plain(plain_mqtt, f"send-{unique}") as sender:
            start = time.monotonic()
            for number in range(20):
                sender.send(publish("/".join("a" * levels), b"x", 1, 1 + number))
                sender.expect(PUBACK)
            assert time.monotonic() - start < 3
    finally:
        for stream in streams:
            stream.close()
    assert alive(platform)


# ---- packet ids, and QoS 2 without an end


@VERSIONS
def test_packet_id_in_use_twice(plain_mqtt, unique, version):
    with plain(plain_mqtt, f"twice-{unique}", version) as stream:
        stream.send(subscribe([unique], 7, version), publish(unique, b"one", 1, 7, version),
                    publish(unique, b"two", 1, 7, version), subscribe([unique], 7, version))
        kinds, payloads = [], []
        while kinds.count(PUBACK) < 2 or len(payloads) < 2 or kinds.count(SUBACK) < 2:
            got = stream.packet()
            assert got, (kinds, payloads)
            kinds.append(got[0])
            if got[0] == PUBLISH:
                payloads.append(got[2][-3:])
        assert payloads == [b"one", b"two"]
        assert stream.ping()


@VERSIONS
def test_qos_2_id_that_was_not_released_is_the_same_message(plain_mqtt, unique, version):
    with plain(plain_mqtt, f"same-{unique}", version) as stream:
        stream.send(subscribe([unique], 1, version, qos=0))
        stream.expect(SUBACK)
        payloads = []

        def exchange(data, answer):
            stream.send(data)
            while (got := stream.packet()) and got[0] != answer:
                assert got[0] == PUBLISH, got
                payloads.append(got[2][-3:])
            assert got, payloads

        for payload, dup in ((b"one", False), (b"two", True), (b"six", False)):
            exchange(publish(unique, payload, 2, 7, version, dup=dup), PUBREC)
        exchange(acknowledge(PUBREL, 7), PUBCOMP)
        exchange(acknowledge(PUBREL, 7), PUBCOMP)
        exchange(publish(unique, b"end", 2, 7, version), PUBREC)
        exchange(acknowledge(PUBREL, 7), PUBCOMP)
        exchange(raw_mqtt.PING, raw_mqtt.PINGRESP)
        # Once, and which of the three is up to the receiver: the sender has broken the rule that they are the same.
        assert len(payloads) == 2 and payloads[1] == b"end", payloads


@VERSIONS
def test_releases_of_what_was_never_sent(platform, plain_mqtt, unique, version):
    before = resident_kib(platform)
    with plain(plain_mqtt, f"flood-{unique}", version) as stream:
        for start in range(1, 65536, 500):
            ids = range(start, min(start + 500, 65536))
            if not stream.send(*(acknowledge(PUBREL, number) for number in ids)):
                break
            got = [stream.packet() for _ in ids]
            if None in got or got[0][0] == DISCONNECT:
                break
            assert {kind for kind, _, _ in got} == {PUBCOMP}
            if version == 5:
                assert all(body[2:3] == b"\x92" for _, _, body in got)
        else:
            assert stream.ping()
    bounded(platform, before, 10_000)
    assert alive(platform)


@VERSIONS
def test_qos_2_that_is_never_released(platform, plain_mqtt, unique, version):
    before = resident_kib(platform)
    received = 0
    with plain(plain_mqtt, f"hold-{unique}", version) as stream:
        stream.socket.settimeout(1)
        try:
            for start in range(1, 65536, 50):
                if not stream.send(*(publish(unique, b"x" * 100, 2, number, version)
                                     for number in range(start, min(start + 50, 65536)))):
                    break
        except TimeoutError:
            pass  # not read any more: that is a bound too
        try:
            while got := stream.packet():
                if got[0] == DISCONNECT:
                    assert got[2][:1] == b"\x93"  # receive maximum exceeded
                received += got[0] == PUBREC
        except TimeoutError:
            pass
        if version == 5:  # 3.1.1 has no receive maximum; there the ids alone are kept
            assert received <= RECEIVE_MAXIMUM, received
    bounded(platform, before, 10_000)
    assert alive(platform)


# ---- many of everything


@VERSIONS
def test_subscribe_with_10000_filters(platform, plain_mqtt, unique, version):
    before = resident_kib(platform)
    with plain(plain_mqtt, f"many-{unique}", version) as stream:
        stream.send(subscribe([f"{number}/{unique[:4]}" for number in range(10_000)], 1, version))
        got = stream.packet()
        if got and got[0] == SUBACK:
            codes = got[2][-10_000:]
            assert sum(code < 0x80 for code in codes) <= 1000
            assert stream.ping()
        else:
            assert got is None or got[0] == DISCONNECT
    bounded(platform, before, 10_000)
    assert alive(platform)


def test_thousands_of_user_properties(platform, plain_mqtt, unique):
    before = resident_kib(platform)
    with plain(plain_mqtt) as stream:
        stream.send(connect(f"props-{unique}", 5, properties=user_properties(19_000)))
        got = stream.packet()
        assert got is None or got[0] in (raw_mqtt.CONNACK, DISCONNECT)
    readers = [plain(plain_mqtt, f"r{number}-{unique}", 5) for number in range(10)]
    try:
        for reader in readers:
            reader.send(subscribe([unique], 1, 5))
            reader.expect(SUBACK)
        start = time.monotonic()
        for properties in (user_properties(18_000), user_properties(18_000)):
            with plain(plain_mqtt, f"w-{unique}", 5) as stream:
                stream.send(publish(unique, b"x", 1, 1, 5, properties=properties))
                got = stream.packet()
                assert got is None or got[0] in (PUBACK, DISCONNECT), got
        assert all(reader.ping() for reader in readers)
        assert time.monotonic() - start < 5
    finally:
        for reader in readers:
            reader.close()
    bounded(platform, before, 30_000)
    assert alive(platform)


@pytest.mark.parametrize("alias,topic", [(0, "t"), (0xFFFF, "t"), (1, ""), (0, "")])
def test_topic_alias_out_of_bounds(plain_mqtt, unique, alias, topic):
    with plain(plain_mqtt, f"alias-{unique}", 5) as stream:
        stream.send(publish(topic and unique, b"x", 0, version=5, properties=b"\x23" + struct.pack(">H", alias)))
        got = stream.packets()
        assert [kind for kind, _, _ in got] == [DISCONNECT] and got[0][2][0] in (0x82, 0x94), got


def test_topic_alias_is_one_connections_own(plain_mqtt, unique):
    """Neither another connection's nor the session's next one; and no way around what a topic must be."""
    alias = b"\x23\x00\x01"
    with plain(plain_mqtt, f"alias-{unique}", 5, clean=False, properties=b"\x11\x00\x00\x00\x3c") as stream:
        stream.send(subscribe([f"{unique}/#"], 1, 5, qos=0))
        stream.expect(SUBACK)
        for topic in ("a", "b"):
            stream.send(publish(f"{unique}/{topic}", b"x", 0, version=5, properties=alias),
                        publish("", b"x", 0, version=5, properties=alias))
            for _ in range(2):
                assert stream.expect(PUBLISH)[2].startswith(string(f"{unique}/{topic}"))
        with plain(plain_mqtt, f"other-{unique}", 5) as other:
            other.send(publish("", b"x", 0, version=5, properties=alias))
            assert [kind for kind, _, _ in other.packets()] == [DISCONNECT]
    with plain(plain_mqtt, f"alias-{unique}", 5, clean=False) as again:
        again.send(publish("", b"x", 0, version=5, properties=alias))
        assert [kind for kind, _, _ in again.packets()] == [DISCONNECT]
    for topic in ("+", f"{unique}/#", "$SYS/x"):
        with plain(plain_mqtt, f"alias-{unique}", 5) as stream:
            stream.send(publish(topic, b"x", 0, version=5, properties=alias),
                        publish("", b"x", 0, version=5, properties=alias))
            assert [kind for kind, _, _ in stream.packets()] == [DISCONNECT]


def test_hoard_of_sessions_by_one_certificate(platform, tmp_path, unique):
    """Each client id leaves a session with a subscription; they cost little, end in their time, and others connect."""
    count, everything = 1000, statement("Allow", "iot:*", "*")
    hoarder = Identity(platform, tmp_path, f"hoarder-{unique}", everything)
    context = hoarder.context()
    before, sessions = resident_kib(platform), gauge(platform, "muster_mqtt_sessions")

    def hoard(number):
        with raw_mqtt.Stream(hoarder.connection(context)) as stream:
            stream.send(connect(f"hoard-{number}-{unique}", 5, properties=b"\x11\x00\x00\x00\x02"),
                        subscribe([f"hoard/{unique}"], 1, 5))
            got = stream.packet()
            if got and got[2][1] == 0:
                stream.expect(SUBACK)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        for done in [pool.submit(hoard, number) for number in range(count)]:
            done.result()
    bounded(platform, before, 30_000)
    other = TlsDevice(Identity(platform, tmp_path, f"other-{unique}", everything))
    try:
        assert other.publish(f"hoard/{unique}", "x")
    finally:
        other.close()
    wait_until(lambda: gauge(platform, "muster_mqtt_sessions") <= sessions + 20, 8, "the end of the hoarded sessions")
