# SPDX-License-Identifier: Apache-2.0
"""kill -9 again and again while messages flow: QoS 2 exactly once, QoS 1 at least once, in order on each topic, nothing
acknowledged lost, retained messages not older than acknowledged; also with another number of device loops after each
restart, so that sessions move between threads. MUSTER_CRASHES sets how often (./dev crash COUNT)."""
import os
import random
import socket
import time

import pytest
from mqtt_bytes import packet, string
from mqtt_peers import Peer, Publisher, Subscriber
from server_process import Server, wait_until

CRASHES = int(os.environ.get("MUSTER_CRASHES", "60"))


class Newcomer(Peer):
    """Asks what is retained on a topic: `value`, 0 when nothing is."""

    def ask(self, topic):
        with socket.create_connection(("127.0.0.1", self.port), 5) as self.socket:
            self.socket.settimeout(5)
            self.received = b""
            self.send(packet(0x10, string("MQTT") + b"\x04\x02\x00\x3c" + string(self.client_id)))
            self.send(packet(0x82, b"\0\1" + string(topic) + b"\0") + b"\xc0\x00")
            value, first = 0, None
            while first != 0xD0:
                first, body = self.read()
                if first == 0x31:  # the retain flag is set: not one that is published just now
                    value = int(body[2 + len(topic):])
            return value


def check(peers):
    for peer in peers:
        assert peer.failure is None, peer.failure


@pytest.mark.parametrize("seed", [int(os.environ.get("MUSTER_CRASH_SEED", "1"))])
def test_nothing_acknowledged_is_lost_and_nothing_comes_twice(seed):
    chance = random.Random(seed)
    flags = ["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*", "--mqtt.max_queued_messages", "100000"]
    server = Server(flags=flags + ["--device.loops", "2"])
    try:
        port = int(server.environment["MUSTER_MQTT_PLAIN_PORT"])
        subscribers = [Subscriber(f"subscriber-{qos}-{i}", port, "crash/#", qos) for qos in (1, 2) for i in range(2)]
        for subscriber in subscribers:
            subscriber.start()
        for subscriber in subscribers:
            wait_until(lambda s=subscriber: s.subscribed or s.failure, what="SUBACK")
        publishers = [Publisher(f"publisher-{qos}-{i}", port, f"crash/{qos}/{i}", qos) for qos in (1, 2) for i in range(2)]
        keeper = Publisher("keeper", port, "kept/value", 1, retain=True, window=1)
        for publisher in [*publishers, keeper]:
            publisher.start()
        peers = [*subscribers, *publishers, keeper]
        for _ in range(CRASHES):
            time.sleep(chance.uniform(0.02, 0.2))
            server.kill()
            kept = keeper.acknowledged
            server.flags = flags + ["--device.loops", str(chance.randint(1, 3))]
            server.start()
            check(peers)
            assert Newcomer("newcomer", port).ask("kept/value") >= kept
        time.sleep(0.2)
        for publisher in [*publishers, keeper]:
            publisher.finish()
        for publisher in [*publishers, keeper]:
            publisher.join(20)
            assert not publisher.is_alive(), f"{publisher.client_id} waits for an acknowledgement for ever"
        check(peers)
        for subscriber in subscribers:
            for publisher in publishers:
                wanted = publisher.next_number - 1
                wait_until(lambda s=subscriber, p=publisher: s.failure or len(s.got[p.topic]) == wanted, 20,
                           f"{subscriber.client_id} has {len(subscriber.got[publisher.topic])} of {wanted} "
                           f"on {publisher.topic}")
        check(peers)
        for subscriber in subscribers:
            subscriber.finish()
        total = sum(p.next_number - 1 for p in publishers)
        print(f"{CRASHES} crashes, {total} messages, {min(p.connections for p in peers)} connections each, "
              f"{sum(s.repeated for s in subscribers)} repeated at QoS 1")
        assert total > CRASHES, "too little load to show anything"
    finally:
        server.remove()
