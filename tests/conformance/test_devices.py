# SPDX-License-Identifier: Apache-2.0
"""Devices over mutual TLS: who may connect, what policies allow, and what MQTT keeps; HTTPS with the certificate."""
import json
import socket
import ssl
import struct
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from server_process import wait_until
from tls_device import Identity, TlsDevice, document, self_signed, statement

ANY = statement("Allow", "iot:*", "*")


def connect_packet(client_id, keep_alive=60, version=4):
    name = client_id.encode()
    body = b"\x00\x04MQTT" + struct.pack(">BBH", version, 2, keep_alive) + (b"\x00" if version == 5 else b"")
    body += struct.pack(">H", len(name)) + name
    return bytes([0x10, len(body)]) + body


def disconnect_reason(stream):
    """The reason in the DISCONNECT with which the server ends the connection."""
    packet = stream.recv(64)
    assert packet and packet[0] == 0xE0 and packet[1] >= 1, packet
    return packet[2]


def refused(connect, identity, client_id=None, **options):
    device = connect(identity, client_id, connected=False, **options)
    return device.code != 0


# ---- who may connect


def test_connect_needs_a_registered_active_certificate_with_permission(platform, iot, identity, connect, tmp_path):
    device = identity(ANY)
    connect(device)
    without_policy = identity()
    assert refused(connect, without_policy)
    inactive = identity(ANY, active=False)
    assert refused(connect, inactive)
    iot.update_certificate(certificateId=inactive.id, newStatus="ACTIVE")
    connect(inactive)
    iot.update_certificate(certificateId=inactive.id, newStatus="REVOKED")
    assert refused(connect, inactive)
    # One that was signed by somebody else and never registered: whether TLS or MQTT refuses it, nothing is let in.
    pem, key = self_signed(tmp_path, "other")
    other = identity(ANY)
    other.certificate.write_text(pem)
    other.key = key
    try:
        assert refused(connect, other)
    except OSError:
        pass
    # The same one, registered, active and with a policy, is let in.
    arn = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")["certificateArn"]
    assert refused(connect, other)
    iot.attach_policy(policyName=other.policy, target=arn)
    connect(other)


def test_connect_without_a_certificate_is_refused(platform):
    bare = ssl.create_default_context(cafile=platform.ca_file)
    where = platform.environment["MUSTER_MQTT_HOST"], int(platform.environment["MUSTER_MQTT_PORT"])
    with socket.create_connection(where, timeout=10) as plain, bare.wrap_socket(plain, server_hostname=where[0]) as tls:
        tls.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab")
        assert tls.recv(4) in (b"\x20\x02\x00\x04", b"\x20\x02\x00\x05")
    with socket.create_connection(where, timeout=10) as plain, bare.wrap_socket(plain, server_hostname=where[0]) as tls:
        tls.sendall(b"GET /things/x/jobs HTTP/1.1\r\nHost: h\r\n\r\n")
        assert tls.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_deleted_certificate_is_cut_and_refused(iot, identity, connect):
    device = identity(ANY)
    live = connect(device)
    iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert live.is_cut()
    iot.delete_certificate(certificateId=device.id, forceDelete=True)
    assert refused(connect, device)


@pytest.mark.parametrize("change", ["inactive", "revoked", "detach", "new default version", "old default version"])
def test_change_cuts_a_live_connection(iot, identity, connect, change):
    device = identity(ANY)
    live, other = connect(device), connect(identity(ANY))
    start = time.monotonic()
    if change in ("inactive", "revoked"):
        iot.update_certificate(certificateId=device.id, newStatus=change.upper())
    elif change == "detach":
        iot.detach_policy(policyName=device.policy, target=device.arn)
    else:
        denying = document(statement("Deny", "iot:Connect", "*"))
        made = iot.create_policy_version(policyName=device.policy, policyDocument=denying,
                                         setAsDefault=change.startswith("new"))
        if change.startswith("old"):
            assert not live.lost.is_set()
            iot.set_default_policy_version(policyName=device.policy, policyVersionId=made["policyVersionId"])
    assert live.is_cut(1)
    assert time.monotonic() - start < 2
    assert refused(connect, device)
    assert other.publish("still/here") and not other.lost.is_set()


def test_thing_variables_follow_the_registry_on_a_live_connection(iot, identity, connect):
    device = identity(statement("Allow", "iot:Connect", "*", Condition={
        "Bool": {"iot:Connection.Thing.IsAttached": ["true"]}}))
    assert refused(connect, device)
    thing = device.thing()
    live = connect(device)
    iot.detach_thing_principal(thingName=thing, principal=device.arn)
    assert live.is_cut(1)
    assert refused(connect, device)


