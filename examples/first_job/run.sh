#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end: a firmware upgrade for a group of devices, on stock clients, with the server killed in the
# middle. Usage: run.sh PATH_TO_MUSTER. Everything it makes is in a temporary folder, removed at the end.
set -euo pipefail
muster=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH=/usr/bin:$PATH  # the stock AWS CLI and Python, not another one
work=$(mktemp -d)
data=$work/data
started=$(date +%s)
pids=()

say() { printf '\033[1m== %3ds  %s\033[0m\n' "$(($(date +%s) - started))" "$*"; }
finish() {
  status=$?
  for pid in "${pids[@]}" "${tail_pid:-}" "${server:-}"; do [[ -n $pid ]] && kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [[ $status -ne 0 ]]; then
    echo "first_job FAILED; the server's last words:" >&2
    tail -n 30 "$work/server.log" >&2 || true
  fi
  rm -rf "$work"
  exit $status
}
trap finish EXIT

# "localhost" may mean either loopback address, and not every client tries both.
loopback=127.0.0.1
grep -qs '^0\{31\}1 ' /proc/net/if_inet6 && loopback=127.0.0.1,::1

start_server() {  # [FLAG...]
  "$muster" serve --data-dir "$data" --device.address "$loopback" "$@" >>"$work/server.out" 2>>"$work/server.log" &
  server=$!
  for _ in $(seq 200); do
    [[ -e $data/endpoints.json ]] && curl -fs "$("$muster" env --data-dir "$data" --raw AWS_ENDPOINT_URL)/health/ready" >/dev/null 2>&1 && return
    kill -0 "$server" 2>/dev/null || { echo "the server ended at start" >&2; return 1; }
    sleep 0.05
  done
  echo "the server did not get ready" >&2
  return 1
}

say "starting the server on a fresh data directory"
start_server --http.port 0 --device.port 0
cat "$work/server.out"

# What `muster env` prints makes the AWS CLI and the SDKs work unmodified.
eval "$("$muster" env --data-dir "$data")"
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PAGER= AWS_EC2_METADATA_DISABLED=true

say "identity: $(aws sts get-caller-identity --query Arn --output text), $(aws --version 2>&1 | cut -d' ' -f1)"

say "a policy for devices, a group, and the role that may read firmware"
cat >"$work/device-policy.json" <<'JSON'
{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"},
  {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
   "Resource": "arn:aws:iot:*:*:topic/$aws/things/${iot:Connection.Thing.ThingName}/jobs/*"},
  {"Effect": "Allow", "Action": "iot:Subscribe",
   "Resource": "arn:aws:iot:*:*:topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/jobs/*"}]}
JSON
aws iot create-policy --policy-name device --policy-document "file://$work/device-policy.json" >/dev/null
group=$(aws iot create-thing-group --thing-group-name gateways --query thingGroupArn --output text)
role=$(aws iam create-role --role-name firmware-reader --assume-role-policy-document \
  '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}]}' \
  --query Role.Arn --output text)
aws iam put-role-policy --role-name firmware-reader --policy-name read --policy-document \
  '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::firmware/gateway/*"}]}'

#        thing      device library   what it will do
devices=("gateway-1 sdk-v2 succeed"
         "gateway-2 sdk-v1 succeed"
         "gateway-3 mqtt   succeed"
         "gateway-4 sdk-v2 succeed"
         "gateway-5 mqtt   fail"
         "gateway-6 sdk-v1 reject")

say "${#devices[@]} things, each with its own certificate"
provision() {  # THING
  aws iot create-thing --thing-name "$1" >/dev/null
  aws iot add-thing-to-thing-group --thing-group-name gateways --thing-name "$1"
  local certificate
  certificate=$(aws iot create-keys-and-certificate --set-as-active --certificate-pem-outfile "$work/$1.crt" \
    --private-key-outfile "$work/$1.key" --query certificateArn --output text)
  aws iot attach-policy --policy-name device --target "$certificate"
  aws iot attach-thing-principal --thing-name "$1" --principal "$certificate"
}
provisioning=()
for device in "${devices[@]}"; do provision "${device%% *}" & provisioning+=($!); done
for pid in "${provisioning[@]}"; do wait "$pid"; done

