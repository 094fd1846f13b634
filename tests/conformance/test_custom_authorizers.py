# SPDX-License-Identifier: Apache-2.0
"""Custom authorisers with real functions behind HTTP, paho devices without certificates, and HTTPS publishes."""
import base64
import functools
import http.client
import json
import queue
import ssl
import threading
import urllib.parse

import paho.mqtt.client
import pytest

from called_servers import FunctionError, Functions, SigningKey, authority
from refusals import refused
from server_process import wait_until
from tls_device import document, statement

PREFIX = "arn:aws:iot:*:*"


def answer(*statements, principal="device1", **more):
    """What a function says when it lets somebody in."""
    policy = json.loads(document(*(statements or [statement("Allow", "iot:*", "*")])))
    return {"isAuthenticated": True, "principalId": principal, "disconnectAfterInSeconds": 3600,
            "refreshAfterInSeconds": 300, "policyDocuments": [policy], **more}


class Site:
    """A server whose functions are a server of the test's own, over TLS of a test authority."""

    def __init__(self, start, folder):
        ca, certificate = authority(folder)
        self.functions = Functions(certificate)
        self.server = start("--functions.endpoints", f"*={self.functions.url}", "--outgoing.ca_file", str(ca))
        self.iot, self.data = self.server.client("iot"), self.server.client("iot-data")
        self.account = self.server.client("sts").get_caller_identity()["Account"]
        self.key, self.other_key = SigningKey(folder, "k1"), SigningKey(folder, "k2")

    def arn(self, function="f"):
        return f"arn:aws:lambda:{self.server.region}:{self.account}:function:{function}"

    def authorizer(self, name, function="f", signed=True, **more):
        signing = ({"tokenKeyName": "TheToken", "tokenSigningPublicKeys": {"one": self.key.public_pem}}
                   if signed else {"signingDisabled": True})
        return self.iot.create_authorizer(authorizerName=name, authorizerFunctionArn=self.arn(function),
                                          **{"status": "ACTIVE", **signing, **more})

    def context(self):
        return ssl.create_default_context(cafile=self.server.ca_file)

    def user_name(self, name, token="t1", signature=None, user="user"):
        query = {"x-amz-customauthorizer-name": name, "TheToken": token,
                 "x-amz-customauthorizer-signature": signature or self.key.token_signature(token)}
        return f"{user}?{urllib.parse.urlencode(query)}"

    def publish(self, topic, headers, connection=None, query="qos=1"):
        """(status, body) of an HTTPS publish to the device port, without a certificate."""
        own = connection or self.connection()
        try:
            own.request("POST", f"/topics/{topic}?{query}", b"over https", headers)
            reply = own.getresponse()
            return reply.status, reply.read()
        finally:
            if not connection:
                own.close()

    def connection(self):
        environment = self.server.environment
        return http.client.HTTPSConnection(environment["MUSTER_MQTT_HOST"], int(environment["MUSTER_MQTT_PORT"]),
                                           context=self.context(), timeout=10)