# ---- policy variables


def test_client_id_variable(identity, connect):
    device = identity(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${iot:ClientId}"),
                      statement("Allow", "iot:Publish", "arn:aws:iot:*:*:topic/up/${iot:ClientId}"))
    assert connect(device, f"{device.name}-a").publish(f"up/{device.name}-a")
    assert not connect(device, f"{device.name}-b").publish(f"up/{device.name}-a")


def test_thing_name_variable(identity, connect):
    device = identity(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"),
                      statement("Allow", "iot:Publish", "arn:aws:iot:*:*:topic/t/${iot:Connection.Thing.ThingName}/*"),
                      statement("Allow", "iot:Publish",
                                "arn:aws:iot:*:*:topic/site/${iot:Connection.Thing.Attributes[site]}"))
    assert refused(connect, device)
    device.thing(attributes={"site": "berlin"})
    live = connect(device)
    assert live.publish(f"t/{device.name}/a") and live.publish("site/berlin")
    assert not live.publish("site/paris")
    assert refused(connect, device, f"{device.name}-x")


def test_certificate_variables(iot, identity, connect, tmp_path):
    device = identity(
        statement("Allow", "iot:Connect", "*"),
        statement("Allow", "iot:Publish", ["arn:aws:iot:*:*:topic/cn/${iot:Certificate.Subject.CommonName}",
                                           "arn:aws:iot:*:*:topic/ou/${iot:Certificate.Subject.OrganizationalUnit}",
                                           "arn:aws:iot:*:*:topic/ou1/${iot:Certificate.Subject.OrganizationalUnit.1}",
                                           "arn:aws:iot:*:*:topic/issuer/${iot:Certificate.Issuer.Organization}",
                                           "arn:aws:iot:*:*:topic/id/${iot:CertificateId}"]),
        *(statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unit}", Condition={
            "ForAnyValue:StringEquals": {"iot:Certificate.Subject.OrganizationalUnit.List": [unit]}})
          for unit in ("line-2", "line-3")))
    pem, key = self_signed(tmp_path, "own", "/O=Acme/OU=line-1/OU=line-2/CN=box-7")
    made = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    iot.attach_policy(policyName=device.policy, target=made["certificateArn"])
    device.certificate.write_text(pem)
    device.key = key
    live = connect(device)
    for topic in ("cn/box-7", "issuer/Acme", "ou/line-1", "ou1/line-2", "line-2", f"id/{made['certificateId']}"):
        assert live.publish(topic), topic
    for topic in ("ou/line-2", "ou1/line-1", "line-3", "cn/Acme"):
        assert not connect(device).publish(topic), topic


def test_policy_of_a_group_reaches_the_devices_of_its_things(iot, identity, connect, unique):
    device = identity()
    thing = device.thing()
    parent, child = f"parent-{unique}", f"child-{unique}"
    iot.create_thing_group(thingGroupName=parent)
    arn = iot.describe_thing_group(thingGroupName=parent)["thingGroupArn"]
    iot.create_thing_group(thingGroupName=child, parentGroupName=parent)
    iot.create_policy(policyName=f"g-{unique}", policyDocument=document(ANY))
    iot.attach_policy(policyName=f"g-{unique}", target=arn)
    assert refused(connect, device)
    iot.add_thing_to_thing_group(thingGroupName=child, thingName=thing)
    live = connect(device)
    iot.remove_thing_from_thing_group(thingGroupName=child, thingName=thing)
    assert live.is_cut(1)


# ---- publish, subscribe, receive


def test_publish_without_permission_ends_the_connection(identity, connect):
    device = identity(statement("Allow", "iot:Connect", "*"),
                      statement("Allow", "iot:Publish", "arn:aws:iot:*:*:topic/a/*"),
                      statement("Deny", "iot:Publish", "arn:aws:iot:*:*:topic/a/secret*"))
    for version in (4, 5):
        for topic in ("b", "a/secret/1"):
            live = connect(device, version=version)
            assert live.publish("a/1")
            assert not live.publish(topic), topic
    # QoS 0 has no answer, but the connection ends all the same.
    live = connect(device)
    live.publish("b", qos=0)
    assert live.is_cut(2)


