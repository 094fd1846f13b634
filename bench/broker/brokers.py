#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Muster beside mosquitto, in turn, server on one core and generator on the other: brokers.py [--only NAME,...].

Prints one JSON line a run (--raw FILE keeps them) and a table: median (lowest to highest) of each server and the ratio.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import servers  # noqa: E402
import tls_idle  # noqa: E402

QOS1 = ["--qos", "1", "--payload", "256", "--window", "100"]
# name: arguments of mqtt_load, servers, (figure, is more better), bar for Muster: a ratio ("x") or a value
FLOW, CPU = "deliveries_per_s", "deliveries_per_server_cpu_s"
SCENARIOS = {
    "pairs": (["pairs", "--width", "50"], "MRK", CPU, ("ratio", 15)),
    "pairs-narrow": (["pairs", "--width", "50", "--window", "8"], "MRK", CPU, None),
    "one-pair": (["pairs", "--width", "1", "--window", "4096"], "MRK", CPU, None),
    "fan-in": (["fan-in", "--width", "100", "--window", "100"], "MRK", CPU, ("ratio", 15)),
    "fan-out": (["fan-out", "--width", "100"], "MRK", CPU, ("ratio", 8)),
    "qos1": (["pairs", "--width", "50", *QOS1], "MK", CPU, ("ratio", 8)),
    "qos1-durable": (["pairs", "--width", "50", "--persistent", "1", *QOS1], "MK", CPU, ("ratio", 3)),
    "pairs-v5": (["pairs", "--width", "50", "--protocol", "5"], "MK", CPU, None),
    "connects": (["connects"], "MRK", "connects_per_s", ("least", 30000)),
    "connects-reset": (["connects", "--reset", "1"], "MRK", "connects_per_s", None),
    "idle": (["idle", "--width", "10000", "--seconds", "1"], "MK", "bytes_per_connection", ("most", 3072)),
    "idle-subscribed": (["idle", "--width", "10000", "--seconds", "1", "--subscribed", "1"], "MK", "bytes_per_connection", None),
    "idle-tls": (None, "MK", "bytes_per_connection", ("most", 20480)),
    "paced": (["paced"], "MRK", "p99_us", ("most", 1000)),
    "paced-qos1": (["paced", "--qos", "1"], "MK", "p99_us", ("most", 1000)),
    "paced-flood": (["paced", "--flood", "1"], "MK", "p99_us", None),
}
CLASSES = {"M": servers.Muster, "K": servers.Mosquitto, "R": servers.Relay}
TIMED = {"pairs", "fan-in", "fan-out", "connects"}


def start(kind, folder, scenario, options):
    if kind == "M":
        return servers.Muster(folder, scenario, options.muster)
    return CLASSES[kind](folder, scenario)