class Client:
    """paho over TLS without a certificate; `code` is the CONNACK's or None."""

    def __init__(self, site, client_id, user=None, password=None, websocket=None):
        self.messages, self.acknowledged, self.granted = queue.Queue(), queue.Queue(), queue.Queue()
        self.answered, self.lost, self.code = threading.Event(), threading.Event(), None
        self.client = paho.mqtt.client.Client(client_id, reconnect_on_failure=False,
                                              transport="websockets" if websocket else "tcp")
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: (self.lost.set(), self.answered.set())
        self.client.on_message = lambda _c, _u, message: self.messages.put((message.topic, message.payload))
        self.client.on_publish = lambda _c, _u, mid: self.acknowledged.put(mid)
        self.client.on_subscribe = lambda _c, _u, _mid, codes: self.granted.put(codes[0])
        self.client.tls_set_context(site.context())
        if websocket:
            path, headers = websocket
            self.client.ws_set_options(path=path, headers=headers)
        if user:
            self.client.username_pw_set(user, password)
        environment = site.server.environment
        try:
            self.client.connect(environment["MUSTER_MQTT_HOST"], int(environment["MUSTER_MQTT_PORT"]))
        except Exception:  # the upgrade was refused
            return
        self.client.loop_start()
        assert self.answered.wait(10)

    def _on_connect(self, _client, _userdata, _flags, code):
        self.code = code
        self.answered.set()

    def publish(self, topic):
        self.client.publish(topic, "x", 1)
        while True:
            try:
                self.acknowledged.get(timeout=0.05)
                return True
            except queue.Empty:
                if self.lost.is_set():
                    return False

    def subscribe(self, topic):
        self.client.subscribe(topic, 1)
        return self.granted.get(timeout=5)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def site(start, tmp_path):
    site = Site(start, tmp_path)
    yield site
    site.functions.close()


@pytest.fixture
def connect(site):
    clients = []

    def make(*arguments, **options):
        clients.append(Client(site, *arguments, **options))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


def test_authorizers_round_trip(site):
    iot = site.iot
    made = site.authorizer("a1", status="INACTIVE", enableCachingForHttp=True, tags=[{"Key": "k", "Value": "v"}])
    assert made["authorizerName"] == "a1" and made["authorizerArn"].endswith(":authorizer/a1")
    assert iot.list_tags_for_resource(resourceArn=made["authorizerArn"])["tags"] == [{"Key": "k", "Value": "v"}]
    found = iot.describe_authorizer(authorizerName="a1")["authorizerDescription"]
    assert found["authorizerFunctionArn"] == site.arn() and found["tokenKeyName"] == "TheToken"
    assert found["tokenSigningPublicKeys"] == {"one": site.key.public_pem} and found["status"] == "INACTIVE"
    assert found["enableCachingForHttp"] is True and found["signingDisabled"] is False
    refused("ResourceAlreadyExistsException", 409, site.authorizer, name="a1")
    site.authorizer("a2", signed=False)
    assert [a["authorizerName"] for a in iot.list_authorizers()["authorizers"]] == ["a1", "a2"]
    assert [a["authorizerName"] for a in iot.list_authorizers(status="ACTIVE")["authorizers"]] == ["a2"]
    page = iot.list_authorizers(pageSize=1)
    assert iot.list_authorizers(pageSize=1, marker=page["nextMarker"])["authorizers"][0]["authorizerName"] == "a2"
    refused("ResourceNotFoundException", 404, iot.describe_default_authorizer)
    refused("InvalidRequestException", 400, iot.set_default_authorizer, authorizerName="a1")
    iot.set_default_authorizer(authorizerName="a2")
    assert iot.describe_default_authorizer()["authorizerDescription"]["authorizerName"] == "a2"
    iot.update_authorizer(authorizerName="a1", status="ACTIVE")
    refused("ResourceAlreadyExistsException", 409, iot.set_default_authorizer, authorizerName="a1")
    refused("DeleteConflictException", 409, iot.delete_authorizer, authorizerName="a2")
    refused("InvalidRequestException", 400, iot.update_authorizer, authorizerName="a2", status="INACTIVE")
    iot.clear_default_authorizer()
    for name in ("a1", "a2"):
        iot.update_authorizer(authorizerName=name, status="INACTIVE")
        iot.delete_authorizer(authorizerName=name)
    refused("ResourceNotFoundException", 404, iot.describe_authorizer, authorizerName="a1")


