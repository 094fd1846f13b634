#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the end of the example: every client lists the same truth, and nothing that was acknowledged is lost.

check.py JOB ACKNOWLEDGED.jsonl TRUTH_FROM_JS.json THING=STATUS ...
"""
import json
import os
import sys

import boto3

job_id, log_name, js_name = sys.argv[1:4]
wanted = dict(pair.split("=") for pair in sys.argv[4:])
iot = boto3.client("iot", endpoint_url=os.environ["AWS_ENDPOINT_URL"])

job = iot.describe_job(jobId=job_id)["job"]
executions = {}
for page in iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id, PaginationConfig={"PageSize": 2}):
    for summary in page["executionSummaries"]:
        executions[summary["thingArn"].split("/")[-1]] = summary["jobExecutionSummary"]["status"]
assert executions == wanted, (executions, wanted)
assert job["status"] == "COMPLETED", job["status"]
details = job["jobProcessDetails"]
for status, member in (("SUCCEEDED", "numberOfSucceededThings"), ("FAILED", "numberOfFailedThings"), ("REJECTED", "numberOfRejectedThings")):
    assert details[member] == list(wanted.values()).count(status), details
assert details["numberOfQueuedThings"] == details["numberOfInProgressThings"] == 0, details

with open(js_name) as file:
    js = json.load(file)
assert js == {"status": "COMPLETED", "executions": executions}, js

acknowledged = {}
with open(log_name) as file:
    for line in file:
        entry = json.loads(line)
        acknowledged.setdefault(entry["thing"], []).append(entry)
for thing, entries in acknowledged.items():
    execution = iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
    last = entries[-1]
    assert execution["status"] == last["status"], (thing, execution["status"], last)
    assert execution["versionNumber"] == last["versionNumber"], (thing, execution["versionNumber"], last)
    assert execution["executionNumber"] == last["executionNumber"], (thing, execution, last)
    versions = [e["versionNumber"] for e in entries]
    assert versions == sorted(versions), (thing, versions)
print(f"boto3 and the JavaScript SDK agree on {len(executions)} executions; "
      f"all {sum(map(len, acknowledged.values()))} acknowledged reports are in the store")
