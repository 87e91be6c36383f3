#!/usr/bin/env bash
# Ends the Slurm that start.sh began: stop.sh FOLDER
#
# Its jobs are cancelled. The folder is left, with its logs. Nothing runs in it: nothing is done.
set -uo pipefail

folder="$(cd "${1:?expected a folder: stop.sh FOLDER}" && pwd -P)" || exit 1
export SLURM_CONF="$folder/slurm.conf"
[ -e "$SLURM_CONF" ] || exit 0

queue() { timeout 10 squeue --noheader --format=%F 2>/dev/null | sort -u; }

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
  local tries=$(($1 * 5))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.2
  done
}

empty() { [ -z "$(queue)" ]; }
# A process number is used again some day: the program must fit too. A process that nobody waited for has none.
alive() { [[ "$(readlink "/proc/$1/exe" 2>/dev/null)" == */"$2"* ]]; }
gone() { ! alive "$@"; }

if jobs="$(queue)" && [ -n "$jobs" ]; then
  # shellcheck disable=SC2086  # several jobs
  timeout 10 scancel $jobs
  within 15 empty || echo "stop.sh: jobs are still in the queue" >&2
fi
for daemon in slurmd slurmctld munge/munged; do
  name="$(basename "$daemon")"
  pid="$(cat "$folder/$daemon.pid" 2>/dev/null)" || continue
  alive "$pid" "$name" || continue
  kill "$pid"
  within 15 gone "$pid" "$name" || kill -KILL "$pid"
done
