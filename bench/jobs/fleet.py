#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs on a large fleet, on the release server, durable: fleet.py [--things N,N,...] [--only PART,...].

Each size has a data directory of its own, made by fleet_data. One JSON line a measurement, then a table, a column a size.
Parts: rollout (CreateJob on all, a paced DescribeThing beside it), lists of what is queued, devices that work beside it,
cancel (CancelJob, lists of what is leaving), finished (a job that all have done), timers (one a thing, armed, not due).
"""
import argparse
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import server as servers  # noqa: E402

PARTS = ["rollout", "lists", "devices", "cancel", "finished", "timers"]
GROUP, JOB, DONE, TIMED, DEVICES = "fleet", "rollout", "done", "timed", "device"
DOCUMENT = json.dumps({"operation": "reboot", "parameters": {"delay_s": 5, "reason": "benchmark of a durable fleet operation"}})
STATUSES = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED"]
LIST_CALLS = 60


class Report:
    """Measurements by name and size."""

    def __init__(self):
        self.rows = {}

    def add(self, things, name, value, unit, bar=None, shown=None, **more):
        """bar: ("<" or ">=", value). shown: what the table says instead of the value."""
        line = {"things": things, "measurement": name, "value": round(value, 3), "unit": unit} | more
        verdict = ""
        if bar is not None:
            met = value < bar[1] if bar[0] == "<" else value >= bar[1]
            line |= {"bar": f"{bar[0]} {bar[1]}", "met": met}
            verdict = f"{bar[0]} {bar[1]}"
        print(json.dumps(line), flush=True)
        row = self.rows.setdefault(name, {"unit": unit, "bar": verdict, "values": {}})
        row["values"][things] = (shown or number(value)) + ("" if bar is None or line["met"] else " (!)")

    def table(self, sizes):
        out = [["", *(f"{n:,} things" for n in sizes), "bar"], ["---"] * (len(sizes) + 2)]
        for name, row in self.rows.items():
            out.append([f"{name}, {row['unit']}", *(row["values"].get(n, "") for n in sizes), row["bar"]])
        return "\n".join("| " + " | ".join(line) + " |" for line in out)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def fleet_data(options, data, *arguments):
    out = subprocess.run([options.build / "bench/fleet_data", arguments[0], "--dir", data, *arguments[1:]],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)


class Profile:
    """perf of the server from now until stopped, when --profile names a folder for it."""

    def __init__(self, options, server, name):
        self.process = None
        if options.profile is None:
            return
        options.profile.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            ["perf", "record", "-e", "cpu-clock", "-F", "199", "-g", "-o", options.profile / f"{name}.data", "-p", str(server.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


class Paced:
    """DescribeThing of random things, evenly spaced, until stopped."""

    def __init__(self, options, server, things):
        key = server.key
        self.process = subprocess.Popen(
            [options.build / "bench/api_load", "--port", server.endpoints["apiOrigin"].rsplit(":", 1)[1], "--region",
             server.endpoints["region"], "--access-key", key["accessKeyId"], "--secret-key", key["secretAccessKey"], "--operation",
             "Get", "--path", "/things/thing-{}", "--of", str(things), "--rate", str(options.rate), "--connections", "16",
             "--seconds", "3600"], stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=30)[0]
        if self.process.returncode != 0:
            raise RuntimeError(f"the DescribeThing client failed: {out}")
        return json.loads(out)


def measure_rollout(options, report, things, server):
    api = servers.Api(server)
    group = f"arn:aws:iot:{server.endpoints['region']}:{server.endpoints['accountId']}:thinggroup/{GROUP}"
    pss, written, _ = server.pss(), server.disk_written(), server.peak_rss()
    paced = Paced(options, server, things)
    profile = Profile(options, server, f"rollout-{things}")
    time.sleep(0.3)
    cpu, began = server.cpu(), time.monotonic()
    api.call("PUT", f"/jobs/{JOB}", body={"targets": [group], "document": DOCUMENT})
    report.add(things, "CreateJob on the group", api.milliseconds, "ms", ("<", 200))
    queued = 0
    while queued < things:
        time.sleep(0.02)
        queued = api.call("GET", f"/jobs/{JOB}")["job"]["jobProcessDetails"].get("numberOfQueuedThings", 0)
        if time.monotonic() - began > options.patience:
            raise RuntimeError(f"only {queued} executions were queued in {options.patience} s")
    seconds, used = time.monotonic() - began, server.cpu() - cpu
    profile.stop()
    beside = paced.stop()
    report.add(things, "all executions queued", seconds, "s", ("<", 20), rate=round(things / seconds))
    report.add(things, "server CPU an execution, until queued", used * 1e6 / things, "µs")
    for which in ("p50", "p99", "max"):
        report.add(things, f"DescribeThing beside the rollout, {which}", beside[f"{which}_ms"], "ms",
                   ("<", 20) if which == "p99" else None, calls=round(beside["requests_per_s"] * seconds))
    server.wait_quiet()
    report.add(things, "server CPU an execution, until quiet", (server.cpu() - cpu) * 1e6 / things, "µs")
    report.add(things, "bytes to the disk an execution, until quiet", (server.disk_written() - written) / things, "B")
    report.add(things, "PSS before the rollout", pss / 2**20, "MiB")
    report.add(things, "PSS after the rollout, quiet", server.pss() / 2**20, "MiB")
    report.add(things, "peak RSS of the rollout", server.peak_rss() / 2**20, "MiB")


def measure_call(report, things, api, name, path, query):
    times, cpu = [], api.server.cpu()
    for _ in range(LIST_CALLS):
        api.call("GET", path, query)
        times.append(api.milliseconds)
    used = api.server.cpu() - cpu
    median, most = statistics.median(times), max(times)
    report.add(things, name, median, "ms: first / median / most", ("<", 5), shown=f"{times[0]:.2g} / {median:.2g} / {most:.2g}",
               first=round(times[0], 3), most=round(most, 3), server_cpu_us=round(used * 1e6 / LIST_CALLS))


def measure_lists(report, things, server, job, when):
    api = servers.Api(server)
    page = {"maxResults": 250}
    measure_call(report, things, api, f"DescribeJob, {when}", f"/jobs/{job}", None)
    measure_call(report, things, api, f"ListJobs, {when}", "/jobs", page)
    measure_call(report, things, api, f"ListJobExecutionsForJob, {when}", f"/jobs/{job}/things", page)
    for status in STATUSES:
        measure_call(report, things, api, f"ListJobExecutionsForJob {status}, {when}", f"/jobs/{job}/things", page | {"status": status})
    measure_call(report, things, api, f"ListJobExecutionsForThing, {when}", f"/things/thing-{things // 2}/jobs", page)
    measure_call(report, things, api, f"ListThingsInThingGroup, {when}", f"/thing-groups/{GROUP}/things", page | {"recursive": "true"})


def measure_devices(options, report, things, server):
    profile = Profile(options, server, f"devices-{things}")
    written = server.disk_written()
    out = subprocess.run(
        [options.build / "bench/device_load", "--port", str(server.endpoints["plainMqttPort"]), "--devices", str(options.devices),
         "--prefix", DEVICES, "--seconds", str(options.seconds), "--server-pid", str(server.pid)], stdout=subprocess.PIPE, text=True)
    profile.stop()
    if out.returncode != 0:
        raise RuntimeError(f"the devices were not served: {out.stdout}")
    load = json.loads(out.stdout)
    more = {k: load[k] for k in ("executions", "start_next", "update", "queues_emptied", "generator_cpu_s")}
    report.add(things, "start-next and update pairs a server-CPU-second", load["executions_per_server_cpu_s"], "1/s", (">=", 8000), **more)
    report.add(things, "bytes to the disk a pair", (server.disk_written() - written) / load["executions"], "B")
    report.add(things, "start-next and update pairs a second", load["executions_per_s"], "1/s")
    report.add(things, "start-next p99, update p99", load["start_next"]["p99_us"] / 1e3, "ms", update=load["update"]["p99_us"] / 1e3)


def measure_cancel(options, report, things, server):
    """Lists while their entries leave: what was there and was taken away is stepped over until it is compacted."""
    api = servers.Api(server)
    cpu, began, times = server.cpu(), time.monotonic(), []
    api.call("PUT", f"/jobs/{JOB}/cancel", body={})
    report.add(things, "CancelJob", api.milliseconds, "ms")
    canceled = 0
    while canceled < things:
        if time.monotonic() - began > options.patience:
            raise RuntimeError(f"only {canceled} executions were canceled in {options.patience} s")
        time.sleep(0.02)
        api.call("GET", f"/jobs/{JOB}/things", {"maxResults": 250, "status": "QUEUED"})
        times.append(api.milliseconds)
        canceled = api.call("GET", f"/jobs/{JOB}")["job"]["jobProcessDetails"].get("numberOfCanceledThings", 0)
    report.add(things, "all executions canceled", time.monotonic() - began, "s")
    report.add(things, "server CPU an execution, until canceled", (server.cpu() - cpu) * 1e6 / things, "µs")
    report.add(things, "ListJobExecutionsForJob QUEUED meanwhile", statistics.median(times), "ms: first / median / most", ("<", 5),
               shown=f"{times[0]:.2g} / {statistics.median(times):.2g} / {max(times):.2g}", most=round(max(times), 3), calls=len(times))
    measure_call(report, things, api, "ListJobExecutionsForJob QUEUED, all canceled", f"/jobs/{JOB}/things",
                 {"maxResults": 250, "status": "QUEUED"})
    measure_call(report, things, api, "ListJobExecutionsForJob CANCELED, all canceled", f"/jobs/{JOB}/things",
                 {"maxResults": 250, "status": "CANCELED"})


def measure_finished(options, report, things, data):
    """A job that everybody has finished: what it keeps on the disk, and lists over what was moved away."""
    with servers.Server(data, options.muster) as server:
        server.wait_quiet()
        before = server.table_bytes()
    made = fleet_data(options, data, "jobs", "--job", DONE, "--state", "finished")
    with servers.Server(data, options.muster) as server:
        server.wait_quiet()
        after = server.table_bytes()
        report.add(things, "bytes kept a finished execution", (after - before) / things, "B", ("<", 400), before=before, after=after,
                   made_in_seconds=made["seconds"])
        measure_lists(report, things, server, DONE, "all finished")


def idle(server, seconds):
    server.wait_quiet()
    before = server.cpu()
    time.sleep(seconds)
    return (server.cpu() - before) * 1e3 / seconds


def measure_timers(options, report, things, data):
    with servers.Server(data, options.muster) as server:
        report.add(things, "idle before the timers", idle(server, options.idle), "ms CPU/s")
    made = fleet_data(options, data, "jobs", "--job", TIMED, "--state", "running", "--timeout-minutes", "10080")
    with servers.Server(data, options.muster) as server:
        report.add(things, "start with a timer a thing", server.start_seconds, "s", made_in_seconds=made["seconds"])
        report.add(things, "idle with a timer a thing", idle(server, options.idle), "ms CPU/s")
        report.add(things, "PSS with a timer a thing", server.pss() / 2**20, "MiB")


def measure_live(options, report, things, data):
    """A server that rolls out, lists, and serves devices, one after the other."""
    if "devices" in options.only:
        fleet_data(options, data, "things", "--things", str(options.devices), "--group", DEVICES, "--prefix", DEVICES)
        fleet_data(options, data, "jobs", "--job", "load", "--count", str(options.device_jobs), "--group", DEVICES)
    with servers.Server(data, options.muster) as server:
        server.wait_quiet()
        if "rollout" in options.only:
            measure_rollout(options, report, things, server)
            if "lists" in options.only:
                measure_lists(report, things, server, JOB, "all queued")
        if "devices" in options.only:
            measure_devices(options, report, things, server)
        if "cancel" in options.only:
            measure_cancel(options, report, things, server)


def measure(options, report, things):
    folder = servers.folder_for(options.folder, things)
    try:
        fresh = folder / "fresh"
        groups = ["--groups", str(options.groups)] if options.groups else []
        made = fleet_data(options, fresh, "things", "--things", str(things), "--group", GROUP, *groups)
        report.add(things, "making the things", made["seconds"], "s", store_bytes=made["store_bytes"])
        # Each on a copy, so that what one leaves behind is not in another's figures.
        for part, measured in ((("rollout", "devices", "cancel"), measure_live), (("finished",), measure_finished), (("timers",), measure_timers)):
            if set(part) & set(options.only):
                data = folder / measured.__name__
                shutil.copytree(fresh, data)
                measured(options, report, things, data)
                if not options.keep:
                    shutil.rmtree(data)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--things", default="10000", help="sizes, by comma (10000)")
    parser.add_argument("--groups", type=int, default=0, help="child groups that the things are in (0: the group itself)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--device-jobs", type=int, default=50, help="jobs for each device")
    parser.add_argument("--seconds", type=float, default=30, help="the devices' part, at most")
    parser.add_argument("--idle", type=float, default=2, help="seconds for which an idle server is watched")
    parser.add_argument("--rate", type=int, default=200, help="DescribeThing a second beside the rollout")
    parser.add_argument("--patience", type=float, default=600, help="seconds for a rollout")
    parser.add_argument("--folder", help="where the data goes; a disk, not memory (BENCH_DIR, /var/tmp)")
    parser.add_argument("--profile", type=pathlib.Path, help="a folder for perf's data of the rollout and the devices (bench/shares.py)")
    parser.add_argument("--keep", action="store_true", help="leave the data directories")
    parser.add_argument("--build", type=pathlib.Path, default=servers.BUILD)
    parser.add_argument("--muster", help="another server binary")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if {"lists", "cancel"} & set(options.only) and "rollout" not in options.only:
        parser.error("lists and cancel need rollout")
    options.muster = options.muster or options.build / "src/server/muster"
    sizes = [int(n) for n in options.things.split(",")]
    report = Report()
    for things in sizes:
        measure(options, report, things)
    print(report.table(sizes))


main()
