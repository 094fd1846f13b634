#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The scenarios of scenarios.cc on Eclipse Paho Python: run|die HOST PORT VERSION PREFIX [CA CERTIFICATE KEY]."""
import concurrent.futures
import itertools
import queue
import subprocess
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

ROLE, HOST, PORT, VERSION, PREFIX, *FILES = sys.argv[1:]
V5 = VERSION == "5"
PATIENCE = 10


class Client:
    def __init__(self, client_id, *, clean=True, present=False, will=None):
        self.inbox, self.answers = queue.Queue(), {}
        self.changed, self.lost = threading.Condition(), threading.Event()
        more = {} if V5 else {"clean_session": clean}
        self.paho = paho.Client(client_id, protocol=int(VERSION), reconnect_on_failure=False, **more)
        self.paho.on_connect = lambda _c, _u, flags, code, *_: self._answer("connect", (code, flags["session present"]))
        self.paho.on_disconnect = lambda *_: self.lost.set()
        self.paho.on_message = lambda _c, _u, message: self.inbox.put(message)
        self.paho.on_subscribe = lambda _c, _u, mid, codes, *_: self._answer(mid, getattr(codes[0], "value", codes[0]))
        self.paho.on_unsubscribe = lambda _c, _u, mid, *_: self._answer(mid, 0)
        self.paho.on_publish = lambda _c, _u, mid: self._answer(mid, 0)
        self.paho.max_inflight_messages_set(100)
        if FILES:
            self.paho.tls_set(*FILES)
        if will:
            self.paho.will_set(*will)
        start = {}
        if V5:
            start = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
            if not clean:
                start["properties"].SessionExpiryInterval = 60
        self.paho.connect(HOST, int(PORT), **start)
        self.paho.loop_start()
        code, kept = self._await("connect", "CONNECT")
        code = getattr(code, "value", code)
        assert code == 0, f"CONNACK {code}"
        assert bool(kept) == present, f"session present is {kept}"

    def _answer(self, what, value):
        with self.changed:
            self.answers[what] = value
            self.changed.notify_all()

    def _await(self, what, name):
        with self.changed:
            came = self.changed.wait_for(lambda: what in self.answers or self.lost.is_set(), PATIENCE)
            assert came, f"no answer to {name}"
            assert what in self.answers, f"the connection was lost at {name}"
            return self.answers.pop(what)

    def subscribe(self, topic, qos, **options):
        _, mid = self.paho.subscribe(topic, options=SubscribeOptions(qos, **options)) if V5 else \
            self.paho.subscribe(topic, qos)
        granted = self._await(mid, "SUBSCRIBE")
        assert granted == qos, f"asked QoS {qos} of {topic}, granted {granted}"

    def unsubscribe(self, topic):
        self._await(self.paho.unsubscribe(topic)[1], "UNSUBSCRIBE")

    def begin(self, topic, payload, qos=1, retain=False, properties=None):
        return self.paho.publish(topic, payload, qos, retain, **({"properties": properties} if properties else {})).mid

    def publish(self, *arguments, **options):
        self._await(self.begin(*arguments, **options), "PUBLISH")

    def receive(self):
        try:
            return self.inbox.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError("no message came") from None

    def expect(self, topic, payload, qos=1, retain=False):
        got = self.receive()
        payload = payload.encode() if isinstance(payload, str) else payload
        assert got.topic == topic, f"received {got.topic} instead of {topic}"
        assert got.payload == payload, f"another payload of {len(got.payload)} bytes, {got.payload[:20]}"
        assert (got.qos, bool(got.retain)) == (qos, retain), f"QoS {got.qos}, retain {got.retain}"
        return got

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


class World:
    def __init__(self, scenario):
        self.scenario = scenario

    def id(self, name):
        return f"{PREFIX.rpartition('/')[2]}-{self.scenario}-{name}"

    def topic(self, name="t"):
        return f"{PREFIX}/{self.scenario}/{name}"

    def client(self, name, **options):
        return Client(self.id(name), **options)


def connect(world):
    a = world.client("a")
    a.publish(world.topic(), "x")
    a.close()


