# SPDX-License-Identifier: Apache-2.0
"""Hostile WebSocket peers: framing that lies, control frames that are none, and handshakes without the right to one."""
import time

import pytest
from botocore.credentials import Credentials

import raw_mqtt
from raw_mqtt import WebSocket, connect, frame, presigned_target, publish, subscribe
from test_attacks import alive, request, resident_kib

NORMAL, PROTOCOL_ERROR, BAD_KIND, BAD_DATA, TOO_BIG = 1000, 1002, 1003, 1007, 1009


@pytest.fixture
def socket(platform, unique):
    with WebSocket(platform) as made:
        yield made.open(f"ws-{unique}")


def ends(socket, *codes):
    """The server closes, with one of these codes when it says one, and is well."""
    code = socket.close_code()
    assert code is not None, "still open"
    assert code in (0, *codes), code


# ---- lengths


@pytest.mark.parametrize("length", [
    b"\xfe", b"\xfe\x01", b"\xff", b"\xff\x00\x00\x00", b"\xff\x00\x00\x00\x00\x00\x00\x01"],
    ids=lambda length: length.hex())
def test_length_that_is_cut_off(platform, socket, length, unique):
    socket.send(frame(2, masked=False, length=length))
    socket.socket.shutdown(1)
    ends(socket, PROTOCOL_ERROR, NORMAL)
    assert alive(platform)


@pytest.mark.parametrize("length", [2 ** 63 - 1, 2 ** 32, 2 ** 32 + 2])
def test_huge_length_is_taken_as_it_comes(platform, socket, length):
    """A frame is not collected: what it holds is served as it arrives, whatever its header promises."""
    before = resident_kib(platform)
    socket.send(frame(2, raw_mqtt.PING * 30, length=b"\xff" + length.to_bytes(8, "big")))
    for _ in range(30):
        assert socket.packet()[0] == raw_mqtt.PINGRESP
    assert resident_kib(platform) - before < 20_000


@pytest.mark.parametrize("length", [
    b"\xff" + (2 ** 63).to_bytes(8, "big"), b"\xff" + b"\xff" * 8, b"\xff" + (2 ** 63 + 2).to_bytes(8, "big"),
    b"\xff" + (2 ** 64 - 14).to_bytes(8, "big")], ids=lambda length: length.hex())
def test_length_with_the_top_bit(platform, socket, length):
    before = resident_kib(platform)
    socket.send(frame(2, raw_mqtt.PING * 30, length=length))
    ends(socket, PROTOCOL_ERROR, TOO_BIG)
    assert resident_kib(platform) - before < 20_000
    assert alive(platform)


@pytest.mark.parametrize("length", [b"\xfe\x00\x02", b"\xff" + (2).to_bytes(8, "big")], ids=lambda length: length.hex())
def test_length_that_is_not_the_shortest(platform, socket, length):
    # RFC 6455 section 5.2 forbids it to senders; a receiver may take it at its word or end, and nothing else.
    socket.send(frame(2, raw_mqtt.PING, length=length))
    try:
        got = socket.packet()
        assert got is None or got[0] == raw_mqtt.PINGRESP
    finally:
        assert alive(platform)


def test_frame_larger_than_a_packet_may_be(platform, socket):
    before = resident_kib(platform)
    socket.send(frame(2, b"\x30" + b"\xff\xff\xff\x7f" + b"x" * 1_000_000))
    ends(socket, TOO_BIG, PROTOCOL_ERROR, NORMAL)  # it is the MQTT packet that is too large
    assert resident_kib(platform) - before < 20_000


# ---- frames that are none


