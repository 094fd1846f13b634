# SPDX-License-Identifier: Apache-2.0
"""The Jobs clients of the AWS IoT device SDK v2 for JavaScript, both generations (v1: IotJobsClient, v2:
IotJobsClientv2) on both of its MQTT clients, by mutual TLS and by WebSocket with Signature Version 4."""
import json
import os
import uuid

import pytest

from programs import HERE, Plan

pytestmark = pytest.mark.skipif(os.environ.get("MUSTER_INTEROP_BROKER") == "mosquitto", reason="mosquitto has no jobs")
SCENARIOS = ["pending", "describe_next", "start_next", "progress", "rejections", "succeeded", "failed", "rejected", "last"]
ENDS = ["SUCCEEDED", "FAILED", "REJECTED", "SUCCEEDED"]
MADE = {}  # kind -> (client, thing, job ids), to look from the operator's side


def program(broker, transport, version):
    transport, _, style = transport.partition("-")
    assert (HERE / "node_modules").is_dir(), f"npm ci has not been run in {HERE}; ./dev test does"
    thing = f"sdk-{uuid.uuid4().hex[:10]}"
    iot = broker.platform.client("iot")
    arn = iot.create_thing(thingName=thing)["thingArn"]
    jobs = [f"{thing}-{n}" for n in range(4)]
    for n, job_id in enumerate(jobs):
        document = {"operation": "upgrade", "number": n, **({"filler": "x" * 30_000} if n == 3 else {})}
        iot.create_job(jobId=job_id, targets=[arn], document=json.dumps(document))
    MADE[f"{transport}-{style}", version] = iot, thing, jobs
    files = {"ca": broker.files["ca"]} if transport == "wss" else broker.files
    options = {"style": style, "transport": transport, "version": version, "thing": thing, "jobs": jobs,
               "host": broker.host, "port": broker.ports[transport], **files}
    if transport == "wss":
        options["sign"] = broker.session
    return ["node", str(HERE / "jobs_scenarios.mjs"), json.dumps(options)]


PLAN = Plan(program)
KINDS = [(f"{transport}-{style}", version) for transport in ("tls", "wss") for style in ("v1", "v2") for version in (4, 5)]


@pytest.mark.parametrize("transport,version,scenario", [
    pytest.param(*kind, scenario, id=f"{kind[0]}-{kind[1]}-{scenario}") for kind in KINDS for scenario in SCENARIOS])
def test_scenario(broker, transport, version, scenario):
    PLAN.check(transport, version, scenario)


@pytest.mark.parametrize("transport,version", [pytest.param(*kind, id=f"{kind[0]}-{kind[1]}") for kind in KINDS])
def test_operator_sees_the_ends(broker, transport, version):
    PLAN.running[transport, version].result()
    iot, thing, jobs = MADE[transport, version]
    for job_id, end in zip(jobs, ENDS):
        execution = iot.describe_job_execution(thingName=thing, jobId=job_id)["execution"]
        assert (execution["status"], execution["executionNumber"]) == (end, 1)
        assert iot.describe_job(jobId=job_id)["job"]["status"] == "COMPLETED"
    execution = iot.describe_job_execution(thingName=thing, jobId=jobs[1])["execution"]
    assert execution["statusDetails"] == {"detailsMap": {"reason": "no space"}} and execution["versionNumber"] == 3
