# SPDX-License-Identifier: Apache-2.0
"""Every member of the control plane's Jobs operations: what is kept, shown, checked and refused. boto3 and the AWS CLI."""
import datetime
import json

import boto3
import pytest

from refusals import pages, refused
from server_process import wait_until

INVALID = ("InvalidRequestException", 400)
MISSING = ("ResourceNotFoundException", 404)

ROLLOUT = {"maximumPerMinute": 500, "exponentialRate": {
    "baseRatePerMinute": 50, "incrementFactor": 1.5, "rateIncreaseCriteria": {"numberOfNotifiedThings": 10}}}
ABORT = {"criteriaList": [{"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 12.5,
                           "minNumberOfExecutedThings": 4}]}
RETRY = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2},
                          {"failureType": "TIMED_OUT", "numberOfRetries": 1}]}

# What SDKs newer than Debian's send and read, in the form in which botocore takes additions to its models.
NEWER = {"version": 1.0, "merge": {"shapes": {
    "CreateJobRequest": {"members": {"destinationPackageVersions": {"shape": "DestinationPackageVersions"}}},
    "DestinationPackageVersions": {"type": "list", "member": {"shape": "JobTemplateArn"}},
    "SchedulingConfig": {"members": {"maintenanceWindows": {"shape": "MaintenanceWindows"}}},
    "MaintenanceWindows": {"type": "list", "member": {"shape": "MaintenanceWindow"}},
    "MaintenanceWindow": {"type": "structure", "members": {"startTime": {"shape": "StringDateTime"},
                                                           "durationInMinutes": {"shape": "RolloutRatePerMinute"}}},
    "Job": {"members": {"scheduledJobRollouts": {"shape": "ScheduledJobRollouts"}}},
    "ScheduledJobRollouts": {"type": "list", "member": {"shape": "ScheduledJobRollout"}},
    "ScheduledJobRollout": {"type": "structure", "members": {"startTime": {"shape": "StringDateTime"}}},
    "DescribeJobRequest": {"members": {"beforeSubstitution": {
        "shape": "ForceFlag", "location": "querystring", "locationName": "beforeSubstitution"}}},
    "GetJobDocumentRequest": {"members": {"beforeSubstitution": {
        "shape": "ForceFlag", "location": "querystring", "locationName": "beforeSubstitution"}}},
}}}


@pytest.fixture(scope="module")
def newer(platform, tmp_path_factory):
    """A client of service iot that knows the members of NEWER."""
    folder = tmp_path_factory.mktemp("models")
    version = folder / "iot" / "2015-05-28"
    version.mkdir(parents=True)
    (version / "service-2.sdk-extras.json").write_text(json.dumps(NEWER))
    session = boto3.Session()
    session._loader.search_paths.append(str(folder))
    environment = platform.environment
    return session.client("iot", endpoint_url=platform.endpoint, region_name=platform.region,
                          aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                          aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture
def group(iot, unique):
    """group(NAME, *things) makes a group with these things in it."""
    def make(name, *things):
        made = iot.create_thing_group(thingGroupName=f"{name}-{unique}")
        for one in things:
            iot.create_thing(thingName=f"{one}-{unique}")
            iot.add_thing_to_thing_group(thingGroupName=f"{name}-{unique}", thingName=f"{one}-{unique}")
        return made
    return make


@pytest.fixture
def make_job(iot, thing, unique):
    def make(name="j", client=iot, **members):
        members.setdefault("targets", [thing["thingArn"]])
        if not {"document", "documentSource", "jobTemplateArn"} & set(members):
            members["document"] = "{}"
        return client.create_job(jobId=f"{name}-{unique}", **members)["jobId"]
    return make


def job_of(iot, job_id):
    return iot.describe_job(jobId=job_id)["job"]


def later(**distance):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**distance)
    return moment.strftime("%Y-%m-%dT%H:%M")


# ---- CreateJob and DescribeJob

