# SPDX-License-Identifier: Apache-2.0
"""What operators do to jobs by hand, each through an unmodified `aws iot` command; devices answer over HTTPS. All scenes
play side by side, because they wait more than they work; each is a test of its own."""
import concurrent.futures
import datetime
import json
import os
import subprocess
import time
import uuid

import pytest

from test_jobs_members import NEWER

DOCUMENT = json.dumps({"operation": "upgrade"})
SIDE_BY_SIDE = 6
PATIENCE_S = 40  # a call of the command line takes a second, and longer beside others


def wait_until(condition, what):
    """Looks seldom: many scenes wait at the same time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come in {PATIENCE_S} s"
        time.sleep(0.15)


class Scene:
    """Things, groups and jobs of one scene."""

    def __init__(self, platform, models, iot, devices):
        self.iot, self.devices, self.unique = iot, devices, uuid.uuid4().hex[:10]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        self.environment.update({k: v for k, v in platform.environment.items() if k.startswith("AWS_")})
        # AWS_DATA_PATH is how this command line learns members that are younger than it (as `aws configure add-model`).
        self.environment.update(AWS_PAGER="", AWS_CONFIG_FILE="/dev/null", AWS_DATA_PATH=str(models))
        self.endpoint = platform.endpoint

    # ---- the operator
    def run(self, *arguments):
        return subprocess.run(["/usr/bin/aws", "--endpoint-url", self.endpoint, "iot", *arguments], text=True,
                              env=self.environment, capture_output=True, check=False)

    def aws(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def create(self, name, targets, *more):
        """The job's id and ARN."""
        made = self.aws("create-job", "--job-id", f"{name}-{self.unique}", "--document", DOCUMENT, "--targets",
                        *targets, *more)
        return made["jobId"], made["jobArn"]

    def job(self, job_id):
        return self.aws("describe-job", "--job-id", job_id)["job"]

    def glance(self, job_id):
        """The same sooner: for what is looked at again and again."""
        return self.iot.describe_job(jobId=job_id)["job"]

    def await_job(self, job_id, wanted, what):
        """DescribeJob's answer when wanted(job)."""
        wait_until(lambda: wanted(self.glance(job_id)), what)
        job = self.job(job_id)
        assert wanted(job), job
        return job

    def runs(self, *arguments):
        """thing -> [(number, status, retry attempt)], or the same by job for a thing."""
        by = {}
        for row in self.aws(*arguments)["executionSummaries"]:
            run = row["jobExecutionSummary"]
            of = row["thingArn"].rpartition("/")[2] if "thingArn" in row else row["jobId"]
            by.setdefault(of, []).append((run["executionNumber"], run["status"], run["retryAttempt"]))
        return by

    # ---- the fleet, which is there before
    def thing(self, name):
        return self.iot.create_thing(thingName=f"{name}-{self.unique}")

    def group(self, name, size=0):
        """The group's ARN and the names of its things."""
        arn = self.iot.create_thing_group(thingGroupName=f"{name}-{self.unique}")["thingGroupArn"]
        things = [self.thing(f"{name}{i}")["thingName"] for i in range(size)]
        for thing in things:
            self.iot.add_thing_to_thing_group(thingGroupName=f"{name}-{self.unique}", thingName=thing)
        return arn, things

    # ---- a device
    def offered(self, thing):
        """The job that the device would get."""
        return self.devices.describe_job_execution(thingName=thing, jobId="$next").get("execution", {}).get("jobId")

    def await_offer(self, thing, job_id):
        wait_until(lambda: self.offered(thing) == job_id, f"{job_id} for {thing}")

    def end(self, thing, job_id, status="SUCCEEDED"):
        self.devices.update_job_execution(thingName=thing, jobId=job_id, status=status)


def counts(job):
    """The numbers that are not 0, by status: {"Queued": 2}."""
    return {key.removeprefix("numberOf").removesuffix("Things"): value
            for key, value in job["jobProcessDetails"].items() if key.startswith("numberOf") and value}


def moment(**distance):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**distance)


# ---- rollout, abort, retries