@pytest.mark.parametrize("name,data,code", [
    ("unmasked", frame(2, raw_mqtt.PING, masked=False), PROTOCOL_ERROR),
    ("unmasked ping", frame(9, b"x", masked=False), PROTOCOL_ERROR),
    ("reserved 1", frame(2, raw_mqtt.PING, reserved=4), PROTOCOL_ERROR),
    ("reserved 2", frame(2, raw_mqtt.PING, reserved=2), PROTOCOL_ERROR),
    ("reserved 3", frame(2, raw_mqtt.PING, reserved=1), PROTOCOL_ERROR),
    ("reserved opcode 3", frame(3, raw_mqtt.PING), PROTOCOL_ERROR),
    ("reserved opcode 7", frame(7, raw_mqtt.PING), PROTOCOL_ERROR),
    ("reserved control 11", frame(11), PROTOCOL_ERROR),
    ("reserved control 15", frame(15), PROTOCOL_ERROR),
    ("fragmented ping", frame(9, b"x", fin=False) + frame(0, b"y"), PROTOCOL_ERROR),
    ("fragmented close", frame(8, b"\x03", fin=False) + frame(0, b"\xe8"), PROTOCOL_ERROR),
    ("ping of 126 bytes", frame(9, b"x" * 126), PROTOCOL_ERROR),
    ("ping of 70000 bytes", frame(9, b"x" * 70_000), PROTOCOL_ERROR),
    ("close of 126 bytes", frame(8, b"\x03\xe8" + b"x" * 124), PROTOCOL_ERROR),
    ("close of one byte", frame(8, b"\x03"), PROTOCOL_ERROR),
    ("close with a code that is none", frame(8, b"\x03\xed"), PROTOCOL_ERROR),
    ("continuation of nothing", frame(0, raw_mqtt.PING), PROTOCOL_ERROR),
    ("new message within a message", frame(2, b"\xc0", fin=False) + frame(2, b"\x00"), PROTOCOL_ERROR),
    ("text", frame(1, b"\xc0\x00"), BAD_KIND),
    ("text that is not UTF-8", frame(1, b"\xff\xfe"), BAD_KIND),
    ("text in fragments", frame(1, b"\xc0", fin=False) + frame(0, b"\x00"), BAD_KIND)],
    ids=lambda value: value if isinstance(value, str) else "")
def test_frame_that_ends_the_connection(platform, socket, name, data, code):
    socket.send(data)
    ends(socket, code, BAD_DATA, 1000)
    assert not any(opcode == 10 for opcode, _ in socket.controls), "answered all the same"
    assert alive(platform)


def test_packets_do_not_end_at_frames(socket, unique):
    # MQTT 5 section 6: packets are not aligned on frames.
    socket.send_mqtt(subscribe([unique]))
    socket.expect(raw_mqtt.SUBACK)
    both = publish(unique, b"one", 0) + publish(unique, b"two", 0)
    for byte in both[:-1]:
        socket.send(frame(2, bytes([byte])))
    socket.send(frame(2, both[-1:], fin=False), frame(9, b"between"), frame(0, raw_mqtt.PING))
    assert socket.packet()[2].endswith(b"one") and socket.packet()[2].endswith(b"two")
    assert socket.packet()[0] == raw_mqtt.PINGRESP
    assert (10, b"between") in socket.controls


def test_endless_fragments(platform, socket):
    before = resident_kib(platform)
    start = frame(2, publish("a", b"x" * 100_000)[:50], fin=False)
    rest = frame(0, b"x" * 100, fin=False) * 100
    socket.send(start)
    for _ in range(300):  # 3 MB of one message that never ends
        if not socket.send(rest):
            break
    assert resident_kib(platform) - before < 20_000
    empty = frame(0, b"", fin=False) * 10_000
    for _ in range(20):
        if not socket.send(empty):
            break
    assert resident_kib(platform) - before < 20_000
    assert alive(platform)


def test_flood_of_pings_without_reading(platform, socket):
    before = resident_kib(platform)
    pings = frame(9, b"x" * 125) * 500
    socket.socket.settimeout(1)
    try:
        for _ in range(1000):  # 65 MB of answers, none of which is read
            if not socket.send(pings):
                break
    except TimeoutError:
        pass  # not read any more: that is the bound
    assert resident_kib(platform) - before < 20_000
    assert alive(platform)