def test_every_member_comes_back(iot, make_job, group, thing, unique):
    target = group("g")["thingGroupArn"]
    presign = {"roleArn": "arn:aws:iam::123456789012:role/nobody", "expiresInSec": 120}
    job_id = make_job(targets=[target, thing["thingArn"]], description="all of it", targetSelection="CONTINUOUS",
                      presignedUrlConfig=presign, jobExecutionsRolloutConfig=ROLLOUT, abortConfig=ABORT,
                      jobExecutionsRetryConfig=RETRY, timeoutConfig={"inProgressTimeoutInMinutes": 9},
                      namespaceId="ns-1", tags=[{"Key": "team", "Value": "a"}, {"Key": "bare", "Value": ""}])
    job = job_of(iot, job_id)
    assert job["targets"] == [target, thing["thingArn"]] and job["description"] == "all of it"
    assert job["targetSelection"] == "CONTINUOUS" and job["status"] == "IN_PROGRESS"
    assert job["presignedUrlConfig"] == presign and job["jobExecutionsRolloutConfig"] == ROLLOUT
    assert job["abortConfig"] == ABORT and job["jobExecutionsRetryConfig"] == RETRY
    assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 9} and job["namespaceId"] == "ns-1"
    assert job["schedulingConfig"] == {}
    tags = iot.list_tags_for_resource(resourceArn=job["jobArn"])["tags"]
    assert sorted(tags, key=lambda tag: tag["Key"]) == [{"Key": "bare", "Value": ""}, {"Key": "team", "Value": "a"}]


def test_what_a_plain_job_shows(iot, make_job):
    job = job_of(iot, make_job())
    assert job["targetSelection"] == "SNAPSHOT" and job["presignedUrlConfig"] == {}
    assert job["jobExecutionsRolloutConfig"] == {} and job["schedulingConfig"] == {}
    assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 10080}  # jobs.default_timeout_minutes
    for absent in ("abortConfig", "jobExecutionsRetryConfig", "namespaceId", "jobTemplateArn", "documentParameters",
                   "forceCanceled", "comment", "reasonCode", "completedAt"):
        assert absent not in job


@pytest.mark.parametrize("members", [
    {"jobExecutionsRolloutConfig": {}},
    {"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}},
    {"jobExecutionsRolloutConfig": {"exponentialRate": ROLLOUT["exponentialRate"]}},
    {"jobExecutionsRolloutConfig": {**ROLLOUT, "maximumPerMinute": 49}},
    {"jobExecutionsRolloutConfig": {**ROLLOUT, "exponentialRate": {**ROLLOUT["exponentialRate"],
                                                                   "incrementFactor": 1.25}}},
    {"jobExecutionsRolloutConfig": {**ROLLOUT, "exponentialRate": {**ROLLOUT["exponentialRate"],
                                                                   "incrementFactor": 5.1}}},
    {"jobExecutionsRolloutConfig": {**ROLLOUT, "exponentialRate": {**ROLLOUT["exponentialRate"],
                                                                   "rateIncreaseCriteria": {}}}},
    {"jobExecutionsRolloutConfig": {**ROLLOUT, "exponentialRate": {
        **ROLLOUT["exponentialRate"], "rateIncreaseCriteria": {"numberOfNotifiedThings": 1,
                                                               "numberOfSucceededThings": 1}}}},
    {"abortConfig": {"criteriaList": [{**ABORT["criteriaList"][0], "thresholdPercentage": 100.5}]}},
    {"abortConfig": {"criteriaList": [{**ABORT["criteriaList"][0], "thresholdPercentage": 1.234}]}},
    {"abortConfig": {"criteriaList": [{**ABORT["criteriaList"][0], "action": "PAUSE"}]}},
    {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 11}]}},
    {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1},
                                                   {"failureType": "FAILED", "numberOfRetries": 1}]}},
    {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 6},
                                                   {"failureType": "TIMED_OUT", "numberOfRetries": 6}]}},
    {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "REJECTED", "numberOfRetries": 1}]}},
    {"timeoutConfig": {}},
    {"timeoutConfig": {"inProgressTimeoutInMinutes": 0}},
    {"timeoutConfig": {"inProgressTimeoutInMinutes": 10081}},
    {"presignedUrlConfig": {"roleArn": "arn:aws:iam::1:role/x", "expiresInSec": 3601}},
    {"schedulingConfig": {"startTime": "tomorrow"}},
    {"schedulingConfig": {"startTime": "2020-01-01T00:00"}},
    {"schedulingConfig": {"startTime": "2099-01-01T00:00"}},
    {"targetSelection": "ALL"},
    {"namespaceId": "a b"},
    {"description": "a\nb"},
    {"description": "x" * 2029},
    {"document": "{}", "documentSource": "https://s3.amazonaws.com/b/k"},
    {"documentParameters": {"a": "b"}},
    {"tags": [{"Key": "aws:x", "Value": "v"}]},
    {"tags": [{"Key": "twice", "Value": "v"}, {"Key": "twice", "Value": "w"}]},
    {"tags": [{"Key": "muster:pause", "Value": "true"}, {"Key": "Muster:Pause", "Value": "false"}]},
    {"tags": [{"Key": "Muster:Pause", "Value": "true"}]},
    {"tags": [{"Key": "muster:unheard-of", "Value": "v"}]},
    {"tags": [{"Key": "muster:priority", "Value": "100"}]},
    {"tags": [{"Key": "muster:approval", "Value": "maybe"}]},
], ids=lambda members: json.dumps(members)[:60])
def test_bad_members_are_refused_and_nothing_is_made(iot, make_job, unique, members):
    error = refused(*INVALID, make_job, **members)
    assert error["Error"]["Message"]
    refused(*MISSING, iot.describe_job, jobId=f"j-{unique}")


