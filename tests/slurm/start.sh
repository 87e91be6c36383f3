#!/usr/bin/env bash
# Starts a real Slurm of one node in a folder: start.sh FOLDER [KEY=VALUE...]
#
# FOLDER gets its configuration, state, sockets and logs; stop.sh FOLDER ends it. More lines of slurm.conf, such as
# MaxArraySize=5, may follow.
# It listens on 127.0.0.1 only, uses ports and a munge socket of its own, and so disturbs no Slurm that the machine has.
# Needs root; Debian's packages are installed if they are absent. Prints the path that SLURM_CONF must hold.
# A Slurm that runs in FOLDER already is left as it is.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
folder="${1:?expected a folder: start.sh FOLDER [KEY=VALUE...]}"
shift
if [ "$(id -u)" != 0 ]; then
  echo "start.sh: munged and slurmd must be started by root" >&2
  exit 1
fi
mkdir -p "$folder"
folder="$(cd "$folder" && pwd -P)"
export SLURM_CONF="$folder/slurm.conf"
# munged runs as the user munge, who must reach its socket, and takes no key below a folder that others own.
chown root: "$folder"
chmod 755 "$folder"

idle() { timeout 10 sinfo --noheader --format=%T 2>/dev/null | grep -qE '^(idle|mixed|allocated|completing)$'; }

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

if [ -e "$SLURM_CONF" ]; then
  if idle; then
    echo "$SLURM_CONF"
    exit 0
  fi
  # What is left of one that broke off.
  bash "$here/stop.sh" "$folder"
fi

bash "$here/install.sh"

mkdir -p "$folder/munge" "$folder/state" "$folder/spool"
chown munge: "$folder/munge"
chmod 755 "$folder/munge"
if [ ! -e "$folder/munge/key" ]; then
  head -c 1024 /dev/urandom >"$folder/munge/key"
  chown munge: "$folder/munge/key"
  chmod 400 "$folder/munge/key"
fi

# The first of two neighbouring ports that nobody listens on.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=26817
while listens "$port" || listens "$((port + 1))"; do port=$((port + 2)); done

host="$(hostname -s)"
# Slurm from 23.02 on looks for control groups even where nothing uses them.
version="$(slurmctld -V | sed 's/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1\2/')"
: >"$folder/cgroup.conf"
[ "$version" -lt 2302 ] || echo "CgroupPlugin=disabled" >"$folder/cgroup.conf"
cat >"$SLURM_CONF" <<CONF
ClusterName=disentangle
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
# A test does not wait for the minutes that suit a cluster.
KillWait=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
$(printf '%s\n' "$@")
CONF

fail() {
  echo "start.sh: $1; the logs lie in $folder" >&2
  tail -n 5 "$folder"/*.log "$folder"/munge/*.log >&2 || true
  bash "$here/stop.sh" "$folder" || true
  exit 1
}

runuser -u munge -- munged --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/munged.pid" --log-file="$folder/munge/munged.log" --seed-file="$folder/munge/seed" \
  >&2 || fail "munged does not start"
# Daemons must not hold the pipe that a caller reads the path from.
slurmctld -f "$SLURM_CONF" >"$folder/slurmctld.out" 2>&1 </dev/null || fail "slurmctld does not start"
slurmd -f "$SLURM_CONF" >"$folder/slurmd.out" 2>&1 </dev/null || fail "slurmd does not start"
within 30 idle || fail "the node is not idle after 30 seconds"
echo "$SLURM_CONF"