def delivers(world, qos):
    a, b = world.client("a"), world.client("b")
    a.subscribe(world.topic(), qos)
    for payload in ("one", "", "three"):
        b.publish(world.topic(), payload, qos)
    for payload in ("one", "", "three"):
        a.expect(world.topic(), payload, qos)
    b.close()
    a.close()


def lowers_quality(world, highest):
    a = world.client("a")
    for asked in range(highest + 1):
        topic = world.topic(str(asked))
        a.subscribe(topic, asked)
        for sent in range(highest + 1):
            a.publish(topic, str(sent), sent)
            a.expect(topic, str(sent), min(asked, sent))
    a.close()


def retained(world):
    a, b, topic = world.client("a"), world.client("b"), world.topic("kept")
    b.publish(topic, "old", retain=True)
    b.publish(topic, "kept", retain=True)
    a.subscribe(topic, 1)
    a.expect(topic, "kept", 1, True)
    b.publish(topic, "live", retain=True)
    a.expect(topic, "live")
    b.publish(topic, "", retain=True)
    a.expect(topic, "")
    a.close()
    c = world.client("c")
    c.subscribe(topic, 1)
    c.subscribe(world.topic("fence"), 1)
    b.publish(world.topic("fence"), "x")
    c.expect(world.topic("fence"), "x")
    c.close()
    b.close()


def wildcards(world):
    plus, hash_, b = (world.client(name) for name in ("plus", "hash", "b"))
    plus.subscribe(world.topic("w/+/temp"), 1)
    hash_.subscribe(world.topic("w/site/#"), 1)
    for name in ("w/site", "w/a/temp", "w/a/temp/deep", "w/temp", "w/site/temp", "w//temp", "w/site/a/b/c", "w/sites",
                 "w/z/temp", "w/site/z"):
        b.publish(world.topic(name), name)
    for name in ("w/a/temp", "w/site/temp", "w//temp", "w/z/temp"):
        plus.expect(world.topic(name), name)
    for name in ("w/site", "w/site/temp", "w/site/a/b/c", "w/site/z"):
        hash_.expect(world.topic(name), name)
    for each in (plus, hash_, b):
        each.close()


def unsubscribe(world):
    a = world.client("a")
    a.subscribe(world.topic("off"), 1)
    a.subscribe(world.topic("on"), 1)
    a.unsubscribe(world.topic("off"))
    a.publish(world.topic("off"), "no")
    a.publish(world.topic("on"), "yes")
    a.expect(world.topic("on"), "yes")
    a.close()


def large(world, highest):
    payload = bytes((at * 31 + (at >> 8)) & 255 for at in range(100 * 1024))
    a = world.client("a")
    a.subscribe(world.topic(), highest)
    for qos in range(highest + 1):
        a.publish(world.topic(), payload, qos)
        a.expect(world.topic(), payload, qos)
    a.close()


def burst(world, qos):
    a, b = world.client("a"), world.client("b")
    a.subscribe(world.topic(), qos)
    for mid in [b.begin(world.topic(), str(number), qos) for number in range(150)]:
        b._await(mid, "PUBLISH")
    for number in range(150):
        a.expect(world.topic(), str(number), qos)
    b.close()
    a.close()


def session(world, qos):
    b = world.client("b")
    a = world.client("a", clean=False)
    a.subscribe(world.topic("+"), qos)
    a.close()
    for name in "123":
        b.publish(world.topic(name), name, qos)
    a = world.client("a", clean=False, present=True)
    for name in "123":
        a.expect(world.topic(name), name, qos)
    b.publish(world.topic("4"), "live", qos)
    a.expect(world.topic("4"), "live", qos)
    a.close()
    world.client("a").close()
    world.client("a", clean=False).close()
    world.client("a", clean=True, present=False).close()
    b.close()


def will(world):
    a = world.client("a")
    a.subscribe(world.topic("#"), 1)
    # A process of its own: kill -9 leaves a library no last word.
    with subprocess.Popen([sys.executable, sys.argv[0], "die", *sys.argv[2:]], stdout=subprocess.PIPE) as child:
        started = child.stdout.readline()
        child.kill()
    assert started, "the client with a will did not connect"
    a.expect(world.topic("gone"), "gone")
    world.client("polite", will=(world.topic("polite"), "no", 1)).close()  # takes the will back
    a.publish(world.topic("after"), "x")
    a.expect(world.topic("after"), "x")
    a.close()