def test_several_faults_are_told_together(iot, make_job):
    error = refused(*INVALID, make_job, namespaceId="a b", description="x" * 2029)
    message = error["Error"]["Message"]
    assert message.startswith("2 validation errors detected: ")
    assert "'namespaceId'" in message and "'description'" in message


def test_packages_are_refused_by_name(newer, iot, make_job, unique):
    error = refused(*INVALID, make_job, client=newer,
                    destinationPackageVersions=["arn:aws:iot:us-east-1:123456789012:package/p/version/1"])
    assert "destinationPackageVersions" in error["Error"]["Message"]
    refused(*MISSING, iot.describe_job, jobId=f"j-{unique}")


def test_limits_of_the_server_are_limits_of_aws(start):
    own = start("--jobs.max_active_jobs", "1", "--jobs.default_timeout_minutes", "0")
    client = own.client("iot")
    target = client.create_thing(thingName="t")["thingArn"]
    client.create_job(jobId="a", targets=[target], document="{}")
    assert client.describe_job(jobId="a")["job"]["timeoutConfig"] == {}
    refused("LimitExceededException", 410, client.create_job, jobId="b", targets=[target], document="{}")
    client.cancel_job(jobId="a")
    client.create_job(jobId="b", targets=[target], document="{}")


def test_deletions_make_room_for_others(start):
    own = start()
    client = own.client("iot")
    target = client.create_thing(thingName="t")["thingArn"]
    for i in range(12):
        client.create_job(jobId=f"j{i}", targets=[target], document="{}")
    # Deletions end soon: what is certain is that none is lost and only the modelled error comes.
    for i in range(12):
        def gone(job_id=f"j{i}"):
            try:
                client.delete_job(jobId=job_id, force=True)
            except client.exceptions.LimitExceededException as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 410
                return False
            return True
        wait_until(gone, what="room for a deletion")
    wait_until(lambda: not client.list_jobs()["jobs"], what="deletion of all")


# ---- schedules

def test_scheduled_job_waits(iot, iot_jobs, make_job, thing):
    start, end = later(hours=2), later(hours=5)
    job_id = make_job(schedulingConfig={"startTime": start, "endTime": end, "endBehavior": "FORCE_CANCEL"})
    job = job_of(iot, job_id)
    assert job["status"] == "SCHEDULED" and job["isConcurrent"] is False
    assert job["schedulingConfig"] == {"startTime": start, "endTime": end, "endBehavior": "FORCE_CANCEL"}
    assert "execution" not in iot_jobs.start_next_pending_job_execution(thingName=thing["thingName"])
    assert job["jobProcessDetails"]["numberOfQueuedThings"] == 0
    assert job_id in [j["jobId"] for j in pages(iot, "list_jobs", "jobs", 250, status="SCHEDULED")]
    iot.cancel_job(jobId=job_id)
    assert job_of(iot, job_id)["status"] == "CANCELED"