def test_a_function_has_to_be_the_callers_to_invoke(site):
    iam = site.server.client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    own = site.server.client("iot", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    def may(*statements):
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document(
            statement("Allow", ["iot:CreateAuthorizer", "iot:UpdateAuthorizer"], "*"), *statements))
    wanted = {"authorizerName": "a", "authorizerFunctionArn": site.arn(), "signingDisabled": True}
    may()
    error = refused("AccessDeniedException", 403, own.create_authorizer, **wanted)["Error"]["Message"]
    assert f"lambda:InvokeFunction on resource: {site.arn()}" in error
    may(statement("Allow", "lambda:InvokeFunction", site.arn()))
    own.create_authorizer(**wanted)
    refused("AccessDeniedException", 403, own.update_authorizer, authorizerName="a",
            authorizerFunctionArn=site.arn("other"))
    own.update_authorizer(authorizerName="a", status="ACTIVE")


def test_what_cannot_work_is_refused_at_creation(site, platform):
    create, arn = site.iot.create_authorizer, site.arn()
    keys = {"one": site.key.public_pem}
    for wrong in ({"authorizerFunctionArn": "f"},
                  {"authorizerFunctionArn": arn.replace(site.account, "999999999999")},
                  {"authorizerFunctionArn": arn, "tokenSigningPublicKeys": keys},
                  {"authorizerFunctionArn": arn, "tokenKeyName": "t"},
                  {"authorizerFunctionArn": arn, "tokenKeyName": "t", "tokenSigningPublicKeys": {"one": "no key"}}):
        refused("InvalidRequestException", 400, create, authorizerName="x", **wrong)
    # A server that knows no endpoint for the function.
    account = platform.client("sts").get_caller_identity()["Account"]
    refused("InvalidRequestException", 400, platform.client("iot").create_authorizer, authorizerName="x",
            authorizerFunctionArn=arn.replace(site.account, account), signingDisabled=True)


def test_invoke_authorizer_shows_event_and_answer(site):
    site.functions["f"] = lambda event: answer()
    site.authorizer("a")
    token = "tok en/ü"
    got = site.iot.test_invoke_authorizer(
        authorizerName="a", token=token, tokenSignature=site.key.token_signature(token),
        mqttContext={"username": "u", "password": b"\x00p", "clientId": "c"}, tlsContext={"serverName": "host"},
        httpContext={"headers": {"X-A": "b"}, "queryString": "?q=1"})
    assert got["isAuthenticated"] is True and got["principalId"] == "device1"
    assert got["refreshAfterInSeconds"] == 300 and got["disconnectAfterInSeconds"] == 3600
    assert json.loads(got["policyDocuments"][0])["Statement"][0]["Action"] == "iot:*"
    event = site.functions.events[-1]
    assert event.pop("connectionMetadata").keys() == {"id"}
    assert event == {"token": token, "signatureVerified": True, "protocols": ["tls", "http", "mqtt"], "protocolData": {
        "tls": {"serverName": "host"}, "http": {"headers": {"X-A": "b"}, "queryString": "?q=1"},
        "mqtt": {"username": "u", "password": base64.b64encode(b"\x00p").decode(), "clientId": "c"}}}
    calls = len(site.functions.events)
    invoke = site.iot.test_invoke_authorizer
    refused("InvalidRequestException", 400, invoke, authorizerName="a", token=token)
    refused("InvalidRequestException", 400, invoke, authorizerName="a", token=token,
            tokenSignature=site.other_key.token_signature(token))
    refused("ResourceNotFoundException", 404, invoke, authorizerName="b")
    assert len(site.functions.events) == calls, "a function was asked about a token that is not signed"


def raising(event):
    raise FunctionError("division by zero")


@pytest.mark.parametrize("bad", [
    raising, lambda e: b"not json", lambda e: {}, lambda e: {"isAuthenticated": "true"}, lambda e: answer(principal=""),
    lambda e: answer(principal="not-alphanumeric"), lambda e: answer(principal="a" * 129),
    lambda e: {**answer(), "policyDocuments": []}, lambda e: {**answer(), "policyDocuments": [{}] * 11},
    lambda e: answer(statement("Allow", "s3:*", "*")), lambda e: answer(statement("Allow", "iot:*", "x" * 2100)),
    lambda e: answer(disconnectAfterInSeconds=299), lambda e: answer(refreshAfterInSeconds=86401),
    lambda e: b" " * 7_000_000])
