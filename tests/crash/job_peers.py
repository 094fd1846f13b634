# SPDX-License-Identifier: Apache-2.0
"""The two sides of Jobs under crashes: devices over MQTT, and an operator over HTTPS, who write down what the server
acknowledged to them. What they were not answered may have happened or not."""
import contextlib
import json
import random
import threading
import time

import boto3
import botocore.exceptions
from botocore.config import Config
from mqtt_bytes import packet, string
from mqtt_peers import Broken, Peer

PENDING = ("QUEUED", "IN_PROGRESS")
DOCUMENT = json.dumps({"operation": "upgrade", "to": "2.0.0"})
REPLY_SECONDS = 15


def client(server, service):
    """Without retries: a second try would hide that the first one may have succeeded."""
    environment = server.environment
    return boto3.client(service, endpoint_url=server.endpoint, region_name=server.region,
                        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
                        config=Config(retries={"total_max_attempts": 1}, read_timeout=REPLY_SECONDS))


def follows(before, status, version=None):
    """May an execution of which (version, status) was acknowledged be found like this later?"""
    old_version, old_status = before
    if version is not None and version < old_version:
        return False
    if old_status not in PENDING:
        return status == old_status and version in (None, old_version)
    if version == old_version:
        return status == old_status or (old_status, status) == ("QUEUED", "REMOVED")
    if old_status == "IN_PROGRESS":
        return status not in ("QUEUED", "REMOVED")
    return status != "QUEUED" or version is None


class Ledger:
    """(thing, job, number) -> the latest (version, status) that some reply told; the youngest last."""

    def __init__(self):
        self.lock = threading.Lock()
        self.executions = {}
        self.replies = 0

    def copy(self):
        with self.lock:
            return dict(self.executions)

    def write(self, before, key, status, version):
        """`before`: the copy that was made before the request was sent."""
        known = before.get(key)
        if known and not follows(known, status, version):
            raise Broken(f"{key} is {status} in version {version} after {known}")
        with self.lock:
            self.replies += 1
            if version >= self.executions.get(key, (0, ""))[0]:
                self.executions.pop(key, None)
                self.executions[key] = (version, status)


class Gate:
    """What holds all peers between two requests, so that somebody can look at a fleet that stands still."""

    def __init__(self):
        self.changed = threading.Condition()
        self.held = False
        self.busy = 0

    @contextlib.contextmanager
    def request(self):
        with self.changed:
            while self.held:
                self.changed.wait()
            self.busy += 1
        try:
            yield
        finally:
            with self.changed:
                self.busy -= 1
                self.changed.notify_all()

    @contextlib.contextmanager
    def hold(self):
        with self.changed:
            self.held = True
            assert self.changed.wait_for(lambda: self.busy == 0, 2 * REPLY_SECONDS), "a request has no end"
        try:
            yield
        finally:
            with self.changed:
                self.held = False
                self.changed.notify_all()