def test_maintenance_windows_tell_the_next_rollouts(newer, make_job, group):
    target = group("g", "m")["thingGroupArn"]
    windows = [{"startTime": "cron(0 2 ? * MON *)", "durationInMinutes": 60}]
    refused(*INVALID, make_job, client=newer, targets=[target], schedulingConfig={"maintenanceWindows": windows})
    job_id = make_job(client=newer, targets=[target], targetSelection="CONTINUOUS",
                      schedulingConfig={"maintenanceWindows": windows})
    job = newer.describe_job(jobId=job_id, beforeSubstitution=True)["job"]
    assert job["schedulingConfig"] == {"maintenanceWindows": windows}
    rollouts = [datetime.datetime.fromisoformat(r["startTime"].replace("Z", "+00:00"))
                for r in job["scheduledJobRollouts"]]
    assert len(rollouts) == 7
    assert all((r.weekday(), r.hour, r.minute) == (0, 2, 0) for r in rollouts)
    assert all(b - a == datetime.timedelta(days=7) for a, b in zip(rollouts, rollouts[1:]))
    newer.cancel_job(jobId=job_id)


# ---- templates that come with the server

def test_job_from_a_managed_template(newer, iot, iot_jobs, make_job, thing, platform):
    arn = f"arn:aws:iot:{platform.region}::jobtemplate/AWS-Run-Command:1.0"
    job_id = make_job(jobTemplateArn=arn, documentParameters={"command": "echo,hello"})
    job = job_of(iot, job_id)
    assert job["jobTemplateArn"] == arn and job["documentParameters"] == {"command": "echo,hello"}
    after = newer.get_job_document(jobId=job_id)["document"]
    before = newer.get_job_document(jobId=job_id, beforeSubstitution=True)["document"]
    assert json.loads(after)["steps"][0]["action"]["input"]["command"] == "echo,hello"
    assert json.loads(before)["steps"][0]["action"]["input"]["command"] == "${aws:iot:parameter:command}"
    started = iot_jobs.start_next_pending_job_execution(thingName=thing["thingName"])["execution"]
    assert json.loads(started["jobDocument"]) == json.loads(after)


def test_job_from_a_template_is_refused(iot, make_job, thing, platform, unique):
    managed = f"arn:aws:iot:{platform.region}::jobtemplate/"
    refused(*INVALID, make_job, jobTemplateArn=managed + "AWS-Run-Command:1.0")  # its command is missing
    refused(*INVALID, make_job, jobTemplateArn=managed + "AWS-Run-Command:1.0",
            documentParameters={"command": "a", "unheard-of": "b"})
    refused(*MISSING, make_job, jobTemplateArn=managed + "AWS-Unheard-Of:1.0")
    refused(*MISSING, make_job, jobTemplateArn=thing["thingArn"].replace("thing/t-", "jobtemplate/t-"))
    refused(*INVALID, make_job, jobTemplateArn=thing["thingArn"])
    refused(*MISSING, iot.describe_job, jobId=f"j-{unique}")


# ---- UpdateJob

def test_update_replaces_whole_members(iot, make_job):
    job_id = make_job(description="old", jobExecutionsRolloutConfig=ROLLOUT, abortConfig=ABORT,
                      jobExecutionsRetryConfig=RETRY)
    before = job_of(iot, job_id)
    iot.update_job(jobId=job_id, jobExecutionsRolloutConfig={"maximumPerMinute": 7})
    other = {"criteriaList": [{"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 50.0,
                               "minNumberOfExecutedThings": 1}]}
    iot.update_job(jobId=job_id, abortConfig=other, description="new", timeoutConfig={"inProgressTimeoutInMinutes": 3},
                   presignedUrlConfig={"expiresInSec": 61})
    none = {"criteriaList": [{**criterion, "numberOfRetries": 0} for criterion in RETRY["criteriaList"]]}
    iot.update_job(jobId=job_id, jobExecutionsRetryConfig=none)
    job = job_of(iot, job_id)
    assert job["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7} and job["abortConfig"] == other
    assert job["description"] == "new" and job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 3}
    assert job["presignedUrlConfig"] == {"expiresInSec": 61} and job["jobExecutionsRetryConfig"] == none
    assert job["lastUpdatedAt"] > before["lastUpdatedAt"] and job["jobProcessDetails"] == before["jobProcessDetails"]