def takeover(world):
    first, second = world.client("twin"), world.client("twin")
    assert first.lost.wait(PATIENCE), "the connection was not ended"
    second.subscribe(world.topic(), 1)
    second.publish(world.topic(), "here")
    second.expect(world.topic(), "here")
    second.close()


def shared(world):
    one, two, all_ = (world.client(name) for name in ("one", "two", "all"))
    for member in (one, two):
        member.subscribe(f"$share/{world.id('group')}/{world.topic()}", 1)
    all_.subscribe(world.topic(), 1)
    missing = {str(number) for number in range(20)}
    for number in range(20):
        all_.publish(world.topic(), str(number))
        all_.expect(world.topic(), str(number))
    # A message for each member by another way comes after what it got as a member.
    for member in (one, two):
        member.subscribe(world.topic("fence"), 1)
    all_.publish(world.topic("fence"), "end")
    for member in (one, two):
        payloads = [got.payload.decode() for got in itertools.takewhile(
            lambda got: got.payload != b"end", (member.receive() for _ in range(30)))]
        assert payloads, "a member of two received nothing of 20 messages"
        assert missing.issuperset(payloads), "a message came to two members"
        missing.difference_update(payloads)
    assert not missing, f"messages {missing} reached no member"
    for each in (one, two, all_):
        each.close()


def properties(world):
    a = world.client("a")
    a.subscribe(world.topic(), 1)
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType, sent.ResponseTopic = "text/plain", world.topic("answer")
    sent.CorrelationData = b"\x00\xff id"
    sent.UserProperty = [("colour", "red"), ("colour", "blue"), ("ключ", "значение")]
    a.publish(world.topic(), "x", properties=sent)
    got = a.expect(world.topic(), "x").properties.json()
    assert got == sent.json(), got
    a.close()


def options(world):
    own, kept, fence = (world.topic(name) for name in ("own", "kept", "fence"))
    a, b = world.client("a"), world.client("b")
    a.subscribe(own, 1, noLocal=True)
    a.publish(own, "mine")
    b.publish(own, "theirs")
    a.expect(own, "theirs")
    b.publish(kept, "kept", retain=True)
    a.subscribe(kept, 1, retainHandling=2)  # none at SUBSCRIBE
    a.subscribe(fence, 1)
    a.publish(fence, "1")
    a.expect(fence, "1")
    a.subscribe(kept, 1, retainAsPublished=True, retainHandling=1)  # not new: none
    a.publish(fence, "2")
    a.expect(fence, "2")
    b.publish(kept, "again", retain=True)
    a.expect(kept, "again", 1, True)
    b.publish(kept, "", retain=True)
    b.close()
    a.close()


SCENARIOS = {"connect": (connect,), "qos0": (delivers, 0), "qos1": (delivers, 1), "qos2": (delivers, 2),
             "lower_qos": (lowers_quality, 1), "lower_qos2": (lowers_quality, 2), "retained": (retained,),
             "wildcards": (wildcards,), "unsubscribe": (unsubscribe,), "large": (large, 1), "large_qos2": (large, 2),
             "burst_qos1": (burst, 1), "burst_qos2": (burst, 2), "session_qos1": (session, 1),
             "session_qos2": (session, 2), "will": (will,), "takeover": (takeover,)}
SCENARIOS_5 = {"shared": (shared,), "properties": (properties,), "options": (options,)}


def attempt(name, run, *arguments):
    try:
        run(World(name), *arguments)
        return f"ok {name}"
    except Exception as error:  # whatever the library throws is what is to be told
        return f"FAIL {name}: {str(error) or repr(error)}".replace("\n", " ")


def main():
    if ROLE == "die":
        world = World("will")
        world.client("dying", will=(world.topic("gone"), "gone", 1))
        print("connected", flush=True)
        time.sleep(60)
    listed = {**SCENARIOS, **(SCENARIOS_5 if V5 else {})}
    with concurrent.futures.ThreadPoolExecutor(len(listed)) as pool:
        for done in [pool.submit(attempt, name, *what) for name, what in listed.items()]:
            print(done.result(), flush=True)


main()