def test_answers_that_are_not_to_the_letter_let_nobody_in(site, connect, bad):
    site.functions["f"] = bad
    site.authorizer("a", signed=False)
    refused("InvalidResponseException", 400, site.iot.test_invoke_authorizer, authorizerName="a")
    assert connect("c", "u?x-amz-customauthorizer-name=a", "p").code != 0
    assert site.publish("t", {"x-amz-customauthorizer-name": "a"})[0] == 403


def test_user_name_and_password_at_the_default_authorizer(site, connect):
    def check(event):
        mqtt = event["protocolData"]["mqtt"]
        if (mqtt.get("username"), mqtt.get("password")) != ("ann", base64.b64encode(b"secret").decode()):
            return {"isAuthenticated": False}
        return answer(statement("Allow", "iot:Connect", f"{PREFIX}:client/${{iot:ClientId}}"),
                      statement("Allow", ["iot:Publish", "iot:Receive"], f"{PREFIX}:topic/mine/*"),
                      statement("Allow", "iot:Subscribe", f"{PREFIX}:topicfilter/mine/#"))
    site.functions["f"] = check
    site.authorizer("a", signed=False)
    assert connect("c", "ann", "secret").code != 0  # not the default yet
    site.iot.set_default_authorizer(authorizerName="a")
    live = connect("c", "ann?SDK=Test&Version=1", "secret")
    assert live.code == 0
    event = site.functions.events[-1]
    assert event["protocols"] == ["tls", "mqtt"] and event["signatureVerified"] is False
    assert event["protocolData"]["mqtt"] == {"username": "ann", "password": base64.b64encode(b"secret").decode(),
                                             "clientId": "c"}
    assert live.subscribe("mine/#") == 1 and live.subscribe("#") == 0x80
    assert live.publish("mine/a") and live.messages.get(timeout=5) == ("mine/a", b"x")
    assert not live.publish("other")
    assert connect("c", "ann", "wrong").code != 0
    assert connect("c").code != 0
    site.iot.clear_default_authorizer()
    assert connect("c", "ann", "secret").code != 0
    assert "secret" not in site.server.log()


def test_signed_tokens_in_the_user_name(site, connect):
    site.functions["f"] = lambda event: answer()
    site.authorizer("a")
    site.authorizer("b", tokenSigningPublicKeys={"two": site.other_key.public_pem})
    assert connect("c", site.user_name("a", "t1")).code == 0
    event = site.functions.events[-1]
    assert event["token"] == "t1" and event["signatureVerified"] is True
    assert event["protocolData"]["mqtt"] == {"username": "user", "clientId": "c"}
    calls = len(site.functions.events)
    good = site.key.token_signature("t1")
    for user in (site.user_name("b", "t1", good),  # replayed to another authoriser
                 site.user_name("a", "t2", good),  # another token
                 site.user_name("a", "t1", site.other_key.token_signature("t1")), site.user_name("a", "t1", "AAAA"),
                 site.user_name("a", "t1", "%"), site.user_name("nobody", "t1"),
                 "user?x-amz-customauthorizer-name=a", "user?x-amz-customauthorizer-name=a&TheToken=t1"):
        assert connect("c", user).code != 0, user
    assert len(site.functions.events) == calls, "a function was asked about a token that is not signed"
    site.iot.update_authorizer(authorizerName="a", status="INACTIVE")
    assert connect("c", site.user_name("a", "t1")).code != 0