def staged_rollout(scene):
    size = 10
    group, _ = scene.group("fleet", size)
    before = time.monotonic()
    job_id, _ = scene.create("staged", [group], "--job-executions-rollout-config", "maximumPerMinute=60")
    job = scene.glance(job_id)
    assert job["isConcurrent"] and job["jobProcessDetails"]["processingTargets"] == [group]
    seen = []
    while not seen or seen[-1] < size:
        time.sleep(0.3)
        seen.append(counts(scene.glance(job_id)).get("Queued", 0))
        at_s = time.monotonic() - before
        assert seen[-1] <= at_s + 1, "60 a minute are one a second"
        assert at_s < PATIENCE_S, seen
    assert at_s >= size - 1 and seen == sorted(seen), (at_s, seen)
    assert len(set(seen)) > size / 2, f"hardly one after the other: {seen}"
    job = scene.await_job(job_id, lambda job: not job["isConcurrent"], "the end of the rollout")
    assert counts(job) == {"Queued": size} and not job["jobProcessDetails"].get("processingTargets")
    rows = scene.aws("list-job-executions-for-job", "--job-id", job_id, "--status", "QUEUED")["executionSummaries"]
    times = sorted(datetime.datetime.fromisoformat(row["jobExecutionSummary"]["queuedAt"]) for row in rows)
    assert len(times) == size
    assert min(b - a for a, b in zip(times, times[1:])) > datetime.timedelta(seconds=0.99)


def abort_stops_the_rollout(scene):
    group, things = scene.group("fleet", 8)
    criterion = "{failureType=FAILED,action=CANCEL,thresholdPercentage=50,minNumberOfExecutedThings=2}"
    job_id, _ = scene.create("abort", [group], "--job-executions-rollout-config", "maximumPerMinute=30",
                             "--abort-config", f"criteriaList=[{criterion}]")
    failed = set()

    def one_more_fails():
        for thing in set(things) - failed:
            if len(failed) < 2 and scene.offered(thing) == job_id:
                scene.end(thing, job_id, "FAILED")
                failed.add(thing)
        return len(failed) == 2
    wait_until(one_more_fails, "two executions to fail")
    job = scene.await_job(job_id, lambda job: job["status"] == "CANCELED" and not job["isConcurrent"], "the abort")
    assert job["reasonCode"] == "ABORT_CRITERIA_MET" and "2 of 2 executions are FAILED" in job["comment"]
    told = counts(job)
    assert told["Failed"] == 2 and set(told) <= {"Failed", "Canceled"} and sum(told.values()) < len(things)
    time.sleep(2.5)  # the rate would have given another one
    assert counts(scene.job(job_id)) == told
    assert [thing for thing in things if scene.offered(thing)] == []


def retries(scene):
    thing = scene.thing("t")
    name = thing["thingName"]
    job_id, _ = scene.create("retry", [thing["thingArn"]], "--job-executions-retry-config",
                             "criteriaList=[{failureType=FAILED,numberOfRetries=2}]")
    for status in ("FAILED", "FAILED", "SUCCEEDED"):
        scene.await_offer(name, job_id)
        scene.end(name, job_id, status)
    runs = scene.runs("list-job-executions-for-thing", "--thing-name", name, "--job-id", job_id)
    assert runs == {job_id: [(3, "SUCCEEDED", 2), (2, "FAILED", 1), (1, "FAILED", 0)]}
    job = scene.await_job(job_id, lambda job: job["status"] == "COMPLETED", "the completion after the last attempt")
    assert counts(job) == {"Failed": 2, "Succeeded": 1} and job["completedAt"]


def retries_are_taken_back(scene):
    thing = scene.thing("t")
    name = thing["thingName"]
    job_id, _ = scene.create("retry", [thing["thingArn"]], "--job-executions-retry-config",
                             "criteriaList=[{failureType=FAILED,numberOfRetries=5}]")
    scene.end(name, job_id, "FAILED")
    scene.await_offer(name, job_id)
    scene.aws("update-job", "--job-id", job_id, "--job-executions-retry-config",
              "criteriaList=[{failureType=FAILED,numberOfRetries=0}]")
    scene.end(name, job_id, "FAILED")
    job = scene.await_job(job_id, lambda job: job["status"] == "COMPLETED", "the completion without more attempts")
    assert counts(job) == {"Failed": 2}


# ---- continuous jobs

