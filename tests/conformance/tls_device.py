# SPDX-License-Identifier: Apache-2.0
"""A device with a certificate of its own: its files, TLS contexts, HTTPS calls, and a stock MQTT client."""
import http.client
import json
import queue
import socket
import ssl
import subprocess
import threading

import paho.mqtt.client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def statement(effect, action, resource, **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *arguments], input=input, check=True, capture_output=True, text=True).stdout


def self_signed(folder, name, subject="", *more):
    """(PEM text, key file) of a certificate that the server has not issued."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", subject or f"/O=Acme/CN={name}", "-keyout", str(key), "-out", str(pem), *more)
    return pem.read_text(), key


class Identity:
    """A certificate with its key, registered on `platform`, with the policies that are given to it."""

    def __init__(self, platform, folder, name, *statements, active=True, iot=None):
        self.platform = platform
        self.iot = iot or platform.client("iot")
        self.name = name
        made = self.iot.create_keys_and_certificate(setAsActive=active)
        self.id, self.arn = made["certificateId"], made["certificateArn"]
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.certificate.write_text(made["certificatePem"])
        self.key.write_text(made["keyPair"]["PrivateKey"])
        self.policy = None
        if statements:
            self.policy = f"policy-{name}"
            self.iot.create_policy(policyName=self.policy, policyDocument=document(*statements))
            self.iot.attach_policy(policyName=self.policy, target=self.arn)

    def thing(self, name=None, attributes=None):
        name = name or self.name
        self.iot.create_thing(thingName=name, attributePayload={"attributes": attributes or {}})
        self.iot.attach_thing_principal(thingName=name, principal=self.arn)
        return name

    def context(self, version=None, alpn=None):
        context = ssl.create_default_context(cafile=self.platform.ca_file)
        context.load_cert_chain(self.certificate, self.key)
        if version:
            context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def connection(self, context=None):
        """A TLS connection to the device port."""
        environment = self.platform.environment
        host = environment["MUSTER_MQTT_HOST"]
        plain = socket.create_connection((host, int(environment["MUSTER_MQTT_PORT"])), timeout=10)
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def https(self, method, path, body=None, port=None, alpn=None):
        """(status, JSON or bytes, headers) of one call over TLS with the certificate."""
        host = self.platform.environment["MUSTER_MQTT_HOST"]
        port = port or int(self.platform.environment["MUSTER_MQTT_PORT"])
        connection = http.client.HTTPSConnection(host, port, context=self.context(alpn=alpn), timeout=10)
        try:
            text = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, text, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
            is_json = reply.getheader("Content-Type", "").startswith("application/json")
            return reply.status, json.loads(text) if is_json and text else text, dict(reply.headers)
        finally:
            connection.close()


class TlsDevice:
    """One MQTT connection over mutual TLS. `code` is the CONNACK's, None when it was closed without one."""

    def __init__(self, identity, client_id=None, *, version=4, clean=True, keep_alive=60, context=None, will=None,
                 expiry=None, connected=True, reconnect=False):
        self.messages = queue.Queue()
        self.granted, self.acknowledged = queue.Queue(), queue.Queue()
        self.answered, self.lost = threading.Event(), threading.Event()
        self.code, self.present, self.lost_code = None, None, None
        more = {} if version == 5 else {"clean_session": clean}
        self.client = paho.mqtt.client.Client(client_id or identity.name, protocol=version,
                                              reconnect_on_failure=reconnect, **more)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, *_: self.granted.put([int_code(c) for c in codes])
        self.client.on_publish = lambda _c, _u, mid: self.acknowledged.put(mid)
        self.client.tls_set_context(context or identity.context())
        if will:
            self.client.will_set(*will)
        environment = identity.platform.environment
        start = {"keepalive": keep_alive}
        if version == 5:
            properties = Properties(PacketTypes.CONNECT)
            if expiry:
                properties.SessionExpiryInterval = expiry
            start.update(clean_start=clean, properties=properties)
        self.client.connect(environment["MUSTER_MQTT_HOST"], int(environment["MUSTER_MQTT_PORT"]), **start)
        self.client.loop_start()
        assert self.answered.wait(10), "neither CONNACK nor the end of the connection"
        if connected:
            assert self.code == 0, f"CONNACK {self.code}"

    def _on_connect(self, _client, _userdata, flags, code, *_):
        self.code, self.present = int_code(code), bool(flags["session present"])
        self.answered.set()

    def _on_disconnect(self, _client, _userdata, code, *_):
        self.lost_code = int_code(code)
        self.lost.set()
        self.answered.set()

    def subscribe(self, topic, qos=1):
        """The SUBACK's code, or None when the connection ended instead."""
        self.client.subscribe(topic, qos)
        try:
            return self.granted.get(timeout=5)[0]
        except queue.Empty:
            assert self.lost.is_set(), "no SUBACK"
            return None

    def publish(self, topic, payload="x", qos=1, retain=False):
        """True when it was acknowledged, False when the connection ended instead."""
        sent = self.client.publish(topic, payload, qos, retain)
        while qos:
            try:
                if self.acknowledged.get(timeout=0.05) == sent.mid:
                    return True
            except queue.Empty:
                if self.lost.is_set():
                    return False
        return True

    def receive(self, timeout=5):
        return self.messages.get(timeout=timeout)

    def receives_only(self, topic, payload):
        """The next message is this one: messages come in order, so an earlier one that must not come did not."""
        message = self.receive()
        assert (message.topic, message.payload) == (topic, payload.encode())
        return message

    def is_cut(self, seconds=1):
        return self.lost.wait(seconds)

    def kill(self):
        """Ends the connection without DISCONNECT."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        assert self.lost.wait(5)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def int_code(code):
    return code if isinstance(code, int) else code.value