def test_update_is_refused(iot, make_job, unique):
    with_retry, without = make_job("r", jobExecutionsRetryConfig=RETRY), make_job("n")
    for members in (
            {}, {"timeoutConfig": {}}, {"timeoutConfig": {"inProgressTimeoutInMinutes": 10081}},
            {"jobExecutionsRolloutConfig": {}}, {"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}},
            {"jobExecutionsRetryConfig": RETRY},
            {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 0}]}},
            {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 0}]}}):
        refused(*INVALID, iot.update_job, jobId=with_retry, **members)
    none = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 0}]}
    refused(*INVALID, iot.update_job, jobId=without, jobExecutionsRetryConfig=none)
    refused(*MISSING, iot.update_job, jobId=f"absent-{unique}", description="d")
    refused(*INVALID, iot.update_job, jobId=f"absent-{unique}")  # shapes come before existence
    iot.cancel_job(jobId=without)
    error = refused(*INVALID, iot.update_job, jobId=without, description="d")
    assert "CANCELED" in error["Error"]["Message"]


# ---- AssociateTargetsWithJob

def test_continuous_job_takes_more_groups(iot, make_job, group, unique):
    first, second = group("a", "m1"), group("b", "m2")
    job_id = make_job(targets=[first["thingGroupArn"]], targetSelection="CONTINUOUS", description="d")
    answer = iot.associate_targets_with_job(jobId=job_id, targets=[second["thingGroupArn"]], comment="more")
    assert answer["jobId"] == job_id and answer["jobArn"].endswith(":job/" + job_id) and answer["description"] == "d"
    job = job_of(iot, job_id)
    assert job["targets"] == [first["thingGroupArn"], second["thingGroupArn"]] and job["comment"] == "more"

    def things():
        rows = iot.list_job_executions_for_job(jobId=job_id)["executionSummaries"]
        return {row["thingArn"].rsplit("/", 1)[1] for row in rows}
    wait_until(lambda: things() == {f"m1-{unique}", f"m2-{unique}"}, what="the executions of both groups")
    # Twice is once.
    iot.associate_targets_with_job(jobId=job_id, targets=[second["thingGroupArn"]])
    assert job_of(iot, job_id)["targets"] == [first["thingGroupArn"], second["thingGroupArn"]]


def test_more_targets_are_refused(iot, make_job, group, thing, unique):
    target = group("g")["thingGroupArn"]
    job_id = make_job("c", targets=[target], targetSelection="CONTINUOUS", namespaceId="ns")
    snapshot = make_job("s")
    more = iot.associate_targets_with_job
    refused(*INVALID, more, jobId=snapshot, targets=[target])
    refused(*INVALID, more, jobId=job_id, targets=[thing["thingArn"]])
    refused(*MISSING, more, jobId=job_id, targets=[target + "-not"])
    refused(*MISSING, more, jobId=f"absent-{unique}", targets=[target])
    refused(*MISSING, more, jobId=job_id, targets=[target], namespaceId="other")
    refused("LimitExceededException", 410, more, jobId=job_id,
            targets=[f"{target}-{i}" for i in range(100)])
    iot.cancel_job(jobId=job_id)
    refused(*INVALID, more, jobId=job_id, targets=[target])


# ---- lists

def test_jobs_are_listed_by_group_namespace_status_and_selection(iot, make_job, group, unique):
    one, two = group("a", "m"), group("b")
    name, group_id = one["thingGroupName"], one["thingGroupId"]
    plain = make_job("p", targets=[one["thingGroupArn"]])
    spaced = make_job("n", targets=[one["thingGroupArn"]], namespaceId=f"ns-{unique}")
    going = make_job("c", targets=[one["thingGroupArn"], two["thingGroupArn"]], targetSelection="CONTINUOUS")
    make_job("o", targets=[two["thingGroupArn"]], targetSelection="CONTINUOUS")

    def ids(size=1, **filters):
        return {job["jobId"] for job in pages(iot, "list_jobs", "jobs", size, **filters)}
    assert ids(thingGroupName=name) == {plain, spaced, going}
    assert ids(thingGroupId=group_id) == {plain, spaced, going}
    assert ids(thingGroupId=group_id, thingGroupName=name) == {plain, spaced, going}
    assert {job["thingGroupId"] for job in iot.list_jobs(thingGroupName=name)["jobs"]} == {group_id}
    assert ids(namespaceId=f"ns-{unique}") == {spaced}
    assert ids(thingGroupName=name, targetSelection="CONTINUOUS") == {going}
    iot.cancel_job(jobId=plain)
    assert ids(thingGroupName=name, status="CANCELED") == {plain}
    assert ids(thingGroupName=name, status="CANCELED", targetSelection="CONTINUOUS") == set()
    refused(*MISSING, iot.list_jobs, thingGroupName=f"absent-{unique}")
    refused(*MISSING, iot.list_jobs, thingGroupId="00000000-0000-0000-0000-000000000000")
    refused(*INVALID, iot.list_jobs, thingGroupName=two["thingGroupName"], thingGroupId=group_id)
    for bad in ({"status": "DONE"}, {"targetSelection": "ALL"}, {"maxResults": 251}, {"nextToken": "rubbish"},
                {"namespaceId": "a b"}):
        with pytest.raises(iot.exceptions.InvalidRequestException):
            iot.list_jobs(**bad)