def continuous(scene):
    group, (first,) = scene.group("fleet", 1)
    name = ("--thing-group-name", group.rpartition("/")[2])
    job_id, _ = scene.create("going", [group], "--target-selection", "CONTINUOUS")
    scene.end(first, job_id)
    late = scene.thing("late")["thingName"]
    seen_by = ("list-job-executions-for-thing", "--thing-name", late)
    scene.aws("add-thing-to-thing-group", *name, "--thing-name", late)
    scene.await_offer(late, job_id)
    scene.aws("remove-thing-from-thing-group", *name, "--thing-name", late)
    wait_until(lambda: scene.offered(late) is None, "the execution to go with the membership")
    assert scene.runs(*seen_by) == {job_id: [(1, "REMOVED", 0)]}
    scene.aws("add-thing-to-thing-group", *name, "--thing-name", late)
    scene.await_offer(late, job_id)
    scene.end(late, job_id)
    scene.aws("add-thing-to-thing-group", *name, "--thing-name", late)  # is there already: no joining
    assert scene.runs(*seen_by) == {job_id: [(2, "SUCCEEDED", 0), (1, "REMOVED", 0)]}
    job = scene.job(job_id)
    assert job["status"] == "IN_PROGRESS" and counts(job) == {"Succeeded": 2, "Removed": 1}
    scene.aws("cancel-job", "--job-id", job_id, "--reason-code", "DONE", "--comment", "long enough")
    scene.aws("add-thing-to-thing-group", *name, "--thing-name", scene.thing("later")["thingName"])
    job = scene.job(job_id)
    assert (job["status"], job["reasonCode"], job["comment"]) == ("CANCELED", "DONE", "long enough")
    assert counts(job) == {"Succeeded": 2, "Removed": 1}


def more_targets(scene):
    (first, (one,)), (second, (two,)) = scene.group("a", 1), scene.group("b", 1)
    job_id, _ = scene.create("more", [first], "--target-selection", "CONTINUOUS")
    scene.await_offer(one, job_id)
    assert scene.offered(two) is None
    scene.aws("associate-targets-with-job", "--job-id", job_id, "--targets", second, "--comment", "the other site")
    scene.await_offer(two, job_id)
    job = scene.job(job_id)
    assert job["targets"] == [first, second] and job["comment"] == "the other site" and counts(job) == {"Queued": 2}
    snapshot, _ = scene.create("snapshot", [first])
    refused = scene.run("associate-targets-with-job", "--job-id", snapshot, "--targets", second)
    assert refused.returncode == 254 and "(InvalidRequestException)" in refused.stderr


# ---- schedules

def maintenance_window(scene):
    group, (thing,) = scene.group("fleet", 1)

    def windows(start):
        cron = f"cron({start.minute} {start.hour} {start.day} {start.month} ? *)"
        return json.dumps({"maintenanceWindows": [{"startTime": cron, "durationInMinutes": 60}]})
    closed, _ = scene.create("closed", [group], "--target-selection", "CONTINUOUS", "--scheduling-config",
                             windows(moment(days=3)))
    job = scene.job(closed)
    assert job["status"] == "SCHEDULED" and counts(job) == {} and job["scheduledJobRollouts"]
    assert scene.offered(thing) is None
    opened, _ = scene.create("opened", [group], "--target-selection", "CONTINUOUS", "--scheduling-config",
                             windows(moment(minutes=-10)))
    scene.await_offer(thing, opened)
    assert scene.job(opened)["status"] == "IN_PROGRESS"
    assert scene.runs("list-job-executions-for-thing", "--thing-name", thing) == {opened: [(1, "QUEUED", 0)]}


def start_time(scene):
    thing = scene.thing("t")
    start, end = (moment(minutes=minutes).strftime("%Y-%m-%dT%H:%M") for minutes in (40, 100))
    job_id, _ = scene.create("later", [thing["thingArn"]], "--scheduling-config",
                             f"startTime={start},endTime={end},endBehavior=CANCEL")
    job = scene.job(job_id)
    assert job["status"] == "SCHEDULED" and counts(job) == {} and not job["isConcurrent"]
    assert job["schedulingConfig"] == {"startTime": start, "endTime": end, "endBehavior": "CANCEL"}
    assert scene.offered(thing["thingName"]) is None
    refused = scene.run("delete-job", "--job-id", job_id)
    assert refused.returncode == 254 and "(InvalidStateTransitionException)" in refused.stderr
    scene.aws("cancel-job", "--job-id", job_id)
    assert scene.job(job_id)["status"] == "CANCELED"
    scene.aws("delete-job", "--job-id", job_id)
    wait_until(lambda: "(ResourceNotFoundException)" in scene.run("describe-job", "--job-id", job_id).stderr,
               "the deletion")


# ---- tags that control

