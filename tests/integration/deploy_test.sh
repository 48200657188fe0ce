#!/usr/bin/env bash
# The Kustomize base renders and holds what it says; the scrape configuration is valid.
# Usage: deploy_test.sh SOURCE_DIR. Exits 77 (skipped) without kubectl or promtool.
set -euo pipefail

source=$1
for tool in kubectl promtool; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: needs $tool"; exit 77; }
done

rendered=$(kubectl kustomize "$source/deploy/kubernetes/base")
expect() {
  grep -qE -- "$1" <<<"$rendered" || { echo "FAILED: the rendered base has no match for: $1" >&2; exit 1; }
}
expect '^kind: StatefulSet$'
expect '^kind: Deployment$'
expect '^kind: PersistentVolumeClaim$'
expect 'image: tern:[0-9]+\.[0-9]+\.[0-9]+$'
expect 'volumeClaimTemplates:'
expect '^ +grpc:$'
expect 'memory: 512Mi'
# Workers drain for as long as their pods may, but for what it takes to give a task back.
expect 'terminationGracePeriodSeconds: 300$'
expect '--drain-timeout=285s$'
[ "$(grep -c '^kind: Service$' <<<"$rendered")" -eq 2 ]

# Debian builds promtool without Kubernetes discovery, so kubernetes.yml is only read by clusters.
promtool check config "$source/deploy/prometheus/prometheus.yml"
echo "the base renders, the scrape configuration is valid"
