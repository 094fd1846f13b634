#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Benchmarks of a release build on loopback: run.sh [devices|api|store|start|registry|broker|jobs|all]. Generator and server share the machine;
# read the figures as this machine's, and the ratios beside them as the result.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=/usr/bin:$PATH
build=$PWD/build/release
muster=$build/src/server/muster
what=${1:-all}
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/muster-bench-XXXXXX")  # /tmp may be memory, which flushes for nothing
server=
finish() { [[ -n $server ]] && kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"; }
trap finish EXIT

start_server() {
  "$muster" serve --data-dir "$work/data" --http.port 0 --device.port 0 --device.address 127.0.0.1 --plain_mqtt.port 0 \
    --plain_mqtt.policy '*' --log.level warn >"$work/out" 2>"$work/log" &
  server=$!
  for _ in $(seq 200); do [[ -e $work/data/endpoints.json ]] && break; sleep 0.05; done
  eval "$("$muster" env --data-dir "$work/data")"
  export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
}

bench_devices() {
  local devices=${DEVICES:-200} jobs=${JOBS:-200}
  echo "== $devices devices, start-next and update over plain MQTT, durable"
  python3 bench/provision.py "$devices" "$jobs" device
  "$build/bench/device_load" --host 127.0.0.1 --port "$MUSTER_MQTT_PLAIN_PORT" --devices "$devices" --prefix device \
    --seconds "${SECONDS_MAX:-10}" --server-pid "$server"
  curl -fs "$AWS_ENDPOINT_URL/metrics" | grep -E '^muster_store_(commits|syncs|sync_microseconds)' || true
}

bench_api() {
  echo "== API mix: signed requests over keep-alive connections"
  local common=(--port "${AWS_ENDPOINT_URL##*:}" --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY"
    --region "$AWS_DEFAULT_REGION" --server-pid "$server" --seconds 5)
  python3 bench/provision.py 1 1 api >/dev/null
  for connections in 1 16 64; do
    "$build/bench/api_load" "${common[@]}" --connections "$connections" --operation CreateThing --prefix "c$connections-"
    "$build/bench/api_load" "${common[@]}" --connections "$connections" --operation DescribeJob --job api-0
  done
  "$build/bench/api_load" "${common[@]}" --connections 64 --operation Health
}

bench_start() {
  echo "== start to serving, on a data directory in use"
  python3 - "$muster" "$work/data" <<'PY'
import json, os, subprocess, sys, time, statistics
muster, data = sys.argv[1:3]
took = []
for _ in range(5):
    ready = os.path.join(data, "endpoints.json")
    if os.path.exists(ready):
        os.unlink(ready)
    start = time.monotonic()
    p = subprocess.Popen([muster, "serve", "--data-dir", data, "--http.port", "0", "--device.port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.path.exists(ready):
        if p.poll() is not None:
            sys.exit("the server ended at start")
        time.sleep(0.002)
    took.append(time.monotonic() - start)
    p.kill()
    p.wait()
print(json.dumps({"start_ms_median": round(statistics.median(took) * 1000), "start_ms_max": round(max(took) * 1000)}))
PY
}

bench_registry() {
  local things=${THINGS:-1000000}
  echo "== $things things with 5 attributes, each in 3 groups: load, ListThings in pages of 250, size"
  "$build/bench/fleet_data" things --dir "$work" --things "$things" --attributes 5 --hierarchies 3 --groups 50
  "$build/bench/fleet_data" list --dir "$work"
  "$build/bench/fleet_data" compact --dir "$work"
}

case $what in
  store) "$build/bench/store_bench" --dir "$work/store" ;;
  shadows) "$build/bench/shadow_bench" "$work/shadows" ;;
  audit) "$build/bench/audit_bench" "$work/audit" ;;
  fleet) "$build/bench/fleet_index" memory && "$build/bench/fleet_index" store --dir "$work/fleet" ;;
  devices) start_server; bench_devices ;;
  api) start_server; bench_api ;;
  registry) bench_registry ;;
  broker) shift; /usr/bin/python3 bench/broker/brokers.py "$@" ;;
  jobs) shift; /usr/bin/python3 bench/jobs/fleet.py "$@" ;;
  start) start_server; kill -9 "$server"; wait "$server" 2>/dev/null || true; server=; bench_start ;;
  all)
    "$build/bench/store_bench" --dir "$work/store"
    start_server
    bench_devices
    bench_api
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    server=
    bench_start
    ;;
  *) echo "bench: store, shadows, audit, fleet, devices, api, start, registry, broker, jobs or all" >&2; exit 2 ;;
esac