def hold_until_told(scene):
    group, things = scene.group("fleet", 4)
    job_id, arn = scene.create("hold", [group], "--tags", "Key=muster:hold,Value=25 50")
    for told, queued in (("1", 1), ("2", 2), (None, 4)):
        job = scene.await_job(job_id, lambda job, n=queued: counts(job) == {"Queued": n}, f"{queued} to be queued")
        assert job["isConcurrent"] == (queued < 4) or told is None
        assert len([thing for thing in things if scene.offered(thing)]) == queued
        if told:
            scene.aws("tag-resource", "--resource-arn", arn, "--tags", f"Key=muster:continue,Value={told}")


def hold_until_success(scene):
    group, things = scene.group("fleet", 4)
    job_id, _ = scene.create("canary", [group], "--tags", "Key=muster:hold,Value=50:100")
    job = scene.await_job(job_id, lambda job: counts(job).get("Queued", 0) >= 2, "the first stage")
    stage = [thing for thing in things if scene.offered(thing)]
    assert counts(job) == {"Queued": 2} and len(stage) == 2
    scene.end(stage[0], job_id)
    assert counts(scene.job(job_id)) == {"Queued": 1, "Succeeded": 1}, "half of the stage opens no gate"
    scene.end(stage[1], job_id)
    for thing in set(things) - set(stage):
        scene.await_offer(thing, job_id)
        scene.end(thing, job_id)
    job = scene.await_job(job_id, lambda job: job["status"] == "COMPLETED", "the completion")
    assert counts(job) == {"Succeeded": 4}


def pause(scene):
    group, things = scene.group("fleet", 2)
    job_id, arn = scene.create("pause", [group])
    started, waiting = things
    scene.devices.start_next_pending_job_execution(thingName=started)
    scene.aws("tag-resource", "--resource-arn", arn, "--tags", "Key=muster:pause,Value=true")
    wait_until(lambda: scene.offered(waiting) is None, "the pause")
    assert scene.offered(started) == job_id, "what is in progress goes on"
    scene.end(started, job_id)
    tags = scene.aws("list-tags-for-resource", "--resource-arn", arn)["tags"]
    assert tags == [{"Key": "muster:pause", "Value": "true"}]
    assert counts(scene.job(job_id)) == {"Queued": 1, "Succeeded": 1}
    scene.aws("untag-resource", "--resource-arn", arn, "--tag-keys", "muster:pause")
    scene.await_offer(waiting, job_id)


def approval(scene):
    thing = scene.thing("t")
    job_id, arn = scene.create("approval", [thing["thingArn"]], "--tags", "Key=muster:approval,Value=required")
    job = scene.job(job_id)
    assert job["status"] == "SCHEDULED" and counts(job) == {} and scene.offered(thing["thingName"]) is None
    refused = scene.run("tag-resource", "--resource-arn", arn, "--tags", "Key=muster:aproval,Value=approved")
    assert refused.returncode == 254 and "muster:aproval" in refused.stderr
    assert scene.offered(thing["thingName"]) is None
    scene.aws("tag-resource", "--resource-arn", arn, "--tags", "Key=muster:approval,Value=approved")
    scene.await_offer(thing["thingName"], job_id)
    assert scene.job(job_id)["status"] == "IN_PROGRESS"


def priority(scene):
    thing = scene.thing("t")
    made = [scene.create(name, [thing["thingArn"]], *tags)[0] for name, tags in (
        ("plain", ()), ("low", ("--tags", "Key=muster:priority,Value=-5")), ("high", ("--tags", "Key=muster:priority,Value=5")))]
    plain, low, high = made
    for job_id in (high, plain, low):
        started = scene.devices.start_next_pending_job_execution(thingName=thing["thingName"])["execution"]
        assert started["jobId"] == job_id
        scene.end(thing["thingName"], job_id)


SCENES = [staged_rollout, abort_stops_the_rollout, continuous, start_time, hold_until_told, hold_until_success, retries,
          maintenance_window, pause, more_targets, approval, retries_are_taken_back, priority]


@pytest.fixture(scope="module")
def playing(request, platform, iot, iot_jobs, tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    version = models / "iot" / "2015-05-28"
    version.mkdir(parents=True)
    (version / "service-2.sdk-extras.json").write_text(json.dumps(NEWER))
    chosen = [item.callspec.params["scene"] for item in request.session.items if item.module is request.module]
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {scene: pool.submit(scene, Scene(platform, models, iot, iot_jobs)) for scene in chosen}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scene(playing, scene):
    playing[scene].result()