def test_executions_of_a_thing_by_job_and_namespace(iot, make_job, thing, unique):
    plain, spaced = make_job("p"), make_job("n", namespaceId="ns")
    name = thing["thingName"]

    def ids(**filters):
        return {row["jobId"] for row in pages(iot, "list_job_executions_for_thing", "executionSummaries", 1,
                                              thingName=name, **filters)}
    assert ids() == {plain, spaced} and ids(namespaceId="ns") == {spaced} and ids(jobId=plain) == {plain}
    assert ids(namespaceId="other") == set() and ids(namespaceId="ns", jobId=plain) == set()
    assert ids(status="QUEUED") == {plain, spaced} and ids(status="FAILED") == set()
    refused(*MISSING, iot.list_job_executions_for_thing, thingName=f"absent-{unique}")
    refused(*MISSING, iot.list_job_executions_for_job, jobId=f"absent-{unique}")
    refused(*INVALID, iot.list_job_executions_for_thing, thingName=name, nextToken="rubbish")


def test_retries_count_in_the_summaries(iot, iot_jobs, make_job, thing):
    name = thing["thingName"]
    job_id = make_job(jobExecutionsRetryConfig={"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]})
    iot_jobs.update_job_execution(thingName=name, jobId=job_id, status="FAILED")

    def rows():
        summaries = iot.list_job_executions_for_thing(thingName=name, jobId=job_id)["executionSummaries"]
        return [(row["jobExecutionSummary"]["executionNumber"], row["jobExecutionSummary"]["status"],
                 row["jobExecutionSummary"]["retryAttempt"]) for row in summaries]
    wait_until(lambda: len(rows()) == 2, what="the retry")
    assert rows() == [(2, "QUEUED", 1), (1, "FAILED", 0)]
    iot_jobs.update_job_execution(thingName=name, jobId=job_id, status="FAILED")
    wait_until(lambda: job_of(iot, job_id)["status"] == "COMPLETED", what="completion after the last attempt")
    assert rows() == [(2, "FAILED", 1), (1, "FAILED", 0)]
    assert job_of(iot, job_id)["jobProcessDetails"]["numberOfFailedThings"] == 2


# ---- cancel, delete, and the namespace of a job

def test_cancel_job_is_refused(iot, make_job, thing, unique):
    job_id = make_job()
    refused(*MISSING, iot.cancel_job, jobId=f"absent-{unique}")
    refused(*INVALID, iot.cancel_job, jobId=job_id, reasonCode="lower case")
    refused(*INVALID, iot.cancel_job, jobId=job_id, comment="a\nb")
    answer = iot.cancel_job(jobId=job_id, force=True, comment="c", reasonCode="R_1")
    assert answer["jobArn"].endswith(":job/" + job_id)
    job = job_of(iot, job_id)
    assert (job["status"], job["forceCanceled"], job["comment"], job["reasonCode"]) == ("CANCELED", True, "c", "R_1")
    iot.cancel_job(jobId=job_id)
    refused(*MISSING, iot.cancel_job_execution, jobId=f"absent-{unique}", thingName=thing["thingName"])
    refused(*MISSING, iot.delete_job, jobId=f"absent-{unique}")
    refused(*MISSING, iot.get_job_document, jobId=f"absent-{unique}")


def test_a_wrong_namespace_finds_no_job(iot, make_job, thing):
    job_id = make_job(namespaceId="ns")
    one = dict(jobId=job_id, thingName=thing["thingName"], executionNumber=1)
    refused(*MISSING, iot.update_job, jobId=job_id, description="d", namespaceId="other")
    refused(*MISSING, iot.delete_job_execution, namespaceId="other", **one)
    refused(*MISSING, iot.delete_job, jobId=job_id, force=True, namespaceId="other")
    iot.update_job(jobId=job_id, description="d", namespaceId="ns")
    iot.delete_job_execution(namespaceId="ns", **one)
    iot.delete_job(jobId=job_id, force=True, namespaceId="ns")


# ---- tags that control

def test_job_waits_for_its_approval(iot, iot_jobs, make_job, thing):
    name = thing["thingName"]
    job_id = make_job(tags=[{"Key": "muster:approval", "Value": "required"}, {"Key": "team", "Value": "a"}])
    job = job_of(iot, job_id)
    assert job["status"] == "SCHEDULED" and job["jobProcessDetails"]["numberOfQueuedThings"] == 0
    refused(*INVALID, iot.tag_resource, resourceArn=job["jobArn"], tags=[{"Key": "muster:approval", "Value": "yes"}])
    refused(*INVALID, iot.tag_resource, resourceArn=job["jobArn"], tags=[{"Key": "muster:priority", "Value": "5"}])
    tags = {tag["Key"]: tag["Value"] for tag in iot.list_tags_for_resource(resourceArn=job["jobArn"])["tags"]}
    assert tags == {"muster:approval": "required", "team": "a"}  # the refused ones left nothing
    assert "execution" not in iot_jobs.describe_job_execution(thingName=name, jobId="$next")
    iot.tag_resource(resourceArn=job["jobArn"], tags=[{"Key": "muster:approval", "Value": "approved"}])
    wait_until(lambda: job_of(iot, job_id)["status"] == "IN_PROGRESS", what="the start after the approval")
    wait_until(lambda: "execution" in iot_jobs.describe_job_execution(thingName=name, jobId="$next"), what="the offer")


def test_job_pauses_and_goes_on(iot, iot_jobs, make_job, thing):
    name, job_id = thing["thingName"], make_job()
    arn = job_of(iot, job_id)["jobArn"]

    def offered():
        return "execution" in iot_jobs.describe_job_execution(thingName=name, jobId="$next")
    assert offered()
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "muster:pause", "Value": "true"}])
    wait_until(lambda: not offered(), what="the pause")
    iot.untag_resource(resourceArn=arn, tagKeys=["muster:pause", "unheard-of"])
    wait_until(offered, what="the end of the pause")