@pytest.mark.parametrize("change", ["inactive", "deleted", "denying", "other keys", "kept"])
def test_a_change_of_the_authoriser_reaches_live_connections(site, connect, change):
    site.functions["f"] = site.functions["g"] = lambda event: answer(principal="p1")
    site.functions["no"] = lambda event: {"isAuthenticated": False}
    site.authorizer("a")
    site.authorizer("b")
    live, other = connect("c", site.user_name("a")), connect("d", site.user_name("b"))
    assert live.code == 0 and other.code == 0 and live.publish("t")
    update = functools.partial(site.iot.update_authorizer, authorizerName="a")
    if change in ("inactive", "deleted"):
        update(status="INACTIVE")
    if change == "deleted":
        site.iot.delete_authorizer(authorizerName="a")
    if change == "denying":
        update(authorizerFunctionArn=site.arn("no"))
    if change == "other keys":
        update(tokenSigningPublicKeys={"one": site.other_key.public_pem})
    if change == "kept":
        calls = len(site.functions.events)
        update(authorizerFunctionArn=site.arn("g"))
        wait_until(lambda: len(site.functions.events) == calls + 1, what="the new function being asked")
    assert live.lost.wait(1) == (change != "kept")
    assert live.publish("t") == (change == "kept")
    assert other.publish("t") and not other.lost.is_set()


