#!/usr/bin/env bash
# A made-up model depends on its seed alone, and a job takes it with token ids for calibration: no
# tokenizer, no evaluation text. Usage: synthetic_model_test.sh BIN_DIR. Exits 77 (skipped) without
# jq.
set -euo pipefail

bin=$1
command -v jq >/dev/null || { echo "SKIPPED: needs jq"; exit 77; }
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" || true; }
  rm -rf "$work"
}
trap cleanup EXIT

make_model() {  # make_model FOLDER SEED THREADS
  "$bin/tern_synthetic_model" --shape=tiny --seed="$2" --threads="$3" --out="$work/$1/model" \
    --window-length=128
}
make_model one 1 1
make_model other-threads 1 7
make_model other-seed 2 1
diff -r "$work/one" "$work/other-threads"
if diff -rq "$work/one" "$work/other-seed" >/dev/null; then
  echo "FAILED: the seed changes nothing" >&2
  exit 1
fi

"$bin/tern-server" --listen=127.0.0.1:0 --metrics=127.0.0.1:0 --data="$work/data" \
  --local-workers=1 --port-file="$work/ports.json" 2>"$work/server.log" &
server=$!
until [ -s "$work/ports.json" ]; do
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done
"$bin/tern" submit "$work/one/model" --server "$(jq -r .listen "$work/ports.json")" \
  --method pt2llm --calibration "$work/one/calibration/calibration.safetensors" --samples 8 \
  --seq-len 128 --shards 1 --follow --out "$work/out" --output json >"$work/report.json" ||
  { cat "$work/server.log" >&2; exit 1; }
# Layers of a sane model lose little; those of a broken one, all or nothing.
jq -e '[.blocks[].reconstruction_error] | length == 4 and all(. > 0.01 and . < 0.3)' \
  "$work/report.json" >/dev/null || { jq .blocks "$work/report.json" >&2; exit 1; }
"$bin/tern" verify "$work/out"
