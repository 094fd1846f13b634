# SPDX-License-Identifier: Apache-2.0
"""kill -9 again and again while operators and devices work on jobs: whatever was acknowledged is there after each
restart or has gone on lawfully, counters and lists agree, nothing runs twice, and in the end nothing is stuck.
MUSTER_CRASHES sets how often (./dev crash COUNT [SEED])."""
import collections
import os
import random
import time

import pytest
from job_peers import PENDING, Gate, JobDevice, Ledger, Operator, client, follows
from server_process import Server, wait_until

CRASHES = int(os.environ.get("MUSTER_CRASHES", "20"))
THINGS = [f"thing-{i}" for i in range(8)]
ENDED = ("COMPLETED", "CANCELED")
# Of a job, in the order in which they may follow each other.
ORDER = {"": 0, "SCHEDULED": 1, "IN_PROGRESS": 2, "COMPLETED": 3, "CANCELED": 3, "DELETION_IN_PROGRESS": 4}
LATE_SECONDS = 60 + 60 + 15  # the timeout, what AWS takes for it, a restart
COUNTS = {"QUEUED": "Queued", "IN_PROGRESS": "InProgress", "SUCCEEDED": "Succeeded", "FAILED": "Failed",
          "REJECTED": "Rejected", "CANCELED": "Canceled", "REMOVED": "Removed", "TIMED_OUT": "TimedOut"}


def pages(operation, member, **arguments):
    rows, token = [], None
    while True:
        answer = operation(**arguments, **({"nextToken": token} if token else {}))
        rows += answer[member]
        token = answer.get("nextToken")
        if not token:
            return rows


