# SPDX-License-Identifier: Apache-2.0
"""The runner itself: it must fail where a broker differs by one byte, says too much, too little or hangs up."""
import contextlib
import socket
import threading

import pytest
import wire
from wire import Script, WireError, matches, parse


def test_bytes():
    assert parse("10 0a ff") == [0x10, 0x0A, 0xFF]
    assert parse("003c 'ab' s'ab'") == [0, 0x3C, 97, 98, 0, 2, 97, 98]
    assert parse("30 <s't' 'x'*200>")[:5] == [0x30, 0xCB, 0x01, 0, 1]
    assert parse(r"'\x00\r\n'") == [0, 13, 10]
    assert parse("[01 02 03]") == [0, 3, 1, 2, 3]
    for bad in ("1", "zz", "<01", "01>", "[01>", "<... 01>", "'x"):
        with pytest.raises((ValueError, IndexError)):
            parse(bad)


def test_patterns():
    assert matches(parse("20 <00 ...>"), bytes.fromhex("200300 8400"))
    assert not matches(parse("20 <01 ...>"), bytes.fromhex("2003008400"))
    assert matches(parse("32 <s't' ?? ?? 'x'>"), b"\x32\x06\x00\x01t\x12\x34x")
    assert not matches(parse("32 <s't' ?? ?? 'x'>"), b"\x32\x07\x00\x01t\x12\x34xy")
    assert not matches(parse("20 <00 00>"), b"\x20\x02\x00")
    assert not matches([], b"\xd0\x00")
    assert matches([], b"")


@contextlib.contextmanager
def broker(*answers, keep_open=False):
    """Answers the first bytes of each connection with its answer, in turn; then closes them, or stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve():
        with contextlib.ExitStack() as clients:
            for answer in answers:
                client = clients.enter_context(listener.accept()[0])
                client.recv(100)
                client.sendall(answer)
                if not keep_open:
                    client.close()
            if keep_open:
                done.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        done.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("answer, steps, good", [
    ("20020000", ["a< 20 02 00 00", "a< closed"], True),
    ("20020000", ["a< 20 02 00 01"], False),
    ("20020000d000", ["a< 20 02 00 00", "a< closed"], False),
    ("200200", ["a< 20 02 00 00"], False),
    ("", ["a< 20 02 00 00"], False),
    ("20020000", ["a< closed"], False),
    ("d000", ["a< nothing"], True),
    ("3003000174", ["a< nothing"], False),
    ("", ["nonsense"], False),
])
def test_a_script_fails_where_the_broker_differs(answer, steps, good):
    with broker(bytes.fromhex(answer)) as address:
        script = Script("x", list(enumerate(["a> c0 00", *steps], 1)), 3)
        with contextlib.nullcontext() if good else pytest.raises(WireError):
            script.run(address, "unique")


def test_silence_fails(monkeypatch):
    monkeypatch.setattr(wire, "TIMEOUT", 0.2)
    with broker(b"", keep_open=True) as address:
        for expected in ("closed", "20 02 00 00"):
            with pytest.raises(WireError):
                Script("x", [(1, "a> c0 00"), (2, f"a< {expected}")], 3).run(address, "unique")
            break


def test_a_closed_connection_opens_anew():
    steps = ["a> c0 00", "a< 20 02 00 00", "a< closed", "a> c0 00", "a< d0 00"]
    with broker(bytes.fromhex("20020000"), bytes.fromhex("d000")) as address:
        Script("x", list(enumerate(steps, 1)), 3).run(address, "unique")


@pytest.mark.parametrize("first, second, good", [
    ("20003003000174", "2000d000", True),
    ("2000d000", "20003003000174", False),  # what comes first is no message
    ("20003003000174", "20003003000174d000", False),
    ("20003003000175", "2000d000", False),
])
def test_one_of_two_receives(first, second, good):
    steps = ["a> 00", "a< 20 00", "b> 00", "b< 20 00", "a|b< 30 <s't'>"]
    with broker(bytes.fromhex(first), bytes.fromhex(second), keep_open=True) as address:
        with contextlib.nullcontext() if good else pytest.raises(WireError):
            Script("x", list(enumerate(steps, 1)), 3).run(address, "unique")


def test_repeated_steps():
    with broker(bytes.fromhex("4002000140020002"), keep_open=True) as address:
        Script("x", [(1, "a> c0 00"), (2, "2* a< 40 <{n}>")], 3).run(address, "unique")


def test_values(tmp_path):
    (tmp_path / "01-x").mkdir()
    (tmp_path / "01-x/01-y.wire").write_text("# Shows. [MQTT-1]\neach: 01 | s'b'\neach: 02\na> {each}\n5: a> 00\n")
    scripts = wire.load_all(tmp_path)
    assert [(script.name, [step for _, step in script.lines]) for script in scripts] == [
        ("01-x/01-y-v311-1", ["a> 01"]), ("01-x/01-y-v311-2", ["a> s'b'"]), ("01-x/01-y-v311-3", ["a> 02"]),
        ("01-x/01-y-v5-1", ["a> 01", "a> 00"]), ("01-x/01-y-v5-2", ["a> s'b'", "a> 00"]),
        ("01-x/01-y-v5-3", ["a> 02", "a> 00"])]


def test_every_script_says_what_it_shows():
    scripts = wire.load_all()
    assert len({script.name for script in scripts}) == len(scripts) > 1000
    assert {script.version for script in scripts} == {3, 5}
