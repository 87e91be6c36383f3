#!/usr/bin/env bash
# Tests sweeps on a real Slurm of one node, which it starts before and stops after: run.sh [ARGUMENTS OF THE TESTS...]
#
# Needs root, or sudo without a password; the tests run as whoever calls it. Exits with the tests' status.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root=(); [ "$(id -u)" = 0 ] || root=(sudo)

folder="$(mktemp -d)"
finish() {
  status=$?
  if [ "$status" != 0 ]; then
    echo "run.sh: the last lines of Slurm's logs:" >&2
    tail -n 20 "$folder"/slurm*.log >&2 || true
  fi
  "${root[@]}" bash "$here/stop.sh" "$folder" || true
  "${root[@]}" rm -rf "$folder"
  exit "$status"
}
trap finish EXIT
# Few tasks in an array, so that a small sweep needs several.
SLURM_CONF="$("${root[@]}" bash "$here/start.sh" "$folder" MaxArraySize=4)"
export SLURM_CONF
echo "run.sh: $(sinfo --version), configured by $SLURM_CONF" >&2
cd "$here/../.."
cargo test --test slurm -- --ignored --test-threads=1 "$@"