def busy_seconds():
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[i]) for i in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(seconds):
    """Until others leave the machine alone for half a second; not longer than that many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = busy_seconds()
        time.sleep(0.5)
        if busy_seconds() - before < 0.04:
            return


def record(options, scenario, server):
    """perf for the measured part, when profiles are wanted; returns what to call behind the run."""
    if not options.profile:
        return lambda: None
    into = pathlib.Path(options.profile) / f"{scenario}.{server.name}.data"
    into.parent.mkdir(parents=True, exist_ok=True)
    perf = subprocess.Popen(["perf", "record", "-e", "cpu-clock", "-F", "997", "-g", "-o", into, "-p", str(server.pid), "--",
                             "sleep", str(options.seconds + 0.5)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def done():
        perf.wait()
        for ending, more in (("self", ["--no-children"]), ("callers", ["--children"])):
            text = subprocess.run(["perf", "report", "-i", into, "--stdio", "-g", "none", "--percent-limit", "0.3", "--sort",
                                   "symbol", *more], capture_output=True, text=True).stdout
            lines = [re.sub(r"[\s-]*$", "", line)[:160] for line in text.splitlines() if line and not line.startswith("#")]
            into.with_suffix("." + ending + ".txt").write_text("\n".join(lines) + "\n")
        into.unlink()

    return done


def run(scenario, kind, folder, options):
    arguments = SCENARIOS[scenario][0]
    if arguments is None:
        return tls_idle.measure(kind, folder, options)
    with start(kind, folder, scenario, options) as server:
        command = [servers.BUILD / "bench/mqtt_load", *arguments, "--port", str(server.port), "--server-pid", str(server.pid)]
        if arguments[0] in TIMED or arguments[0] == "paced":
            command += ["--warm-up", "0.5", "--seconds", str(options.seconds)]
        profiled = record(options, scenario, server)
        try:
            out = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=options.seconds + 60,
                                 preexec_fn=lambda: os.sched_setaffinity(0, {servers.LOAD_CORE}))
        finally:
            profiled()
        if not out.stdout:
            raise RuntimeError(f"{scenario}: the generator failed against {server.name}")
        return json.loads(out.stdout) | {"whole": out.returncode == 0}


def figure(result, name):
    return result["latency"][name] if name in result.get("latency", {}) else result[name]


def short(value):
    for limit, unit, digits in ((1e6, "M", 2), (1e4, "k", 1)):
        if value >= limit:
            return f"{value / (1e6 if unit == 'M' else 1e3):.{digits}f}{unit}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def spread(results, name):
    values = [figure(r, name) for r in results]
    return f"{short(statistics.median(values))} ({short(min(values))}..{short(max(values))})"


def verdict(bar, by_kind, name):
    if bar is None or not by_kind.get("M"):
        return ""
    kind, wanted = bar
    mine = statistics.median(figure(r, name) for r in by_kind["M"])
    if kind == "ratio":
        if not by_kind.get("K"):
            return ""
        mine /= statistics.median(figure(r, name) for r in by_kind["K"])
        return f"{'met' if mine >= wanted else 'MISSED'}: >= {wanted}x"
    met = mine >= wanted if kind == "least" else mine <= wanted
    return f"{'met' if met else 'MISSED'}: {'>=' if kind == 'least' else '<='} {short(wanted)}"


def rows_of(scenario, by_kind):
    """Lines (figure, muster, mosquitto, relay, ratio, bar)."""
    _, _, main, bar = SCENARIOS[scenario]
    names = {CPU: [FLOW, CPU], "connects_per_s": ["connects_per_s", "connects_per_server_cpu_s"],
             "p99_us": ["p50_us", "p99_us", "p999_us", "max_us", "server_cpu_s"]}.get(main, [main])
    for name in names:
        cells = [spread(by_kind[k], name) if by_kind.get(k) else "" for k in "MKR"]
        ratio = ""
        if by_kind.get("M") and by_kind.get("K"):
            m, k = (statistics.median(figure(r, name) for r in by_kind[kind]) for kind in "MK")
            ratio = f"{m / k:.2f}" if k else ""
        yield [scenario, name, *cells, ratio, verdict(bar, by_kind, name) if name == main else ""]
    wrong = []
    for kind, results in by_kind.items():
        for key in ("lost", "reordered", "duplicates", "stalls", "failed"):
            total = sum(r.get(key, 0) for r in results)
            if total:
                wrong.append(f"{CLASSES[kind].name} {key} {total}")
        busy = statistics.median(r.get("generator_cpu_s", 0) / max(r.get("seconds", 1), 1e-9) for r in results)
        if busy > 0.95 and "paced" not in scenario:
            wrong.append(f"{CLASSES[kind].name}: the generator was the bound")
        disturbed = max(r.get("foreign_cpu_s", 0) / max(r.get("seconds", 1), 1e-9) for r in results)
        if disturbed > 0.1:
            wrong.append(f"{CLASSES[kind].name}: others took up to {disturbed:.2f} cores")
    if wrong:
        yield [scenario, "note: " + "; ".join(wrong), "", "", "", "", ""]


def table(results):
    head = ["scenario", "figure", "Muster", "mosquitto", "relay", "ratio", "bar"]
    rows = [row for scenario, by_kind in results.items() for row in rows_of(scenario, by_kind)]
    plain = [r for r in rows if not r[1].startswith("note: ")] + [head]
    widths = [max(len(r[i]) for r in plain) for i in range(len(head))]
    print("  ".join(c.ljust(w) for c, w in zip(head, widths)))
    for row in rows:
        if row[1].startswith("note: "):
            print(f"{'':{widths[0]}}  {row[1]}")
        else:
            print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def read_raw(file, chosen):
    kinds = {each.name: kind for kind, each in CLASSES.items()}
    results = {}
    for line in pathlib.Path(file).read_text().splitlines():
        result = json.loads(line)
        if result["name"] in chosen:
            results.setdefault(result["name"], {}).setdefault(kinds[result["server"]], []).append(result)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="scenarios, by commas: " + ", ".join(SCENARIOS))
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="measured, each run")
    parser.add_argument("--servers", default="MRK", help="M: Muster, K: mosquitto, R: the relay")
    parser.add_argument("--muster", help="binary, instead of build/release")
    parser.add_argument("--profile", help="folder: perf's table of each server and scenario")
    parser.add_argument("--raw", help="file that gets every run as a JSON line")
    parser.add_argument("--wait-quiet", type=float, default=0, help="seconds to wait at most, before each run, for an idle machine")
    parser.add_argument("--table", help="no runs: the table of a file that --raw has written")
    parser.add_argument("--tls-clients", type=int, default=1000)
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(SCENARIOS)
    if unknown := [c for c in chosen if c not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    if options.table:
        table(read_raw(options.table, chosen))
        return
    results = {}
    base = os.environ.get("BENCH_DIR", "/var/tmp")  # a disk: /tmp may be memory, which flushes for nothing
    with tempfile.TemporaryDirectory(prefix="muster-brokers-", dir=base) as folder:
        for scenario in chosen:
            by_kind = results.setdefault(scenario, {})
            for repetition in range(options.reps):
                for kind in (k for k in SCENARIOS[scenario][1] if k in options.servers):
                    wait_for_quiet(options.wait_quiet)
                    result = run(scenario, kind, pathlib.Path(folder) / "server", options)
                    result |= {"name": scenario, "server": CLASSES[kind].name, "repetition": repetition}
                    line = json.dumps(result)
                    print(line, flush=True)
                    if options.raw:
                        with open(options.raw, "a") as raw:
                            raw.write(line + "\n")
                    by_kind.setdefault(kind, []).append(result)
                    time.sleep(0.2)
    table(results)


if __name__ == "__main__":
    main()