class JobDevice(Peer):
    """Starts, reports and ends executions. `trusting`: asks for the next one only when notify-next tells of it, however
    often the connection was lost. `sleeper`: starts one and forgets it for minutes."""

    def __init__(self, thing, port, ledger, gate, seed, *, trusting=False, sleeper=False):
        super().__init__(thing, port)
        self.thing, self.ledger, self.gate = thing, ledger, gate
        self.trusting, self.sleeper = trusting, sleeper
        self.chance = random.Random(f"{seed}-{thing}")
        self.prefix = f"$aws/things/{thing}/jobs/"
        self.subscribed, self.awake, self.finishing = False, True, False
        self.tokens, self.ended = 0, 0
        self.asleep_until = 0.0

    # ---- MQTT
    def serve(self):
        if not self.subscribed:
            self.send(packet(0x82, b"\0\1" + string(self.prefix + "notify-next") + b"\1"))
            self._until(lambda first, _body: first == 0x90)
            self.subscribed = True
        if not self.trusting:
            self.awake = True
        while not self.stopping.is_set():
            if self.awake and time.monotonic() >= self.asleep_until:
                self._work()
            else:
                self._listen(0.05)

    def _until(self, wanted):
        """The first packet that `wanted` takes; notifications that come before it are read and acknowledged."""
        while True:
            first, body = self.read()
            if first >> 4 == 3:
                body = self._message(first, body)
            if wanted(first, body):
                return body

    def _message(self, first, body):
        """(suffix, payload); a notification of something to do wakes."""
        size = int.from_bytes(body[:2], "big")
        topic, rest = body[2:2 + size].decode(), body[2 + size:]
        if first & 6:
            self.send(packet(0x40, rest[:2]))
            rest = rest[2:]
        suffix, payload = topic.removeprefix(self.prefix), json.loads(rest)
        if suffix == "notify-next" and "execution" in payload:
            self.awake = True
        return suffix, payload

    def _listen(self, seconds):
        self.socket.settimeout(seconds)
        try:
            self._until(lambda first, _body: first >> 4 == 3)
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(REPLY_SECONDS)

    def _request(self, suffix, **members):
        """(accepted?, payload)."""
        self.socket.settimeout(REPLY_SECONDS)
        self.tokens += 1
        token = f"{self.thing}-{self.tokens}"
        topic, wanted = self.prefix + suffix, (suffix + "/accepted", suffix + "/rejected")
        self.send(packet(0x30, string(topic) + json.dumps({"clientToken": token, **members}).encode()))
        try:
            answer, payload = self._until(lambda first, body: first >> 4 == 3 and body[0] in wanted and
                                          body[1].get("clientToken") == token)
        except TimeoutError:
            raise Broken(f"no answer to {suffix} in {REPLY_SECONDS} s") from None
        return answer.endswith("/accepted"), payload

    # ---- what a device does
    def _work(self):
        with self.gate.request():
            before = self.ledger.copy()
            self.awake = False  # from here on a notification counts
            asking = True
            try:
                accepted, reply = self._request("start-next")
                asking = False
            finally:
                self.awake = self.awake or asking
            if not accepted:
                raise Broken(f"start-next: {reply}")
            execution = reply.get("execution")
            if not execution:
                return
            self.awake = True
            if execution["status"] != "IN_PROGRESS" or execution["jobDocument"] != json.loads(DOCUMENT):
                raise Broken(f"start-next: {reply}")
            key = (self.thing, execution["jobId"], execution["executionNumber"])
            self.ledger.write(before, key, "IN_PROGRESS", execution["versionNumber"])
        if self.sleeper and not self.finishing and self.chance.random() < 0.5:
            self.asleep_until = time.monotonic() + 150
            return
        self._execute(key, execution["versionNumber"])

    def finish(self):
        self.finishing, self.asleep_until = True, 0.0

    def _execute(self, key, version):
        while not self.stopping.is_set():
            luck = self.chance.random()
            if self.finishing:
                status = "SUCCEEDED"
            elif luck < 0.2:
                return  # start-next hands it out again
            elif luck < 0.3:
                self._listen(self.chance.uniform(0.01, 0.05))
                continue
            else:
                status = self.chance.choice(["IN_PROGRESS", "SUCCEEDED", "SUCCEEDED", "FAILED", "FAILED", "REJECTED"])
            version = self._update(key, status, version)
            if version is None or status != "IN_PROGRESS":
                return

    def _update(self, key, status, version):
        """The version after it; None when the execution went another way."""
        members = {"status": status, "includeJobExecutionState": True}
        if self.chance.random() < 0.7:
            members["expectedVersion"] = version
        if self.chance.random() < 0.3:
            members["executionNumber"] = key[2]
        if self.chance.random() < 0.3:
            members["statusDetails"] = {"step": str(self.tokens)}
        if status == "IN_PROGRESS" and self.chance.random() < 0.3:
            members["stepTimeoutInMinutes"] = self.chance.choice([1, 2, -1])
        with self.gate.request():
            before = self.ledger.copy()
            accepted, reply = self._request(key[1] + "/update", **members)
            state = reply.get("executionState")
            named = "executionNumber" in members  # without, it is for the latest, which may have come since
            if accepted:
                if state["status"] != status or state["versionNumber"] != version + 1:
                    if not named:
                        return None
                    raise Broken(f"{key}: {members} upon version {version} made {state}")
                self.ledger.write(before, key, status, version + 1)
                self.ended += status != "IN_PROGRESS"
                return version + 1
            if reply["code"] not in ("VersionMismatch", "InvalidStateTransition", "ResourceNotFound"):
                raise Broken(f"{key}: {members}: {reply}")
            if named and state and not follows(before[key], state["status"], state["versionNumber"]):
                raise Broken(f"{key}: {before[key]}, then {reply}")
            return None


class JobRecord:
    """What is known of a job. Sets hold what its value may be: more than one after a request without an answer."""

    def __init__(self, operator, job_id, snapshot, groups, things, sure, possible, prompt, members):
        self.operator = operator
        self.id, self.snapshot, self.groups, self.things, self.prompt = job_id, snapshot, groups, things, prompt
        self.members, self.timeout = members, "timeoutConfig" in members
        self.must, self.may = set(sure), set(possible)  # things of first executions
        self.exists, self.canceled, self.deleted = {True}, {False}, {False}
        self.paused, self.description = {False}, {None}
        self.status = ""  # as last seen


