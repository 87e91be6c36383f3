#!/usr/bin/env bash
# Exports a run, and has TensorBoard's and MLflow's own Python packages read it back.
# PYTHON names a Python that has what requirements.txt names; without it, one is set up in a folder that goes again.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

if [ -z "${PYTHON:-}" ]; then
  python3 -m venv "$work/venv"
  PYTHON="$work/venv/bin/python"
  "$PYTHON" -m pip install --quiet --requirement "$here/requirements.txt"
fi

for seeds in 1 2; do
  run="$work/run-$seeds"
  cargo xtask experiment synthetic --fast --quiet --seeds "$seeds" --out "$run" --tensorboard >/dev/null
  cargo xtask export --run "$run" --tensorboard "$work/events"
  # What the run wrote at its end, and what is exported later, are the same bytes.
  diff --recursive "$run/tensorboard" "$work/events/run-$seeds"
  "$PYTHON" "$here/check_tensorboard.py" "$run" "$work/events/run-$seeds"
  "$PYTHON" "$here/check_mlflow.py" "$run" cargo xtask
done
echo "interop: TensorBoard and MLflow read what we write"
