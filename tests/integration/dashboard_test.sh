#!/usr/bin/env bash
# A real Prometheus scrapes a real server and its workers while they run a job; then every
# expression of the Grafana dashboard must be valid, and those named below must have data.
# Usage: dashboard_test.sh BIN_DIR SOURCE_DIR. Exits 77 (skipped) without prometheus, curl or jq.
set -euo pipefail

bin=$1
source=$2
for tool in prometheus curl jq; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: needs $tool"; exit 77; }
done

work=$(mktemp -d)
pids=()
cleanup() {
  kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

wait_for() {  # wait_for DESCRIPTION COMMAND...
  local what=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  echo "gave up waiting for $what" >&2
  return 1
}

"$bin/tern-server" --listen=127.0.0.1:0 --metrics=127.0.0.1:0 --data="$work/data" \
  --local-workers=2 --local-worker-metrics-base=19465 --port-file="$work/ports.json" \
  2>"$work/server.log" &
pids+=($!)
wait_for "the server" test -s "$work/ports.json"
server=$(jq -r .listen "$work/ports.json")
metrics=$(jq -r .metrics "$work/ports.json")
wait_for "both workers" sh -c \
  "'$bin/tern' workers list --server '$server' --output json | jq -e '.workers | length == 2'"

cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: tern-server
    static_configs: [{targets: ["$metrics"]}]
  - job_name: tern-worker
    static_configs: [{targets: ["127.0.0.1:19465", "127.0.0.1:19466"]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address=127.0.0.1:19090 >"$work/prometheus.log" 2>&1 &
pids+=($!)
wait_for "Prometheus" curl -sf http://127.0.0.1:19090/-/ready

"$bin/tern" submit "$source/tests/data/demo-llama" --server "$server" --method pt2llm \
  --calibration "$source/tests/data/sampled.txt" --samples 64 --seq-len 256 --seed 1 \
  --eval "$source/tests/data/sampled.txt" --eval-window 256 --eval-windows 32 \
  --follow --out "$work/out" --output json >/dev/null 2>"$work/submit.log" ||
  { cat "$work/submit.log" "$work/server.log" >&2; exit 1; }

query() {
  curl -sf --data-urlencode "query=$1" http://127.0.0.1:19090/api/v1/query
}
has_data() {
  query "$1" | jq -e '.status == "success" and (.data.result | length > 0)' >/dev/null
}
wait_for "the end of the job to be scraped" has_data 'tern_jobs{state="SUCCEEDED"} == 1'
wait_for "both workers' metrics" has_data 'count(tern_worker_busy) == 2'

# Every stage that workers report has a name of its own.
if has_data 'tern_block_seconds_count{stage="other"}'; then
  echo "FAILED: workers report stages of a block that the server does not know" >&2
  exit 1
fi
for stage in load forward moments factorize fit compensate measure upload; do
  has_data "tern_block_seconds_count{stage=\"$stage\"} > 0" ||
    { echo "FAILED: no block spent time in the stage $stage" >&2; exit 1; }
done

# Valid and without data is right for what did not happen: failed attempts, RPC errors. A rate
# needs two scrapes of its series, and a short job's series appear when it ends: hence the waiting.
may_be_empty='outcome!="succeeded"|code!~"OK'
failures=0
checked=0
while IFS= read -r expression; do
  expression=${expression//\$__rate_interval/2m}
  checked=$((checked + 1))
  if ! query "$expression" >/dev/null; then
    echo "FAILED: not a valid expression: $expression" >&2
    failures=$((failures + 1))
  elif ! [[ $expression =~ $may_be_empty ]] &&
    ! wait_for "data for: $expression" has_data "$expression"; then
    failures=$((failures + 1))
  fi
done < <(jq -r '.panels[].targets[]?.expr' "$source/deploy/grafana/tern-overview.json")

[ "$checked" -ge 15 ] || { echo "FAILED: found only $checked expressions" >&2; exit 1; }
echo "$checked expressions checked, $failures failed"
[ "$failures" -eq 0 ]