def test_closing_handshake(platform, socket, unique):
    socket.send(frame(8, b"\x03\xe8bye"))
    assert socket.close_code() == 1000
    with WebSocket(platform) as other:
        other.open(f"other-{unique}")
        # What comes after CLOSE is not looked at.
        with WebSocket(platform) as watcher:
            watcher.open(f"watch-{unique}")
            watcher.send_mqtt(subscribe([unique]))
            watcher.expect(raw_mqtt.SUBACK)
            other.send(frame(8, b"\x03\xe8"), frame(2, publish(unique, b"late")))
            assert other.close_code() in (0, 1000)
            watcher.send_mqtt(publish(unique, b"end"))
            assert watcher.packet()[2].endswith(b"end")


def test_close_without_disconnect_publishes_the_will(platform, socket, unique):
    socket.send_mqtt(subscribe([unique]))
    socket.expect(raw_mqtt.SUBACK)
    with WebSocket(platform) as dying:
        dying.open(f"dying-{unique}", will=(unique, "gone", 0, False, b""))
        dying.send(frame(8, b"\x03\xe8"))
        dying.close_code()
    assert socket.packet()[2].endswith(b"gone")


def test_incomplete_connects_cost_little(platform):
    before = resident_kib(platform)
    sockets = []
    half = connect("x" * 20, will=("a", "x" * 60_000, 0, False, b""))[:-10]
    target = presigned_target(platform)
    try:
        for _ in range(500):
            sockets.append(WebSocket(platform, target=target))
            assert sockets[-1].status == 101
            sockets[-1].send(frame(2, half))
        assert resident_kib(platform) - before < 100_000
        assert alive(platform)
    finally:
        for each in sockets:
            each.close()


# ---- the handshake


@pytest.mark.parametrize("change", [
    "nothing signed", "wrong secret", "other service", "other path", "expired", "signature cut", "token made up",
    "method", "twice"])
def test_handshake_without_a_signature_for_it(platform, change):
    environment = platform.environment
    target = presigned_target(platform)
    with WebSocket(platform, target=target) as allowed:
        assert allowed.status == 101, allowed.head
    if change == "nothing signed":
        target = "/mqtt"
    elif change == "wrong secret":
        target = presigned_target(platform, Credentials(environment["AWS_ACCESS_KEY_ID"], "wrong"))
    elif change == "other service":
        target = target.replace("iotdevicegateway", "iotdata")
    elif change == "other path":
        target = target.replace("/mqtt?", "/mqtt/?")
    elif change == "expired":
        target = target.replace("X-Amz-Expires=60", "X-Amz-Expires=600000")
    elif change == "signature cut":
        target = target[:-2]
    elif change == "token made up":
        target += "&X-Amz-Security-Token=abc"
    elif change == "twice":
        target += "&X-Amz-Date=20200101T000000Z"
    if change == "method":
        status, _, _ = request(platform, "POST", target, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    else:
        with WebSocket(platform, target=target) as refused:
            status = refused.status
    assert status in (400, 403, 404, 405), status


@pytest.mark.parametrize("headers", [
    {"Sec-WebSocket-Version": "12"}, {"Sec-WebSocket-Version": None}, {"Sec-WebSocket-Key": None},
    {"Sec-WebSocket-Key": "short"}, {"Upgrade": "h2c"}, {"Connection": "keep-alive"},
    {"Sec-WebSocket-Protocol": "chat"}, {"Sec-WebSocket-Protocol": None}], ids=str)
def test_handshake_that_is_none(platform, headers):
    with WebSocket(platform) as good:
        assert good.status == 101, good.head
    with WebSocket(platform, headers=headers) as refused:
        assert refused.status in (400, 403, 404, 426), refused.head


def test_extensions_are_not_taken_up(platform, unique):
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    with WebSocket(platform, headers=offer) as made:
        assert made.status == 101
        assert b"permessage-deflate" not in made.head
        assert b"sec-websocket-protocol: mqtt" in made.head.lower()
        made.open(f"ws-{unique}")


def test_silence_after_the_handshake_is_not_for_ever(platform):
    with WebSocket(platform, timeout=14) as silent:
        assert silent.status == 101
        start = time.monotonic()
        assert silent.close_code() is not None, "still open without CONNECT"
        assert time.monotonic() - start < 13