class Inspector:
    """Looks at a fleet that stands still: the gate is held."""

    def __init__(self, server, operators, ledger, seed):
        self.iot, self.data = client(server, "iot"), client(server, "iot-jobs-data")
        self.operators, self.ledger = operators, ledger
        self.chance = random.Random(f"{seed}-inspector")
        self.looks = collections.Counter()

    @property
    def jobs(self):
        return {job.id: job for operator in self.operators for job in operator.jobs.values()}

    def look(self, count):
        """At everything that is cheap, and at `count` jobs and their executions."""
        self.groups()
        self.job_list()
        for job in self.chosen(count):
            self.job(job)
        for thing in THINGS:
            self.pending(thing)

    def chosen(self, count):
        """Jobs, half of them those of the last replies: a crash endangers these most."""
        jobs = {job.id: job for job in self.jobs.values() if job.deleted == {False}}
        if count is None:
            return list(jobs.values())
        last = list(dict.fromkeys(job for _, job, _ in reversed(self.ledger.copy()) if job in jobs))[:count // 2]
        others = self.chance.sample(sorted(set(jobs) - set(last)), min(count - len(last), len(jobs) - len(last)))
        return [jobs[job_id] for job_id in last + others]

    def groups(self):
        for operator, group in [(operator, group) for operator in self.operators for group in operator.groups]:
            there = set(pages(self.iot.list_things_in_thing_group, "things", thingGroupName=group))
            for thing in THINGS:
                known = operator.member[thing, group]
                assert (thing in there) in known, f"{thing} in {group}: {thing in there}, acknowledged: {known}"
                operator.member[thing, group] = {thing in there}

    def job_list(self):
        """Every job that must be there is, in a status that may follow; settles what was not known."""
        there = {row["jobId"]: row["status"] for row in pages(self.iot.list_jobs, "jobs", maxResults=250)}
        jobs = self.jobs
        assert set(there) <= set(jobs), f"nobody made {set(there) - set(jobs)}"
        for job in jobs.values():
            status = there.get(job.id)
            if status is None:
                assert False in job.exists or True in job.deleted, f"{job.id} was acknowledged and is gone"
                if True not in job.deleted:
                    del job.operator.jobs[job.id]
                continue
            job.exists = {True}
            if status == "DELETION_IN_PROGRESS":
                assert True in job.deleted, f"nobody deleted {job.id}"
                job.deleted = {True}
                continue
            assert False in job.deleted, f"{job.id} is {status}, its deletion was acknowledged"
            job.deleted = {False}
            assert ORDER[status] >= ORDER[job.status], f"{job.id} was {job.status} and is {status}"
            if job.status in ENDED:
                assert status == job.status, f"{job.id} was {job.status} and is {status}"
            if job.canceled == {True}:
                assert status == "CANCELED", f"{job.id} is {status}, its cancellation was acknowledged"
            if status in ENDED:
                job.canceled = {status == "CANCELED"}
            job.status = status

    def job(self, job):
        """Its record, its counts, and each of its executions."""
        known = {key: value for key, value in self.ledger.copy().items() if key[1] == job.id}
        got = self.iot.describe_job(jobId=job.id)["job"]
        assert got.get("description") in job.description, f"{job.id}: {got.get('description')} of {job.description}"
        job.description = {got.get("description")}
        targets = {target.rpartition("/")[2] for target in got["targets"]}
        assert job.groups | job.things <= targets and (not job.snapshot or targets == job.groups | job.things)
        job.groups = targets & set(job.operator.groups)  # one may have been added without an answer
        tags = self.iot.list_tags_for_resource(resourceArn=got["jobArn"])["tags"]
        paused = {"Key": "muster:pause", "Value": "true"} in tags
        assert paused in job.paused, f"{job.id} paused: {paused}, acknowledged: {job.paused}"
        job.paused = {paused}
        rows = self.settled_rows(job)
        self.numbers(job, rows)
        self.members(job, got, rows)
        for key, (version, status) in known.items():
            thing, _, number = key
            found = rows[thing].get(number)
            assert found, f"{key}: {status} in version {version} was acknowledged, nothing is there"
            assert follows((version, status), found["status"]), f"{key} is {found['status']} after {status}, {version}"
        for key in list(known)[-4:]:
            self.version(key, known[key])

    def settled_rows(self, job):
        """thing -> number -> summary, when DescribeJob counts the same; the engine may be at it."""
        def agreed():
            before = self.iot.describe_job(jobId=job.id)["job"]
            listed = pages(self.iot.list_job_executions_for_job, "executionSummaries", jobId=job.id)
            got = self.iot.describe_job(jobId=job.id)["job"]
            if got["jobProcessDetails"] != before["jobProcessDetails"]:
                return None
            counted = collections.Counter(row["jobExecutionSummary"]["status"] for row in listed)
            told = {status: got["jobProcessDetails"][f"numberOf{word}Things"] for status, word in COUNTS.items()}
            wrong = {s: (told[s], counted[s]) for s in COUNTS if told[s] != counted[s]}
            assert not wrong, f"{job.id}: (DescribeJob, listed): {wrong}"
            return [listed]
        self.looks["jobs"] += 1
        rows = collections.defaultdict(dict)
        for row in wait_until(agreed, what=f"{job.id} to stand still")[0]:
            summary = row["jobExecutionSummary"]
            thing, number = row["thingArn"].rpartition("/")[2], summary["executionNumber"]
            assert number not in rows[thing], f"{job.id}, {thing}: two executions {number}"
            rows[thing][number] = summary
        return rows

    def numbers(self, job, rows):
        for thing, runs in rows.items():
            assert sorted(runs) == list(range(1, len(runs) + 1)), f"{job.id}, {thing}: executions {sorted(runs)}"
            self.looks["timed out"] += sum(run["status"] == "TIMED_OUT" for run in runs.values())
            pending = [number for number, run in runs.items() if run["status"] in PENDING]
            assert len(pending) <= 1 and set(pending) <= {len(runs)}, f"{job.id}, {thing}: pending {pending} of {runs}"
            for number in pending:
                run = runs[number]
                if job.timeout and run["status"] == "IN_PROGRESS":
                    age = time.time() - run["startedAt"].timestamp()
                    assert age < LATE_SECONDS, f"{job.id}, {thing}: in progress for {age} s, its timeout is lost"

    def members(self, job, got, rows):
        """Who must have an execution has one, and nobody else."""
        if job.snapshot:
            if job.prompt or got["status"] == "COMPLETED":
                assert job.must <= set(rows), f"{job.id}: {job.must - set(rows)} never got it"
            assert set(rows) <= job.may, f"{job.id}: {set(rows) - job.may} were no members"
        elif got["status"] == "IN_PROGRESS" and not got["jobProcessDetails"].get("processingTargets"):
            for thing in THINGS:
                inside = any(thing in job.operator.sure(group) for group in job.groups)
                latest = max(rows[thing].items())[1]["status"] if rows[thing] else None
                lost = inside and latest in (None, "REMOVED") or not inside and latest == "QUEUED"
                assert not lost, f"{job.id}: {thing}, {'a' if inside else 'no'} member, is {latest}: {job.members}"

    def version(self, key, known):
        thing, job_id, number = key
        got = self.iot.describe_job_execution(thingName=thing, jobId=job_id, executionNumber=number)["execution"]
        found = (got["versionNumber"], got["status"])
        assert follows(known, found[1], found[0]), f"{key} is {found}, {known} was acknowledged"
        self.looks["versions"] += 1

    def pending(self, thing):
        """The device's list is the operator's, without what is not on offer."""
        jobs = self.jobs
        for job in jobs.values():
            if len(job.paused) > 1 and job.deleted == {False}:
                tags = self.iot.list_tags_for_resource(resourceArn=job.operator.arn(job))["tags"]
                job.paused = {{"Key": "muster:pause", "Value": "true"} in tags}

        def differences():
            expected = set()
            for row in pages(self.iot.list_job_executions_for_thing, "executionSummaries", thingName=thing):
                run, job = row["jobExecutionSummary"], jobs.get(row["jobId"])
                if run["status"] == "IN_PROGRESS" or run["status"] == "QUEUED" and job and job.paused == {False}:
                    expected.add((row["jobId"], run["executionNumber"], run["status"]))
            lists = self.data.get_pending_job_executions(thingName=thing)
            offered = {(run["jobId"], run["executionNumber"], status) for status, member in
                       zip(("IN_PROGRESS", "QUEUED"), ("inProgressJobs", "queuedJobs")) for run in lists[member]}
            return offered ^ expected
        deadline = time.monotonic() + 5
        while wrong := differences():  # a sweep may be under way
            assert time.monotonic() < deadline, f"{thing}: on offer or listed as pending, not both: {wrong}"
        self.looks["pending lists"] += 1


def check(peers):
    for peer in peers:
        assert peer.failure is None, peer.failure
        assert peer.is_alive() or peer.stopping.is_set(), f"{peer.name} died"


def bring_to_an_end(inspector, gate, devices):
    """Every job that can end does when the devices do their work; then the operators end and delete the others."""
    with gate.hold():
        inspector.job_list()
        for job in inspector.chosen(None):
            job.operator.resume(job)
            job.operator.pass_gates(job)
    for device in devices:
        device.finish()

    def waiting():
        inspector.job_list()
        open_jobs = [job for job in inspector.chosen(None) if job.snapshot and job.status not in ENDED]
        pending = [run for thing in THINGS for status in PENDING for run in pages(
            inspector.iot.list_job_executions_for_thing, "executionSummaries", thingName=thing, status=status)]
        return [f"{job.id} is {job.status}" for job in open_jobs] + [str(run) for run in pending]
    deadline = time.monotonic() + 40
    while left := waiting():
        check([*devices])
        assert time.monotonic() < deadline, "stuck: " + "; ".join(left)
        time.sleep(0.05)
    inspector.look(None)
    for job in inspector.chosen(None):
        if job.status not in ENDED:
            job.operator.cancel(job)
    inspector.look(None)

    def nothing_left():
        for job in inspector.chosen(None):
            job.operator.delete(job)  # ten at a time
        return not inspector.iot.list_jobs()["jobs"]
    wait_until(nothing_left, 30, "the deletion of all jobs")
    for thing in THINGS:
        assert inspector.iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"] == []


@pytest.mark.parametrize("seed", [int(os.environ.get("MUSTER_CRASH_SEED", "1"))])
def test_jobs_survive(seed):
    chance = random.Random(seed)
    flags = ["--plain_mqtt.port", "0", "--plain_mqtt.policy", "*"]
    server = Server(flags=flags + ["--device.loops", "2"])
    try:
        port = int(server.environment["MUSTER_MQTT_PLAIN_PORT"])
        ledger, gate = Ledger(), Gate()
        operators = [Operator(name, server, THINGS, ledger, gate, seed) for name in ("ann", "bob")]
        inspector = Inspector(server, operators, ledger, seed)
        for operator in operators * 12:
            operator.move(joins=True)
        devices = [JobDevice(thing, port, ledger, gate, seed, trusting=i % 2 == 0, sleeper=i == len(THINGS) - 1)
                   for i, thing in enumerate(THINGS)]
        for peer in (*devices, *operators):
            peer.start()
        for _ in range(CRASHES):
            again_at_once = chance.random() < 0.25  # while it does what the crash before has left
            time.sleep(chance.uniform(0, 0.1) if again_at_once else chance.uniform(0.1, 0.6))
            server.kill()
            server.flags = flags + ["--device.loops", str(chance.randint(1, 3))]
            server.start()
            check([*devices, *operators])
            if not again_at_once:
                with gate.hold():
                    inspector.look(6)
        for operator in operators:
            operator.stopping.set()
        for operator in operators:
            operator.join(60)
        check([*devices, *operators])
        bring_to_an_end(inspector, gate, devices)
        for device in devices:
            device.stopping.set()
        check([*devices, *operators])
        ended = sum(device.ended for device in devices)
        made, requests = sum(one.made for one in operators), sum(one.acknowledged for one in operators)
        print(f"{CRASHES} crashes, {made} jobs, {requests} requests of operators and "
              f"{ledger.replies} replies to devices acknowledged, {ended} executions ended; looked at {dict(inspector.looks)}")
        assert ended > CRASHES and requests > 5 * CRASHES, "too little load to show anything"
    finally:
        server.remove()
