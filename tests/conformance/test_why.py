# SPDX-License-Identifier: Apache-2.0
"""What AWS lacks: controls by tags and by the administration API, dry runs, why, and watching a job."""
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jobs_device import Device
from server_process import binary, wait_until
from tls_device import statement

ANY = statement("Allow", "iot:*", "*")


@pytest.fixture
def ask(platform):
    """(status, JSON) of a signed administration call; another key: its user's rights count."""
    def call(method, path, body=None, key=None):
        text = json.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if text else {}
        request = AWSRequest(method, platform.endpoint + path, data=text, headers=headers)
        pair = (key["AccessKeyId"], key["SecretAccessKey"]) if key else (
            platform.environment["AWS_ACCESS_KEY_ID"], platform.environment["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(Credentials(*pair), "muster", platform.region).add_auth(request)
        made = urllib.request.Request(request.url, method=method, headers=dict(request.headers),
                                      data=text.encode() if text else None)
        try:
            with urllib.request.urlopen(made, timeout=10) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")
    return call


@pytest.fixture
def fleet(iot, unique):
    """fleet(count): names of things in a group of the test's own, and the group's ARN."""
    def make(count):
        group = iot.create_thing_group(thingGroupName=f"g-{unique}")
        names = [f"{unique}-{n}" for n in range(count)]
        for name in names:
            iot.create_thing(thingName=name)
            iot.add_thing_to_thing_group(thingGroupName=f"g-{unique}", thingName=name)
        return names, group["thingGroupArn"]
    return make


def tags(**controls):
    return [{"Key": "muster:" + key.replace("_", "-"), "Value": value} for key, value in controls.items()]


def muster(platform, *words):
    return subprocess.run([binary(), *words, "--data-dir", platform.data_dir], capture_output=True, text=True, check=False,
                          timeout=60)


def wait_for(read, good):
    """The value of read() as soon as it is good."""
    seen = []
    wait_until(lambda: seen.append(read()) or good(seen[-1]), what=read.__name__)
    return seen[-1]


def codes(answer):
    return [finding["code"] for finding in answer["findings"]]


def test_a_dry_run_tells_and_creates_nothing(platform, iot, iot_jobs, fleet, unique):
    names, group = fleet(3)
    made = iot.create_job(jobId=unique, targets=[group], document="{}", tags=tags(dry_run="true"),
                          jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    assert made["jobId"] == unique
    assert made["description"].startswith("Dry run, nothing was created. ")
    assert "3 executions are to be created" in made["description"]
    assert "3 of 3 things (100%) are offline now" in made["description"]
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_job(jobId=unique)
    assert iot.list_job_executions_for_thing(thingName=names[0])["executionSummaries"] == []
    assert iot_jobs.get_pending_job_executions(thingName=names[0])["queuedJobs"] == []
    # The same by the AWS CLI, and then in earnest under the same id.
    said = platform.cli("iot", "create-job", "--job-id", unique, "--targets", group, "--document", "{}", "--tags",
                        "Key=muster:dry-run,Value=true", "--query", "description", "--output", "text").stdout
    assert "3 executions are to be created" in said and len(said) <= 2029
    iot.create_job(jobId=unique, targets=[group], document="{}")


def test_a_dry_run_refuses_what_a_creation_would(iot, fleet, unique):
    _, group = fleet(1)
    bad = [dict(targets=[group + "x"]), dict(targets=[group], document='{"u": "${aws:iot:s3-presigned-url:https://x/y}"}'),
           dict(targets=[group], schedulingConfig={"startTime": "2001-01-01T00:00:00Z"})]
    for more in bad:
        wanted = {"jobId": unique, "document": "{}", **more}
        with pytest.raises(botocore.exceptions.ClientError) as in_earnest:
            iot.create_job(**wanted)
        with pytest.raises(botocore.exceptions.ClientError) as dry:
            iot.create_job(**wanted, tags=tags(dry_run="true"))
        assert dry.value.response["Error"] == in_earnest.value.response["Error"]
    iot.create_job(jobId=unique, targets=[group], document="{}")
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_job(jobId=unique, targets=[group], document="{}", tags=tags(dry_run="true"))


def test_previews_by_the_administration_api(ask, iot, fleet, unique, plain_mqtt):
    _, group = fleet(4)
    device = Device(plain_mqtt, f"{unique}-0", f"{unique}-0")
    status, answer = ask("POST", "/_admin/jobs/preview", {
        "targets": [group], "jobExecutionsRolloutConfig": {"maximumPerMinute": 2},
        "tags": tags(hold="25", approval="required")})
    assert status == 200, answer
    assert (answer["things"], answer["executions"], answer["offline"], answer["sampled"]) == (4, 4, 3, False)
    assert {"preview.gates", "preview.approval", "preview.offline"} <= set(codes(answer))
    assert answer["rollout"][-1]["rolledOut"] == 4 and answer["finishes"] > answer["starts"]
    device.close()
    assert ask("POST", "/_admin/jobs/preview", {"targets": [group + "x"]})[0] == 404
    assert ask("POST", "/_admin/jobs/preview", {"targets": []})[0] == 400
    assert ask("POST", "/_admin/jobs/preview", {"targets": [group], "tags": tags(hold="x")})[0] == 400
    assert ask("POST", f"/_admin/jobs/no-{unique}/preview")[0] == 404
    iot.create_job(jobId=unique, targets=[group], document="{}", tags=tags(hold="25"))
    assert ask("POST", f"/_admin/jobs/{unique}/preview")[1]["executions"] == 3


def test_controls_by_either_way_are_the_same(ask, iot, fleet, unique):
    names, group = fleet(4)
    arn = iot.create_job(jobId=unique, targets=[group], document="{}",
                         tags=tags(approval="required", hold="50:100"))["jobArn"]

    def control(word, more=""):
        status, answer = ask("POST", f"/_admin/jobs/{unique}/{word}{more}")
        assert status == 200, answer
        return answer

    def shown():
        return {tag["Key"]: tag["Value"] for tag in iot.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert codes(ask("GET", f"/_admin/why?job={unique}")[1])[-1] == "job.waits.approval"
    assert control("approve")["approval"] == "approved"
    assert shown()["muster:approval"] == "approved"
    paused = control("pause")
    assert paused["paused"] is True and shown()["muster:pause"] == "true"
    iot.untag_resource(resourceArn=arn, tagKeys=["muster:pause"])
    assert control("resume")["paused"] is False  # by the tag already: no harm
    wait_for(lambda: ask("GET", f"/_admin/why?job={unique}")[1], lambda a: codes(a)[-1] == "job.waits.gate")
    _, answer = ask("GET", f"/_admin/why?thing={names[3]}&job={unique}")
    assert codes(answer)[:2] == ["execution.not_rolled_out", "job.waits.gate"]
    assert answer["findings"][1]["facts"]["gate"] == "1"
    assert control("continue")["gatesContinued"] == 1
    assert shown()["muster:continue"] == "1"
    wait_for(lambda: iot.describe_job(jobId=unique)["job"]["jobProcessDetails"]["numberOfQueuedThings"], lambda n: n == 4)
    assert ask("POST", f"/_admin/jobs/{unique}/continue")[0] == 400  # no gate holds
    assert ask("POST", f"/_admin/jobs/no-{unique}/pause")[0] == 404
    for wrong in ("0x", "x", "3", "999"):
        assert ask("POST", f"/_admin/jobs/{unique}/continue?gate={wrong}")[0] == 400, wrong
    assert shown()["muster:continue"] == "1"
    plain = iot.create_job(jobId=unique + "-p", targets=[group], document="{}")["jobId"]
    for word in ("approve", "continue", "continue?gate=all"):
        assert ask("POST", f"/_admin/jobs/{plain}/{word}")[0] == 400, word
    iot.cancel_job(jobId=plain)
    wait_for(lambda: iot.describe_job(jobId=plain)["job"]["status"], lambda status: status == "CANCELED")
    status, answer = ask("POST", f"/_admin/jobs/{plain}/pause")
    assert status == 400 and "CANCELED" in answer["message"]


def test_administration_of_jobs_needs_permission(ask, iam, ann, fleet, iot, unique):
    _, group = fleet(1)
    for job in (unique, unique + "-b"):
        iot.create_job(jobId=job, targets=[group], document="{}")
    assert ask("POST", f"/_admin/jobs/{unique}/pause", key=ann.key)[0] == 403
    arn = iot.describe_job(jobId=unique)["job"]["jobArn"]
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [statement("Allow", "muster:PauseJob", arn)]}))
    assert ask("POST", f"/_admin/jobs/{unique}/pause", key=ann.key)[0] == 200
    assert ask("POST", f"/_admin/jobs/{unique}/resume", key=ann.key)[0] == 403
    assert ask("POST", f"/_admin/jobs/{unique}-b/pause", key=ann.key)[0] == 403
    assert ask("GET", f"/_admin/why?job={unique}", key=ann.key)[0] == 403


def test_why_a_thing_is_not_offered_a_job(ask, platform, iot, fleet, unique, plain_mqtt):
    names, group = fleet(2)
    iot.create_job(jobId=unique, targets=[group], document="{}", tags=tags(pause="true"))
    alone = f"alone-{unique}"
    iot.create_thing(thingName=alone)
    done = muster(platform, "why", alone, unique)
    assert done.returncode == 0, done.stderr
    assert f"Thing {alone} is not in any target of job {unique}" in done.stdout
    assert "The device is not connected by MQTT" in done.stdout
    done = muster(platform, "why", names[0], unique)
    assert f"Thing {names[0]} is targeted by job {unique}, whose rollout has not come to it yet." in done.stdout
    assert "is paused" in done.stdout
    assert muster(platform, "job", "resume", unique).returncode == 0
    wait_for(lambda: codes(ask("GET", f"/_admin/why?thing={names[0]}&job={unique}")[1]),
             lambda c: "execution.offered" in c)
    device = Device(plain_mqtt, names[0], names[0])
    found = ask("GET", f"/_admin/why?thing={names[0]}&job={unique}")[1]
    assert codes(found) == ["execution.queued", "execution.offered", "client.connected"]
    device.close()
    assert muster(platform, "why", "nobody-" + unique).stdout == f"There is no thing nobody-{unique}.\n"
    assert muster(platform, "why").returncode == 1 and "muster why takes" in muster(platform, "why").stderr
    machine = json.loads(muster(platform, "why", "--job", unique, "--format", "json").stdout)
    assert codes(machine)[0] == "job.state"


def test_why_a_publish_was_denied(ask, platform, identity, connect):
    base = f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:"
    device = identity(statement("Allow", "iot:Connect", "*"),
                      statement("Allow", "iot:Publish", base + "topic/dt/${iot:Connection.Thing.ThingName}/*"),
                      statement("Deny", "iot:Publish", base + "topic/dt/+/secret", Sid="quiet"))
    name = device.thing()
    live = connect(device, name, version=5)
    live.client.publish("DT/x", "1", qos=1)
    path = "/_admin/why?" + urllib.parse.urlencode({"clientId": name})
    answer = wait_for(lambda: ask("GET", path)[1], lambda a: "client.denied" in codes(a))
    denied = next(f for f in answer["findings"] if f["code"] == "client.denied")
    assert denied["facts"]["action"] == "iot:Publish" and denied["facts"]["name"] == "DT/x"
    assert denied["facts"]["principal"] == device.id
    assert "No statement allows iot:Publish" in denied["sentence"]

    def fresh(topic, action="publish"):
        done = muster(platform, "why", "--client", name, f"--{action}", topic)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert "statement 2 of policy" in fresh(f"dt/{name}/temp").lower()
    assert f"is nearly dt/{name}/temp" in fresh("dt/other/temp")
    assert "is nearly $aws/things/" in fresh(f"aws/things/{name}/jobs/get")
    assert "No statement allows iot:Subscribe" in fresh("a/#", "subscribe")
    stranger = muster(platform, "why", "--client", f"no-{name}", "--publish", "aws/things/x/jobs/get").stdout
    assert "not known by which certificate" in stranger and "is nearly $aws/things/x/jobs/get" in stranger
    platform.client("iot").update_certificate(certificateId=device.id, newStatus="INACTIVE")
    assert "certificate is INACTIVE" in fresh(f"dt/{name}/temp")


@pytest.mark.parametrize("query", ["", "?topic=a", "?thing=a&clientId=b", "?clientId=a&action=publish", "?thng=a",
                                   "?clientId=a&topic=b&action=drop", "?thing=a%20b"])
def test_questions_that_mean_nothing_are_refused(ask, query):
    assert ask("GET", "/_admin/why" + query)[0] == 400


def test_a_job_is_watched_to_its_end(platform, iot, iot_jobs, fleet, unique):
    names, group = fleet(2)
    iot.create_job(jobId=unique, targets=[group], document="{}")
    for name, status in zip(names, ("SUCCEEDED", "FAILED")):
        iot_jobs.update_job_execution(jobId=unique, thingName=name, status=status, statusDetails={"reason": "disk full"})
    done = muster(platform, "job", "watch", unique)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert re.search(r"COMPLETED  100% 2/2  SUCCEEDED 1  FAILED 1 .*failures: 1 FAILED: disk full", last), last
    canceled = unique + "-c"
    iot.create_job(jobId=canceled, targets=[group], document="{}")
    iot.cancel_job(jobId=canceled)
    assert muster(platform, "job", "watch", canceled).returncode == 1
    done = muster(platform, "job", "watch", "no-" + unique)
    assert done.returncode == 1 and "cannot be found" in done.stderr


def test_a_device_is_found_by_its_certificate(ask, iot, identity, connect, unique):
    device = identity(ANY)
    thing = device.thing()
    found = ask("GET", f"/_admin/why?thing={thing}")[1]
    assert codes(found) == ["thing.nothing_pending", "device.not_connected", "device.not_subscribed"]
    assert "any of the thing's 1 certificate." in found["findings"][1]["sentence"]
    live = connect(device, f"another-{unique}", version=5, expiry=60)
    assert live.subscribe(f"$aws/things/{thing}/jobs/notify-next") == 1
    found = ask("GET", f"/_admin/why?thing={thing}")[1]
    assert codes(found) == ["thing.nothing_pending", "client.connected"]
    assert found["findings"][1]["facts"]["clientId"] == f"another-{unique}"
    arn = iot.describe_thing(thingName=thing)["thingArn"]
    assert ask("POST", "/_admin/jobs/preview", {"targets": [arn]})[1]["offline"] == 0
    live.close()
    found = wait_for(lambda: ask("GET", f"/_admin/why?thing={thing}")[1], lambda a: "client.disconnected" in codes(a))
    assert found["findings"][1]["facts"]["reason"]
    assert ask("POST", "/_admin/jobs/preview", {"targets": [arn]})[1]["offline"] == 1


def test_a_dry_run_of_a_template_has_its_rate(iot, fleet, unique):
    _, group = fleet(4)
    template = iot.create_job_template(jobTemplateId=unique, description="t", document="{}",
                                       jobExecutionsRolloutConfig={"maximumPerMinute": 1})["jobTemplateArn"]
    made = iot.create_job(jobId=unique, targets=[group], jobTemplateArn=template, tags=tags(dry_run="true"))
    assert "at up to 1 a minute" in made["description"]
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_job(jobId=unique)


def test_a_refused_connect_is_explained(ask, platform, identity, connect, unique):
    device = identity(statement("Allow", "iot:Connect", "arn:aws:iot:*:*:client/only-this"))
    connect(device, unique, connected=False)
    found = wait_for(lambda: ask("GET", f"/_admin/why?clientId={unique}")[1], lambda a: "client.denied" in codes(a))
    denied = next(f for f in found["findings"] if f["code"] == "client.denied")
    assert denied["facts"]["action"] == "iot:Connect" and "only-this" in denied["sentence"]
    fresh = ask("GET", f"/_admin/why?clientId={unique}&action=connect")[1]
    assert "policy.none" in codes(fresh) and "policy.near.resource" in codes(fresh)
