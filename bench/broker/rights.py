#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What authorisation costs the broker: clients by an IoT policy of ten statements, beside clients who may everything
(plain_mqtt.policy "*"), in turn on one core. Prints a JSON line a pair of runs, then the median ratio of deliveries per
second of server CPU: rights.py [--only NAME,...] [--pairs N] [--seconds S] [--muster BINARY]."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import boto3

import servers

SCENARIOS = {
    "pairs": ["pairs", "--width", "50"],
    "fan-in": ["fan-in", "--width", "100", "--window", "100"],
    "fan-out": ["fan-out", "--width", "100"],
    "qos1": ["pairs", "--width", "50", "--qos", "1", "--payload", "256", "--window", "100"],
}
POLICY = "bench"


def statement(effect, action, resource, **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document():
    """Ten statements; the last ones allow what the generator does."""
    arn = "arn:aws:iot:*:*:"
    return json.dumps({"Version": "2012-10-17", "Statement": [
        statement("Deny", "iot:Publish", arn + "topic/*/admin/*"),
        statement("Deny", "iot:*", "*", Condition={"StringEquals": {"iot:ClientId": "banned"}}),
        statement("Allow", "iot:Publish", arn + "topic/logs/${iot:ClientId}/*"),
        statement("Allow", "iot:Receive", arn + "topic/cmd/${iot:ClientId}/*"),
        statement("Allow", "iot:Subscribe", arn + "topicfilter/cmd/${iot:ClientId}/*"),
        statement("Allow", "iot:Publish", arn + "topic/alarm/*/${iot:ClientId}"),
        statement("Allow", "iot:Connect", arn + "client/*"),
        statement("Allow", "iot:Subscribe", arn + "topicfilter/*"),
        statement("Allow", "iot:Receive", arn + "topic/*"),
        statement("Allow", "iot:Publish", arn + "topic/*")]})


def create_policy(server):
    key = json.loads((server.data / "root-key.json").read_text())
    client = boto3.client("iot", endpoint_url=server.endpoints["apiOrigin"], region_name=server.endpoints["region"],
                          verify=server.endpoints["caFile"], aws_access_key_id=key["accessKeyId"], aws_secret_access_key=key["secretAccessKey"])
    client.create_policy(policyName=POLICY, policyDocument=document())


def run(arguments, policy, folder, options):
    with servers.Muster(folder, binary=options.muster, policy=policy) as server:
        if policy != "*":
            create_policy(server)
        command = [servers.BUILD / "bench/mqtt_load", *arguments, "--port", str(server.port), "--server-pid",
                   str(server.pid), "--warm-up", "0.5", "--seconds", str(options.seconds)]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=options.seconds + 60,
                             preexec_fn=lambda: os.sched_setaffinity(0, {servers.LOAD_CORE}))
        return json.loads(out.stdout)["deliveries_per_server_cpu_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--muster", help="binary, instead of the build's")
    parser.add_argument("--build", type=pathlib.Path, default=servers.BUILD)
    options = parser.parse_args()
    servers.BUILD = options.build
    with tempfile.TemporaryDirectory(prefix="muster-rights-", dir=os.environ.get("BENCH_DIR", "/var/tmp")) as base:
        folder = pathlib.Path(base) / "server"
        for scenario in options.only.split(","):
            ratios = []
            for pair in range(options.pairs):
                # Each comes first in turn: who runs later finds a warmer or a throttled machine.
                order = ("*", POLICY) if pair % 2 == 0 else (POLICY, "*")
                found = {policy: run(SCENARIOS[scenario], policy, folder, options) for policy in order}
                ratios.append(found[POLICY] / found["*"])
                print(json.dumps({"scenario": scenario, "open": round(found["*"]), "policy": round(found[POLICY]),
                                  "ratio": round(ratios[-1], 3)}), flush=True)
            print(f"{scenario}: {statistics.median(ratios):.3f} of the open broker "
                  f"({min(ratios):.3f} to {max(ratios):.3f})", flush=True)


if __name__ == "__main__":
    main()