def test_reserved_tags_are_for_jobs_alone(iot, group, make_job, unique):
    made = group("g")
    pause = [{"Key": "muster:pause", "Value": "true"}]
    error = refused(*INVALID, iot.tag_resource, resourceArn=made["thingGroupArn"], tags=pause)
    assert "muster:pause" in error["Error"]["Message"]
    assert iot.list_tags_for_resource(resourceArn=made["thingGroupArn"])["tags"] == []
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"h-{unique}", tags=pause)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}
    refused(*INVALID, iot.create_policy, policyName=f"p-{unique}", policyDocument=json.dumps(document), tags=pause)
    arn = job_of(iot, make_job())["jobArn"]
    refused(*MISSING, iot.tag_resource, resourceArn=arn + "-not", tags=pause)
    refused(*MISSING, iot.untag_resource, resourceArn=arn + "-not", tagKeys=["muster:pause"])
    refused(*MISSING, iot.list_tags_for_resource, resourceArn=arn + "-not")
    refused("LimitExceededException", 410, iot.tag_resource, resourceArn=arn,
            tags=[{"Key": f"k{i}", "Value": "v"} for i in range(51)])


def test_tags_of_a_deleted_job_go_with_it(iot, make_job):
    job_id = make_job(tags=[{"Key": "a", "Value": "b"}])
    arn = job_of(iot, job_id)["jobArn"]
    iot.delete_job(jobId=job_id, force=True)

    def made_again():
        try:
            return make_job()
        except iot.exceptions.ResourceAlreadyExistsException:
            return None
    wait_until(made_again, what="the deletion")
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []


