#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz preset and runs every *_fuzz.cc for SECONDS (default 30) from its seeds in corpus/NAME. Fails on any
# finding, whose input is left in build/fuzz/findings, and when the canary finds nothing. FUZZ_ONLY="a b" picks targets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-30}
build=${FUZZ_BUILD:-build/fuzz}
findings=$build/findings
jobs=$(nproc)

cmake --preset fuzz -B "$build" >/dev/null
names=()
for source in tests/fuzz/*_fuzz.cc; do
  name=$(basename "$source" _fuzz.cc)
  [[ -z ${FUZZ_ONLY:-} || " $FUZZ_ONLY canary " == *" $name "* ]] && names+=("$name")
done
nice ninja -C "$build" -j "$jobs" --quiet "${names[@]/%/_fuzz}"
rm -rf "$findings"
mkdir -p "$findings"

# New inputs are kept in the build folder between runs; seeds are never written to.
run_one() {  # NAME SECONDS
  local name=$1 grown=$build/grown/$1 log=$findings/$1.log
  mkdir -p "$grown"
  local corpus=("$grown")
  [[ -d tests/fuzz/corpus/$name ]] && corpus+=("tests/fuzz/corpus/$name")
  if "$build/tests/fuzz/${name}_fuzz" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 \
      -max_len=8192 -print_final_stats=1 -artifact_prefix="$findings/$name-" "${corpus[@]}" >"$log" 2>&1; then
    printf '%-20s %s runs, %s in the corpus\n' "$name" \
      "$(awk '/stat::number_of_executed_units/ {print $2}' "$log")" "$(find "${corpus[@]}" -type f | wc -l)"
    return 0
  fi
  return 1
}
export -f run_one
export build findings

fail=0
for name in "${names[@]}"; do [[ $name == canary ]] || printf '%s\n' "$name"; done |
  xargs -P "$jobs" -I{} bash -c 'run_one {} '"$seconds"' || { echo "{}: FAILED"; tail -n 60 "$findings/{}.log"; exit 1; }' \
  || fail=1

rm -rf "$build/grown/canary"
if run_one canary 60 >/dev/null; then
  echo "canary: found nothing in 60 s, so the findings of the others prove nothing"
  fail=1
elif ! grep -q 'AddressSanitizer: heap-buffer-overflow' "$findings/canary.log"; then
  echo "canary: ended for another reason:"
  tail -n 20 "$findings/canary.log"
  fail=1
else
  rm -f "$findings"/canary-*
fi
exit "$fail"
