# SPDX-License-Identifier: Apache-2.0
"""A device on a stock MQTT client: requests on its Jobs topics, and what it hears."""
import json
import queue
import threading
import uuid

import paho.mqtt.client


class Device:
    def __init__(self, address, thing, client_id=None):
        self.thing = thing
        self.prefix = f"$aws/things/{thing}/jobs/"
        self.replies = queue.Queue()
        self.heard = queue.Queue()
        self.connected = threading.Event()
        self.subscribed = threading.Event()
        self.client = paho.mqtt.client.Client(client_id or f"{thing}-{uuid.uuid4().hex[:6]}")
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        assert self.connected.wait(10)
        self.client.subscribe([(self.prefix + "notify", 1), (self.prefix + "notify-next", 1)])
        assert self.subscribed.wait(10)

    def _on_message(self, _client, _userdata, message):
        suffix = message.topic[len(self.prefix):]
        body = json.loads(message.payload)
        (self.heard if suffix.startswith("notify") else self.replies).put((suffix, body))

    def request(self, suffix, body=None, raw=None):
        """(accepted or rejected, payload); the reply comes without a subscription."""
        token = uuid.uuid4().hex
        if raw is None:
            raw = json.dumps({"clientToken": token, **(body or {})})
        self.client.publish(self.prefix + suffix, raw, qos=1)
        topic, reply = self.replies.get(timeout=10)
        assert topic in (suffix + "/accepted", suffix + "/rejected"), topic
        if "clientToken" in reply:
            assert reply["clientToken"] == token
        assert isinstance(reply["timestamp"], int) and reply["timestamp"] < 10**10
        return topic.rsplit("/", 1)[1], reply

    def accepted(self, suffix, body=None, raw=None):
        outcome, reply = self.request(suffix, body, raw)
        assert outcome == "accepted", reply
        return reply

    def rejected(self, suffix, body=None, raw=None):
        outcome, reply = self.request(suffix, body, raw)
        assert outcome == "rejected", reply
        assert reply["message"]
        return reply

    def hear(self):
        return self.heard.get(timeout=10)

    def hears_nothing_before(self, action):
        """Runs an action that is announced; its announcement must be the first thing heard."""
        action()
        return self.hear()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