def settled(values, outcome, value):
    return {value} if outcome == "done" else values | {value} if outcome == "unknown" else values


class Operator(threading.Thread):
    """Works on jobs and groups of its own, of things that are everybody's, one request after the other."""

    def __init__(self, name, server, things, ledger, gate, seed):
        super().__init__(name=name, daemon=True)
        self.server, self.things, self.ledger, self.gate = server, things, ledger, gate
        self.groups = groups = [f"{name}-group-{i}" for i in range(3)]
        self.chance = random.Random(f"{seed}-{name}")
        self.iot = client(server, "iot")
        self.arns = {name: self.iot.create_thing(thingName=name)["thingArn"] for name in things}
        # The last is a part of the one before.
        self.parts = {group: {group} for group in groups[:-2]} | {groups[-2]: set(groups[-2:]), groups[-1]: {groups[-1]}}
        for name in groups:
            parent = {"parentGroupName": groups[-2]} if name == groups[-1] else {}
            self.arns[name] = self.iot.create_thing_group(thingGroupName=name, **parent)["thingGroupArn"]
        self.member = {(thing, group): {False} for thing in things for group in groups}
        self.jobs = {}
        self.made, self.acknowledged = 0, 0
        self.stopping = threading.Event()
        self.failure = None

    def run(self):
        deeds = {self.create: 8, self.move: 8, self.pause: 3, self.resume: 4, self.describe_anew: 2, self.cancel: 3,
                 self.delete: 3, self.cancel_execution: 2, self.pass_gates: 2, self.associate: 2}
        while not self.stopping.is_set():
            try:
                with self.gate.request():
                    self.chance.choices(list(deeds), list(deeds.values()))[0]()
            except Broken as broken:
                self.failure = str(broken)
                return

    def ask(self, operation, allowed=(), **members):
        """done, refused or unknown."""
        try:
            operation(**members)
            self.acknowledged += 1
            return "done"
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                return "unknown"
            if code not in allowed:
                raise Broken(f"{operation.__name__}({members}): {error}") from None
            return "refused"
        except botocore.exceptions.EndpointConnectionError:  # not sent
            time.sleep(0.02)
            return "refused"
        except botocore.exceptions.BotoCoreError:
            return "unknown"

    def arn(self, job):
        return self.arns[self.groups[0]].replace("thinggroup/" + self.groups[0], "job/" + job.id)

    def some_job(self, fit=lambda job: True):
        jobs = [job for job in self.jobs.values() if job.deleted == {False} and fit(job)]
        return self.chance.choice(jobs) if jobs else None

    # ---- groups
    def sure(self, group):
        return {thing for thing in self.things if any(self.member[thing, part] == {True} for part in self.parts[group])}

    def possible(self, group):
        return {thing for thing in self.things if any(True in self.member[thing, part] for part in self.parts[group])}

    def move(self, joins=None):
        thing, group = self.chance.choice(self.things), self.chance.choice(self.groups)
        joins = self.chance.random() < 0.6 if joins is None else joins
        operation = self.iot.add_thing_to_thing_group if joins else self.iot.remove_thing_from_thing_group
        allowed = ("InvalidRequestException",) if joins else ()  # not in two groups of one hierarchy
        outcome = self.ask(operation, allowed, thingName=thing, thingGroupName=group)
        self.member[thing, group] = settled(self.member[thing, group], outcome, joins)
        for job in self.jobs.values():
            if job.prompt and job.snapshot or not any(group in self.parts[target] for target in job.groups):
                continue
            if joins:
                job.may.add(thing)
            elif thing not in job.things:
                job.must.discard(thing)

    # ---- jobs
    def create(self):
        live = [job for job in self.jobs.values() if job.status not in ("COMPLETED", "CANCELED")]
        if len([job for job in live if job.deleted == {False}]) >= 5:
            return
        chance, job_id = self.chance, f"{self.name}-{self.made}"
        self.made += 1
        snapshot = chance.random() < 0.65
        groups = set(chance.sample(self.groups, chance.choice([1, 1, 2])))
        things = set()
        if snapshot and chance.random() < 0.4:
            things = set(chance.sample(self.things, chance.choice([1, 3])))
            groups = groups if chance.random() < 0.5 else set()
        members, prompt = self._choices()
        sure = things.union(*map(self.sure, groups))
        possible = things.union(*map(self.possible, groups))
        job = JobRecord(self, job_id, snapshot, groups, things, sure, possible, prompt, members)
        outcome = self.ask(self.iot.create_job, jobId=job_id, document=DOCUMENT, **members,
                           targets=[self.arns[name] for name in sorted(groups | things)],
                           targetSelection="SNAPSHOT" if snapshot else "CONTINUOUS")
        if outcome != "refused":
            job.exists = settled({False}, outcome, True)
            job.paused = {any(tag["Key"] == "muster:pause" for tag in members["tags"])}
            self.jobs[job_id] = job

    def _choices(self):
        """Members of a job that is like many others in some way; and whether everything is queued at once."""
        chance, members, prompt = self.chance, {"tags": []}, True
        if chance.random() < 0.25:
            members["jobExecutionsRolloutConfig"] = chance.choice([
                {"maximumPerMinute": 120}, {"maximumPerMinute": 300},
                {"maximumPerMinute": 600, "exponentialRate": {
                    "baseRatePerMinute": 60, "incrementFactor": 2,
                    "rateIncreaseCriteria": {"numberOfNotifiedThings": 2}}}])
            prompt = False
        if chance.random() < 0.25:
            members["abortConfig"] = {"criteriaList": [{
                "failureType": chance.choice(["FAILED", "ALL"]), "action": "CANCEL", "thresholdPercentage": 60,
                "minNumberOfExecutedThings": 3}]}
        if chance.random() < 0.35:
            members["jobExecutionsRetryConfig"] = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 2}]}
        if chance.random() < 0.5:
            members["timeoutConfig"] = {"inProgressTimeoutInMinutes": 1}
        if chance.random() < 0.5:
            members["tags"].append({"Key": "muster:priority", "Value": str(chance.randint(-9, 9))})
        for key, value, often in (("muster:pause", "true", 0.1), ("muster:hold", "50", 0.1),
                                  ("muster:approval", "required", 0.07)):
            if chance.random() < often:
                members["tags"].append({"Key": key, "Value": value})
                prompt = False
        return members, prompt

    def tag(self, job, **tags):
        return self.ask(self.iot.tag_resource, ("InvalidRequestException", "ResourceNotFoundException"),
                        resourceArn=self.arn(job),
                        tags=[{"Key": "muster:" + key, "Value": value} for key, value in tags.items()])

    def pause(self):
        if job := self.some_job():
            job.paused = settled(job.paused, self.tag(job, pause="true"), True)

    def resume(self, job=None):
        if job := job or self.some_job(lambda job: True in job.paused):
            job.paused = settled(job.paused, self.tag(job, pause="false"), False)

    def pass_gates(self, job=None):
        if job := job or self.some_job(lambda job: not job.prompt):
            tags = {tag["Key"] for tag in self._tags(job)}
            if "muster:hold" in tags:
                self.tag(job, **{"continue": "all"})
            if "muster:approval" in tags:
                self.tag(job, approval="approved")

    def _tags(self, job):
        try:
            return self.iot.list_tags_for_resource(resourceArn=self.arn(job))["tags"]
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return []

    def associate(self):
        if job := self.some_job(lambda job: not job.snapshot):
            group = self.chance.choice(self.groups)
            outcome = self.ask(self.iot.associate_targets_with_job, ("InvalidRequestException", "ResourceNotFoundException"),
                               jobId=job.id, targets=[self.arns[group]])
            if outcome == "done":
                job.groups.add(group)

    def describe_anew(self):
        if job := self.some_job():
            text = f"words {self.chance.randint(0, 10**9)}"
            outcome = self.ask(self.iot.update_job, ("InvalidRequestException", "ResourceNotFoundException"),
                               jobId=job.id, description=text)
            job.description = settled(job.description, outcome, text)

    def cancel(self, job=None):
        if job := job or self.some_job():
            outcome = self.ask(self.iot.cancel_job, ("InvalidRequestException", "ResourceNotFoundException"),
                               jobId=job.id, force=self.chance.random() < 0.4)
            job.canceled = settled(job.canceled, outcome, True)

    def delete(self, job=None):
        ended = self.chance.random() < 0.7
        job = job or self.some_job(lambda job: not ended or job.canceled == {True} or job.status == "COMPLETED")
        if job:
            allowed = ("InvalidStateTransitionException", "ResourceNotFoundException", "LimitExceededException")
            outcome = self.ask(self.iot.delete_job, allowed, jobId=job.id, force=self.chance.random() < 0.3)
            job.deleted = settled(job.deleted, outcome, True)

    def cancel_execution(self):
        known = [key for key, (_, status) in self.ledger.copy().items() if status in PENDING]
        if known:
            thing, job_id, _ = self.chance.choice(known)
            allowed = ("InvalidStateTransitionException", "ResourceNotFoundException")
            self.ask(self.iot.cancel_job_execution, allowed, thingName=thing, jobId=job_id, force=self.chance.random() < 0.5)
