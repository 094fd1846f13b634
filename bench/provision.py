#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Things in one group and jobs on it, for device_load: provision.py DEVICES JOBS [PREFIX]. Reads AWS_* of `muster env`."""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3

devices, jobs = int(sys.argv[1]), int(sys.argv[2])
prefix = sys.argv[3] if len(sys.argv) > 3 else "device"
iot = boto3.client("iot", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
names = [f"{prefix}{i}" for i in range(devices)]
group = iot.create_thing_group(thingGroupName=prefix)["thingGroupArn"]


def make(name):
    iot.create_thing(thingName=name)
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=prefix)


with ThreadPoolExecutor(4) as pool:
    list(pool.map(make, names))
document = '{"operation":"reboot","parameters":{"delay_s":5,"reason":"benchmark of a durable fleet operation"}}'
for i in range(jobs):
    iot.create_job(jobId=f"{prefix}-{i}", targets=[group], document=document)
wanted = devices * jobs


def queued():
    details = iot.describe_job(jobId=f"{prefix}-{jobs - 1}")["job"]["jobProcessDetails"]
    return details["numberOfQueuedThings"]


while queued() < devices:
    time.sleep(0.05)
print(f"{wanted} executions queued")
