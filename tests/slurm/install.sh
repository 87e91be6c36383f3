#!/usr/bin/env bash
# Installs what start.sh needs from Debian's packages, if it is absent. Needs root.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

missing=()
command -v munged >/dev/null || missing+=(munge)
command -v slurmctld >/dev/null || missing+=(slurmctld)
command -v slurmd >/dev/null || missing+=(slurmd)
command -v sbatch >/dev/null || missing+=(slurm-client)
[ "${#missing[@]}" -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "install.sh: ${missing[*]} are absent, and there is no apt-get to install them" >&2
  exit 1
fi
apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