say "firmware and job document into the object store"
head -c 3000000 /dev/urandom >"$work/2.0.0.bin"
sha256=$(sha256sum "$work/2.0.0.bin" | cut -d' ' -f1)
sed "s/SHA256/$sha256/" job.json >"$work/job.json"
aws s3 mb s3://firmware
aws s3 cp --no-progress "$work/2.0.0.bin" s3://firmware/gateway/2.0.0.bin
aws s3 cp --no-progress "$work/job.json" s3://firmware/jobs/upgrade.json

say "the devices connect to $MUSTER_MQTT_HOST:$MUSTER_MQTT_PORT by MQTT over mutual TLS"
for device in "${devices[@]}"; do
  read -r thing library behaviour <<<"$device"
  node device.mjs --thing "$thing" --library "$library" --behaviour "$behaviour" --host "$MUSTER_MQTT_HOST" \
    --port "$MUSTER_MQTT_PORT" --cert "$work/$thing.crt" --key "$work/$thing.key" --ca "$MUSTER_CA_FILE" \
    --log "$work/acknowledged.jsonl" --pace-ms "${PACE_MS:-1200}" >>"$work/devices.out" 2>&1 &
  pids+=($!)
done
touch "$work/acknowledged.jsonl" "$work/devices.out"
tail -n +1 -F "$work/devices.out" 2>/dev/null &
tail_pid=$!
for _ in $(seq 300); do [[ $(grep -c connected "$work/devices.out") -ge ${#devices[@]} ]] && break; sleep 0.1; done
[[ $(grep -c connected "$work/devices.out") -ge ${#devices[@]} ]] || { echo "not all devices connected" >&2; exit 1; }

say "create-job on the group, from the S3 document, with pre-signed URLs of 5 minutes"
aws iot create-job --job-id upgrade-2-0-0 --targets "$group" \
  --document-source https://s3.us-east-1.amazonaws.com/firmware/jobs/upgrade.json \
  --presigned-url-config "roleArn=$role,expiresInSec=300" --target-selection SNAPSHOT --query jobArn --output text

count() { grep -c "$1" "$work/acknowledged.jsonl" || true; }
for _ in $(seq 200); do [[ $(count IN_PROGRESS) -ge 8 ]] && break; sleep 0.05; done
say "kill -9 in the middle: $(count IN_PROGRESS) progress reports acknowledged so far"
kill -9 "$server"
wait "$server" 2>/dev/null || true
say "starting it again on the same data directory"
start_server --http.port "${AWS_ENDPOINT_URL##*:}" --device.port "$MUSTER_MQTT_PORT"

for pid in "${pids[@]}"; do wait "$pid"; done
pids=()
for _ in $(seq 100); do
  status=$(aws iot describe-job --job-id upgrade-2-0-0 --query job.status --output text)
  [[ $status == COMPLETED ]] && break
  sleep 0.1
done
sleep 0.2
kill "$tail_pid" 2>/dev/null || true
say "the job is $status"
aws iot describe-job --job-id upgrade-2-0-0 --query job.jobProcessDetails --output table
aws iot list-job-executions-for-job --job-id upgrade-2-0-0 --output table \
  --query 'executionSummaries[].{thing:thingArn,status:jobExecutionSummary.status,number:jobExecutionSummary.executionNumber}'

node truth.mjs upgrade-2-0-0 >"$work/truth.json"
wanted=()
for device in "${devices[@]}"; do
  read -r thing _ behaviour <<<"$device"
  case $behaviour in succeed) wanted+=("$thing=SUCCEEDED") ;; fail) wanted+=("$thing=FAILED") ;; reject) wanted+=("$thing=REJECTED") ;; esac
done
/usr/bin/python3 check.py upgrade-2-0-0 "$work/acknowledged.jsonl" "$work/truth.json" "${wanted[@]}"

say "stopping the server with SIGTERM"
kill "$server"
wait "$server"
server=
say "first_job passed"