def test_an_authorisers_principal_is_no_claim(site, connect):
    """A principal that is spelled as a certificate's id: the hook is told of no certificate."""
    claim = site.iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
    iam = site.server.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                                                     "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="prov", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="prov", PolicyName="p", PolicyDocument=document(statement("Allow", "iot:*", "*")))
    body = {"Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}}, "Resources": {"c": {
        "Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}}}}}
    site.iot.create_provisioning_template(templateName="T", templateBody=json.dumps(body), enabled=True,
                                          provisioningRoleArn=role, preProvisioningHook={"targetArn": site.arn("hook")})
    site.functions["hook"] = lambda event: {"allowProvisioning": True}
    site.functions["f"] = lambda event: answer(principal=claim)
    site.authorizer("a")
    live = connect("c", site.user_name("a"))

    def ask(topic, payload):
        assert live.subscribe(f"{topic}/accepted") == 1
        live.client.publish(topic, json.dumps(payload), 1)
        return json.loads(live.messages.get(timeout=20)[1])
    made = ask("$aws/certificates/create/json", {})
    ask("$aws/provisioning-templates/T/provision/json", {"certificateOwnershipToken": made["certificateOwnershipToken"]})
    event = site.functions.events[-1]
    assert event["certificateId"] == made["certificateId"] and event["claimCertificateId"] == ""


@pytest.mark.parametrize("where", ["query", "headers", "user name"])
def test_tokens_over_websocket(site, connect, where):
    site.functions["f"] = lambda event: answer(statement("Allow", ["iot:Connect", "iot:Publish"], "*"))
    site.authorizer("a")
    fields = {"x-amz-customauthorizer-name": "a", "TheToken": "t1",
              "x-amz-customauthorizer-signature": site.key.token_signature("t1")}
    query = urllib.parse.urlencode(fields)
    live = connect("c", site.user_name("a") if where == "user name" else "u", "p", websocket={
        "query": (f"/mqtt?{query}", {}), "headers": ("/mqtt", fields), "user name": ("/mqtt", {})}[where])
    assert live.code == 0
    event = site.functions.events[-1]
    assert event["protocols"] == ["tls", "http", "mqtt"] and event["signatureVerified"] is True
    assert event["token"] == "t1" and event["protocolData"]["mqtt"]["clientId"] == "c"
    assert event["protocolData"]["http"].get("queryString") == (f"?{query}" if where == "query" else None)
    if where == "headers":
        assert event["protocolData"]["http"]["headers"]["TheToken"] == "t1"
    assert live.publish("t")
    calls = len(site.functions.events)
    bad = {**fields, "x-amz-customauthorizer-signature": site.other_key.token_signature("t1")}
    assert connect("c", "u", "p", websocket=(f"/mqtt?{urllib.parse.urlencode(bad)}", {})).code != 0
    assert len(site.functions.events) == calls


def test_publishing_over_https(site):
    site.functions["f"] = lambda event: answer(statement("Allow", "iot:Publish", f"{PREFIX}:topic/mine/*"),
                                               statement("Allow", "iot:RetainPublish", f"{PREFIX}:topic/mine/kept"))
    site.authorizer("a")
    headers = {"x-amz-customauthorizer-name": "a", "TheToken": "t1",
               "x-amz-customauthorizer-signature": site.key.token_signature("t1")}
    assert site.publish("mine/a", headers)[0] == 200
    event = site.functions.events[-1]
    assert event["protocols"] == ["tls", "http"] and event["token"] == "t1"
    assert event["protocolData"]["http"]["queryString"] == "?qos=1" and "mqtt" not in event["protocolData"]
    assert site.publish("mine/kept", headers, query="qos=1&retain=true")[0] == 200
    assert site.data.get_retained_message(topic="mine/kept")["payload"] == b"over https"
    assert site.publish("other", headers) == (403, site.publish("other", headers)[1])
    assert site.publish("mine/b", headers, query="qos=1&retain=true")[0] == 403
    calls = len(site.functions.events)
    for wrong in ({**headers, "TheToken": "t2"}, {**headers, "x-amz-customauthorizer-name": "b"}, {},
                  {**headers, "x-amz-customauthorizer-signature": site.other_key.token_signature("t1")}):
        assert site.publish("mine/a", wrong)[0] == 403, wrong
    assert len(site.functions.events) == calls
    # The token is for the message plane alone.
    for method, path in (("GET", "/things/x/jobs"), ("GET", "/things"), ("POST", "/")):
        connection = site.connection()
        connection.request(method, path, headers=headers)
        assert connection.getresponse().status in (403, 404), path
        connection.close()
    assert len(site.functions.events) == calls


@pytest.mark.parametrize("caching", [True, False])
def test_answers_are_kept_for_a_connection_where_the_authoriser_says_so(site, caching):
    site.functions["f"] = lambda event: answer()
    site.authorizer("a", enableCachingForHttp=caching)

    def headers(token):
        return {"x-amz-customauthorizer-name": "a", "TheToken": token,
                "x-amz-customauthorizer-signature": site.key.token_signature(token)}
    connection = site.connection()
    for _ in range(3):
        assert site.publish("t", headers("t1"), connection)[0] == 200
    assert len(site.functions.events) == (1 if caching else 3)
    asked = len(site.functions.events)
    assert site.publish("t", headers("t2"), connection)[0] == 200  # another token
    assert site.publish("t", headers("t1"))[0] == 200  # another connection
    assert len(site.functions.events) == asked + 2
    site.iot.update_authorizer(authorizerName="a", status="INACTIVE")
    assert site.publish("t", headers("t1"), connection)[0] == 403
    connection.close()


def test_default_authorizer_over_https(site):
    site.functions["f"] = lambda event: (
        answer() if event["protocolData"]["http"]["headers"].get("X-Key") == "k" else {"isAuthenticated": False})
    site.authorizer("a", signed=False)
    assert site.publish("t", {"X-Key": "k"})[0] == 403
    site.iot.set_default_authorizer(authorizerName="a")
    assert site.publish("t", {"X-Key": "k"})[0] == 200
    assert site.publish("t", {"X-Key": "j"})[0] == 403


def test_only_a_custom_authoriser_of_the_account_decides(site, connect, tmp_path):
    """A function that is gone, and client ids that would be wildcards."""
    site.authorizer("a", function="gone", signed=False)
    assert connect("c", "u?x-amz-customauthorizer-name=a", "p").code != 0
    site.functions["gone"] = lambda event: answer(
        statement("Allow", "iot:Connect", "*"),
        statement("Allow", "iot:Subscribe", f"{PREFIX}:topicfilter/${{iot:ClientId}}"))
    live = connect("#", "u?x-amz-customauthorizer-name=a", "p")
    assert live.code == 0 and live.subscribe("#") == 0x80
