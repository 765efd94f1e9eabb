#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts and stops a Docker Engine of our own, on a private socket and data root.
#
#   .ci/services.sh start DIR   prints `export DOCKER_HOST=...` for eval, once the engine answers
#   .ci/services.sh stop DIR    stops what start began, by its process id, and removes its data
set -eu

usage() {
    echo "usage: $0 start|stop DIR" >&2
    exit 2
}

[ $# -eq 2 ] || usage
directory=$2
socket=$directory/docker.sock
pid_file=$directory/docker.pid

start() {
    mkdir -p "$directory"
    chmod 700 "$directory"
    if ! docker -H "unix://$socket" version >/dev/null 2>&1; then
        # containerd's sockets have a path limit of 107 bytes: keep DIR short.
        dockerd --host "unix://$socket" --data-root "$directory/data" \
            --exec-root "$directory/exec" --pidfile "$pid_file" \
            --bridge "${IMAGEKIT_DOCKER_BRIDGE:-none}" --iptables=false \
            >"$directory/docker.log" 2>&1 </dev/null &
        started=$!
        tries=0
        until docker -H "unix://$socket" version >/dev/null 2>&1; do
            tries=$((tries + 1))
            if [ $tries -ge 150 ] || ! kill -0 "$started" 2>/dev/null; then
                echo "$0: dockerd did not start:" >&2
                tail -n 20 "$directory/docker.log" >&2
                exit 1
            fi
            sleep 0.2
        done
    fi
    echo "export DOCKER_HOST=unix://$socket"
}

stop() {
    if [ -f "$pid_file" ]; then
        pid=$(cat "$pid_file")
        kill "$pid" 2>/dev/null || true
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ $tries -lt 150 ]; do
            tries=$((tries + 1))
            sleep 0.2
        done
    fi
    # The engine leaves the mount of its own network namespace behind.
    umount "$directory"/exec/netns/* 2>/dev/null || true
    rm -rf "$directory/data" "$directory/exec" "$socket"
}

case $1 in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