def test_retain_needs_its_own_permission(identity, connect, unique):
    topic = f"keep/{unique}"
    device = identity(statement("Allow", ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"], "*"))
    assert not connect(device).publish(topic, "first", retain=True)
    allowed = identity(ANY)
    assert connect(allowed).publish(topic, "second", retain=True)
    live = connect(device)
    assert live.subscribe(topic) == 1
    assert live.receives_only(topic, "second").retain
    assert connect(allowed, "clearing").publish(topic, "", retain=True)


@pytest.mark.parametrize("version", [4, 5])
def test_subscribe_without_permission_is_answered(identity, connect, version):
    device = identity(statement("Allow", ["iot:Connect", "iot:Receive"], "*"),
                      statement("Allow", "iot:Subscribe", "arn:aws:iot:*:*:topicfilter/ok/*"))
    live = connect(device, version=version)
    assert live.subscribe("ok/+/x") == 1
    code = live.subscribe("other/#")
    assert code in (0x80, 0x87, None)
    if code is not None:
        assert live.subscribe("ok/y", qos=0) == 0


def test_receive_is_asked_for_each_message(identity, connect, unique):
    device = identity(statement("Allow", ["iot:Connect", "iot:Subscribe", "iot:Publish"], "*"),
                      statement("Allow", "iot:Receive", f"arn:aws:iot:*:*:topic/{unique}/open/*"))
    live = connect(device)
    assert live.subscribe(f"{unique}/#") == 1
    assert live.publish(f"{unique}/closed/1", "no") and live.publish(f"{unique}/open/1", "yes")
    live.receives_only(f"{unique}/open/1", "yes")


def test_wildcards_of_filters_are_literal_in_policies(identity, connect):
    device = identity(statement("Allow", ["iot:Connect", "iot:Receive"], "*"),
                      statement("Allow", "iot:Subscribe", "arn:aws:iot:*:*:topicfilter/a/+/c"))
    live = connect(device)
    assert live.subscribe("a/+/c") == 1
    assert live.subscribe("a/b/c") in (0x80, 0x87, None)


def test_will_is_published_and_needs_permission(iot, identity, connect, unique):
    device, watcher = identity(ANY), connect(identity(ANY))
    assert watcher.subscribe(f"will/{unique}/#") == 1
    clean = connect(device, will=(f"will/{unique}/clean", "gone", 1))
    clean.close()
    broken = connect(device, will=(f"will/{unique}/broken", "gone", 1))
    broken.kill()
    watcher.receives_only(f"will/{unique}/broken", "gone")
    limited = identity(statement("Allow", "iot:Connect", "*"))
    assert refused(connect, limited, will=(f"will/{unique}/x", "gone", 1))
    # A connection that is cut for its certificate has lost the right to speak, even by its will.
    cut = connect(device, will=(f"will/{unique}/cut", "gone", 1))
    iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert cut.is_cut(1)
    assert watcher.publish(f"will/{unique}/after", "x")
    watcher.receives_only(f"will/{unique}/after", "x")


# ---- sessions


@pytest.mark.parametrize("version", [4, 5])
def test_second_connection_takes_over(identity, connect, version):
    device = identity(ANY)
    first = connect(device, version=version)
    second = connect(device, version=version)
    assert first.is_cut(2)
    assert second.publish("still/here")


def test_version_5_says_why_it_ends(iot, identity, connect):
    device = identity(ANY)
    with device.connection() as stream:
        stream.sendall(connect_packet(device.name, version=5))
        assert stream.recv(64)[0] == 0x20
        connect(device, version=5)
        assert disconnect_reason(stream) == 0x8E  # session taken over
    with device.connection() as stream:
        stream.sendall(connect_packet(device.name, version=5))
        assert stream.recv(64)[0] == 0x20
        iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
        assert disconnect_reason(stream) in (0x87, 0x98)  # not authorized, administrative action


def test_persistent_session_keeps_messages(identity, connect, unique):
    device, sender = identity(ANY), connect(identity(ANY))
    first = connect(device, clean=False)
    assert first.present is False
    assert first.subscribe(f"{unique}/#") == 1
    first.close()
    for number in range(3):
        assert sender.publish(f"{unique}/{number}", str(number))
    again = connect(device, clean=False)
    assert again.present is True
    for number in range(3):
        again.receives_only(f"{unique}/{number}", str(number))
    again.close()
    assert connect(device, clean=True).present is False
    assert connect(device, clean=False).present is False


def test_session_expiry_of_version_5(identity, connect, unique):
    device = identity(ANY)
    first = connect(device, version=5, clean=True, expiry=1)
    assert first.subscribe(f"{unique}/#") == 1
    first.close()
    again = connect(device, version=5, clean=False, expiry=1)
    assert again.present is True
    again.close()
    time.sleep(1.6)
    assert connect(device, version=5, clean=False).present is False


def test_keep_alive_ends_a_silent_connection(identity):
    device = identity(ANY)
    with device.connection() as stream:
        stream.sendall(connect_packet(device.name, keep_alive=1))
        assert stream.recv(4) == b"\x20\x02\x00\x00"
        start = time.monotonic()
        assert stream.recv(16) == b""
        assert 1.4 <= time.monotonic() - start < 4


def test_quality_1_survives_kill(own_platform, tmp_path):
    receiver = Identity(own_platform, tmp_path, "receiver", ANY)
    sender = Identity(own_platform, tmp_path, "sender", ANY)
    first = TlsDevice(receiver, clean=False)
    assert first.subscribe("work/#") == 1
    first.close()
    sending = TlsDevice(sender)
    for number in range(20):
        assert sending.publish(f"work/{number}", str(number))
    assert sending.publish("kept", "r", retain=True)
    own_platform.restart()
    assert sending.lost.wait(5)
    again = TlsDevice(receiver, clean=False)
    assert again.present is True
    for number in range(20):
        again.receives_only(f"work/{number}", str(number))
    assert again.subscribe("kept") == 1
    again.receives_only("kept", "r")
    for device in (sending, again):
        device.close()


# ---- TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("alpn", [None, "mqtt", "x-amzn-mqtt-ca"])
def test_tls_versions_and_alpn(identity, connect, version, alpn):
    device = identity(ANY)
    live = connect(device, context=device.context(version, [alpn] if alpn else None))
    assert live.publish("a")
    stream = live.client.socket()
    assert stream.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    assert stream.selected_alpn_protocol() == alpn


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_refuses_what_it_does_not_speak(platform, identity):
    device = identity(ANY)
    old = device.context()
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    for context in (old, device.context(alpn=["h2"])):
        with pytest.raises(OSError):
            device.connection(context)
    host, port = platform.environment["MUSTER_MQTT_HOST"], int(platform.environment["MUSTER_MQTT_PORT"])
    with socket.create_connection((host, port), timeout=10) as plain:  # MQTT without TLS
        plain.sendall(connect_packet(device.name))
        try:
            assert not plain.recv(64).startswith(b"\x20")
        except ConnectionResetError:
            pass


# ---- HTTPS with the certificate, and the data plane


def test_jobs_over_https_with_the_certificate(iot, identity):
    actions = ("StartNextPendingJobExecution", "DescribeJobExecution", "UpdateJobExecution", "GetPendingJobExecutions")
    device = identity(statement("Allow", [f"iotjobsdata:{action}" for action in actions],
                                "arn:aws:iot:*:*:thing/${iot:Connection.Thing.ThingName}"))
    thing = device.thing()
    job = f"j-{device.name}"
    arn = iot.describe_thing(thingName=thing)["thingArn"]
    iot.create_job(jobId=job, targets=[arn], document=json.dumps({"do": "it"}))
    wait_until(lambda: iot.list_job_executions_for_job(jobId=job)["executionSummaries"], what="the execution")
    for alpn in (None, ["x-amzn-http-ca"], ["http/1.1"]):
        status, pending, _ = device.https("GET", f"/things/{thing}/jobs", alpn=alpn)
        assert status == 200 and [j["jobId"] for j in pending["queuedJobs"]] == [job]
    status, started, _ = device.https("PUT", f"/things/{thing}/jobs/$next", {"statusDetails": {"step": "1"}})
    assert status == 200 and started["execution"]["status"] == "IN_PROGRESS"
    status, described, _ = device.https("GET", f"/things/{thing}/jobs/{job}?includeJobDocument=true")
    assert status == 200 and json.loads(described["execution"]["jobDocument"]) == {"do": "it"}
    status, reply, headers = device.https("POST", f"/things/{thing}/jobs/{job}",
                                          {"status": "SUCCEEDED", "expectedVersion": 99})
    assert status >= 400 and headers["x-amzn-ErrorType"] and reply["message"]
    status, reply, _ = device.https("POST", f"/things/{thing}/jobs/{job}", {"status": "SUCCEEDED"})
    assert status == 200
    # Another thing's jobs are not this device's.
    iot.create_thing(thingName=f"other-{device.name}")
    status, reply, headers = device.https("GET", f"/things/other-{device.name}/jobs")
    assert status == 403 and headers["x-amzn-ErrorType"].startswith("ForbiddenException")
    iot.update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert device.https("GET", f"/things/{thing}/jobs")[0] in (401, 403)


def test_jobs_over_mqtt_under_a_policy_of_its_own_topics(iot, identity, connect):
    own = "$aws/things/${iot:Connection.Thing.ThingName}/jobs/*"
    device = identity(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"),
                      statement("Allow", ["iot:Publish", "iot:Receive"], f"arn:aws:iot:*:*:topic/{own}"),
                      statement("Allow", "iot:Subscribe", f"arn:aws:iot:*:*:topicfilter/{own}"))
    thing, other = device.thing(), f"other-{device.name}"
    iot.create_thing(thingName=other)
    live = connect(device)
    assert live.subscribe(f"$aws/things/{thing}/jobs/notify-next") == 1
    assert live.subscribe(f"$aws/things/{other}/jobs/notify-next") in (0x80, 0x87, None)
    assert live.publish(f"$aws/things/{thing}/jobs/get", '{"clientToken":"1"}')
    reply = live.receive()
    assert reply.topic == f"$aws/things/{thing}/jobs/get/accepted" and json.loads(reply.payload)["clientToken"] == "1"
    job = f"j-{device.name}"
    iot.create_job(jobId=job, targets=[iot.describe_thing(thingName=thing)["thingArn"]], document='{"a":1}')
    announced = live.receive()
    assert announced.topic == f"$aws/things/{thing}/jobs/notify-next"
    assert json.loads(announced.payload)["execution"]["jobId"] == job
    assert not live.publish(f"$aws/things/{other}/jobs/get", "{}")


def test_certificate_gives_no_way_into_the_control_plane(identity):
    device = identity(statement("Allow", "*", "*"))
    device.thing()
    for method, path in (("GET", "/jobs"), ("POST", f"/things/{device.name}-x"), ("GET", "/policies"),
                         ("GET", "/certificates"), ("GET", "/"), ("GET", "/metrics"),
                         ("GET", f"/thing-groups/{device.name}"), ("PUT", "/bucket")):
        status, _, _ = device.https(method, path)
        assert status in (400, 403, 404, 405), (method, path, status)


def test_the_device_port_serves_the_data_planes_alone_whoever_asks(identity, platform, unique):
    device = identity(statement("Allow", "*", "*"))
    environment = platform.environment
    origin = f"https://{environment['MUSTER_MQTT_HOST']}:{environment['MUSTER_MQTT_PORT']}"

    def client(service):  # signed by the root of the account
        return platform.client(service, endpoint=origin, client_cert=(device.certificate, device.key))
    for call in (client("iam").list_users, client("iot").list_things, client("s3").list_buckets):
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error.value.response
    client("iot-data").publish(topic=unique, payload=b"x")
    context = ssl.create_default_context(cafile=platform.ca_file)
    for path in ("/metrics", "/health/live", "/things"):
        request = urllib.request.Request(origin + path, headers={"x-amz-customauthorizer-name": "x"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=context)
        assert refused.value.code == 403, path


def test_publish_over_https(identity, connect, unique):
    device = identity(statement("Allow", ["iot:Connect", "iot:Subscribe", "iot:Receive"], "*"),
                      statement("Allow", "iot:Publish", f"arn:aws:iot:*:*:topic/{unique}/*"))
    live = connect(device)
    assert live.subscribe("#") == 1
    status, _, _ = device.https("POST", f"/topics/{unique}/a%20b?qos=1", b"\x00\xff raw")
    assert status == 200
    message = live.receive()
    assert (message.topic, message.payload, message.qos) == (f"{unique}/a b", b"\x00\xff raw", 1)
    assert device.https("POST", "/topics/other?qos=1", b"x")[0] == 403


def test_publish_with_signature_reaches_subscribers(iot_data, identity, connect, unique):
    live = connect(identity(ANY))
    assert live.subscribe(f"{unique}/+") == 1
    iot_data.publish(topic=f"{unique}/a", qos=1, payload=b"one")
    message = live.receives_only(f"{unique}/a", "one")
    assert message.qos == 1 and not message.retain
    iot_data.publish(topic=f"{unique}/b", payload=b"")
    assert live.receives_only(f"{unique}/b", "").qos == 0
    for topic in (f"{unique}/+", f"{unique}/#"):
        with pytest.raises(iot_data.exceptions.InvalidRequestException):
            iot_data.publish(topic=topic, qos=0, payload=b"x")