# ---- rights

def test_rights_are_asked_on_job_targets_and_tags(iam, ann, group, thing, platform, unique):
    def allow(*statements):
        iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))

    def statement(action, *resources, effect="Allow", **more):
        return {"Effect": effect, "Action": action, "Resource": list(resources), **more}
    mine, target = ann("iot"), group("g")["thingGroupArn"]
    job = f"arn:aws:iot:*:*:job/*-{unique}"
    denied = ("AccessDeniedException", 403)
    create = dict(targets=[target], document="{}", targetSelection="CONTINUOUS")
    allow(statement("iot:CreateJob", job))
    refused(*denied, mine.create_job, jobId=f"a-{unique}", **create)
    allow(statement("iot:CreateJob", job, target))
    mine.create_job(jobId=f"a-{unique}", **create)
    error = refused(*denied, mine.create_job, jobId=f"b-{unique}", tags=[{"Key": "k", "Value": "v"}], **create)
    assert "iot:TagResource" in error["Error"]["Message"]
    # An approval is for those who may set that tag, and only they can take the demand of one back.
    allow(statement("iot:CreateJob", job, target), statement(["iot:TagResource", "iot:UntagResource"], job),
          statement("iot:TagResource", "*", effect="Deny",
                    Condition={"StringEquals": {"aws:RequestTag/muster:approval": "approved"}}),
          statement("iot:UntagResource", "*", effect="Deny",
                    Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "muster:approval"}}))
    made = mine.create_job(jobId=f"b-{unique}", tags=[{"Key": "muster:approval", "Value": "required"}], **create)
    refused(*denied, mine.tag_resource, resourceArn=made["jobArn"],
            tags=[{"Key": "muster:approval", "Value": "approved"}])
    refused(*denied, mine.untag_resource, resourceArn=made["jobArn"], tagKeys=["other", "muster:approval"])
    mine.untag_resource(resourceArn=made["jobArn"], tagKeys=["other"])
    allow(statement("iot:AssociateTargetsWithJob", job))
    refused(*denied, mine.associate_targets_with_job, jobId=f"a-{unique}", targets=[target])
    allow(statement("iot:AssociateTargetsWithJob", job, target))
    mine.associate_targets_with_job(jobId=f"a-{unique}", targets=[target])
    for call in (mine.describe_job, mine.get_job_document, mine.cancel_job, mine.delete_job):
        refused(*denied, call, jobId=f"a-{unique}")


# ---- the command line

def test_command_line_gives_and_shows_every_member(platform, group, unique):
    target, job_id = group("g")["thingGroupArn"], f"cli-{unique}"
    platform.cli("iot", "create-job", "--job-id", job_id, "--targets", target, "--document", "{}",
                 "--target-selection", "CONTINUOUS", "--job-executions-rollout-config", json.dumps(ROLLOUT),
                 "--abort-config", json.dumps(ABORT), "--job-executions-retry-config", json.dumps(RETRY),
                 "--timeout-config", "inProgressTimeoutInMinutes=4", "--namespace-id", "ns",
                 "--tags", "Key=muster:priority,Value=5")
    other = json.loads(platform.cli("iot", "create-thing-group", "--thing-group-name", f"o-{unique}").stdout)
    platform.cli("iot", "associate-targets-with-job", "--job-id", job_id, "--targets", other["thingGroupArn"])
    platform.cli("iot", "update-job", "--job-id", job_id, "--description", "by hand", "--timeout-config",
                 "inProgressTimeoutInMinutes=5", "--namespace-id", "ns")
    job = json.loads(platform.cli("iot", "describe-job", "--job-id", job_id).stdout)["job"]
    assert job["jobExecutionsRolloutConfig"] == ROLLOUT and job["abortConfig"] == ABORT
    assert job["jobExecutionsRetryConfig"] == RETRY and job["namespaceId"] == "ns"
    assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5} and job["description"] == "by hand"
    assert job["targets"] == [target, other["thingGroupArn"]]
    done = platform.cli("iot", "update-job", "--job-id", job_id, check=False)
    assert done.returncode == 254 and "InvalidRequestException" in done.stderr
    platform.cli("iot", "delete-job", "--job-id", job_id, "--force", "--namespace-id", "ns")
