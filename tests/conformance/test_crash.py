# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load: what was acknowledged is there after the restart, and nothing else is half done."""
import random
import threading
import time

import botocore.exceptions
import pytest


def load(server, worker, acknowledged, stop):
    iot, s3 = server.client("iot"), server.client("s3")
    n = 0
    while not stop.is_set():
        name = f"w{worker}-{n}"
        try:
            iot.create_thing(thingName=name, attributePayload={"attributes": {"n": str(n)}})
            acknowledged.append(("thing", name, str(n)))
            s3.put_object(Bucket="crash", Key=name, Body=name.encode() * 100)
            acknowledged.append(("object", name, name))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            if stop.is_set():
                return
            time.sleep(0.05)
        n += 1


@pytest.mark.parametrize("seed", range(3))
def test_nothing_acknowledged_is_lost(own_platform, seed):
    chance = random.Random(seed)
    own_platform.client("s3").create_bucket(Bucket="crash")
    acknowledged = []
    for _ in range(3):
        stop = threading.Event()
        workers = [threading.Thread(target=load, args=(own_platform, f"{len(acknowledged)}x{i}", acknowledged, stop)) for i in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(chance.uniform(0.3, 1.2))
        own_platform.kill()
        stop.set()
        for worker in workers:
            worker.join()
        own_platform.start()
    assert len(acknowledged) > 20
    iot, s3 = own_platform.client("iot"), own_platform.client("s3")
    for kind, name, value in acknowledged:
        if kind == "thing":
            assert iot.describe_thing(thingName=name)["attributes"] == {"n": value}
        else:
            assert s3.get_object(Bucket="crash", Key=name)["Body"].read() == value.encode() * 100
    # What is listed can be read whole: no name without its bytes.
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="crash"):
        for entry in page.get("Contents", []):
            assert len(s3.get_object(Bucket="crash", Key=entry["Key"])["Body"].read()) == entry["Size"]
