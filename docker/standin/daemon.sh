#!/bin/sh
# daemon.sh FOLDER: a Docker daemon of its own, for root on a Debian machine without systemd. Everything it has lies in FOLDER.
# daemon.sh stop FOLDER: ends it; its images stay in FOLDER.
# BRIDGE=name,address/bits gives it a bridge of its own: two daemons on one machine must not share docker0. Containers
# on that bridge reach the network; networks that the user makes in such a daemon reach the machine alone.
# Prints DOCKER_HOST=unix://FOLDER/docker.sock, so that `export "$(daemon.sh FOLDER)"` leads the docker command there.
set -eu
exec 3>&1 1>&2    # standard output is for that one line

usage() {
    echo "usage: [BRIDGE=name,address/bits] daemon.sh FOLDER | daemon.sh stop FOLDER"
    exit 2
}

fail() {
    echo "daemon.sh: $*"
    exit 3
}

install_missing() {
    missing=
    command -v dockerd >/dev/null || missing=docker.io
    command -v umount >/dev/null || missing="$missing mount"
    [ -z "${BRIDGE:-}" ] || command -v ip >/dev/null || missing="$missing iproute2"
    [ -n "$missing" ] || return 0
    echo "daemon.sh: installing $missing ..."
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$folder/apt.log" 2>&1 \
        || { tail -n 5 "$folder/apt.log"; fail "apt-get could not install $missing; log: $folder/apt.log"; }
}

answers() {
    docker --host "$host" version >/dev/null 2>&1
}

# A pid file outlives a kill -9 or a reboot, and its number may be another process's by now, or a dead one's that nobody
# waited for: that one has no executable.
runs() {
    pid=$(cat "$2" 2>/dev/null) && [ "$(basename "$(readlink "/proc/$pid/exe" 2>/dev/null)")" = "$1" ]
}

running() {
    runs dockerd "$folder/pid"
}

wait_for() {
    seconds=$1
    shift
    for _ in $(seq $((seconds * 5))); do
        if "$@"; then return 0; fi
        sleep 0.2
    done
    return 1
}

# The rules are written here, because a daemon that writes them itself throws away those of the other daemons.
add_bridge() {
    bridge=${BRIDGE%%,*}
    address=${BRIDGE#*,}
    echo "$bridge" >"$folder/bridge"
    remove_rules
    ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
    ip address replace "$address" dev "$bridge"
    ip link set "$bridge" up
    iptables --table nat --append POSTROUTING --source "$address" ! --out-interface "$bridge" --jump MASQUERADE
    iptables --insert FORWARD --in-interface "$bridge" --jump ACCEPT
    iptables --insert FORWARD --out-interface "$bridge" --match conntrack --ctstate RELATED,ESTABLISHED --jump ACCEPT
}

remove_rules() {
    for table in nat filter; do
        iptables --table $table --list-rules | grep -E -- "-[io] $bridge( |\$)" | sed 's/^-A/-D/' | while read -r rule; do
            # shellcheck disable=SC2086  # a rule is words
            iptables --table $table $rule
        done
    done
}

remove_bridge() {
    bridge=$(cat "$folder/bridge" 2>/dev/null) || return 0
    remove_rules
    ip link delete "$bridge" 2>/dev/null || true
    rm "$folder/bridge"
}

start() {
    install_missing
    if ! answers; then
        if ! running; then
            rm -f "$folder/pid"
            runs containerd "$folder/exec/containerd/containerd.pid" || rm -f "$folder/exec/containerd/containerd.pid"
            set --
            if [ -n "${BRIDGE:-}" ]; then
                add_bridge
                set -- --bridge "$bridge" --iptables=false
            fi
            setsid nohup dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
                --host "$host" "$@" >"$folder/dockerd.log" 2>&1 </dev/null 3>&- &
        fi
        wait_for 30 answers \
            || { tail -n 5 "$folder/dockerd.log"; fail "the daemon does not answer; log: $folder/dockerd.log"; }
    fi
    echo "DOCKER_HOST=$host" >&3
}

ended() {
    ! running
}

stop() {
    if running; then
        kill "$pid"
        wait_for 60 ended || fail "the daemon, process $pid, does not end; log: $folder/dockerd.log"
    fi
    remove_bridge
    # The daemon mounts its data root onto itself, and then the folder could not be removed.
    findmnt --noheadings --raw --output TARGET | grep -F "$folder/" | sort -r | while read -r mounted; do
        umount "$mounted"
    done
}

command=start
if [ "${1:-}" = stop ]; then
    command=stop
    shift
fi
[ $# -eq 1 ] || usage
case $1 in -*) usage ;; esac
[ "$(id -u)" -eq 0 ] || fail "a daemon is started and ended by root"
[ $command = start ] || [ -d "$1" ] || fail "there is no folder $1"
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
host=unix://$folder/docker.sock
$command
