# SPDX-License-Identifier: Apache-2.0
"""Mounted as tasks.py into containers; `entrypoint` is a module of the user's own beside it."""

import os
import subprocess
import sys
import time

import entrypoint
import imagekit


def started() -> None:
    sys.stdout.write("started\n")


def add(x: int) -> int:
    return int(entrypoint.mine(x))  # type: ignore[attr-defined]


def kept(x: int) -> imagekit.File:
    """A file of the working directory, which may be the only place that can be written to."""
    path = os.path.join(os.environ.get("KEEP_IN", "."), "kept.txt")
    with open(path, "w") as file:
        file.write(str(x))
    return imagekit.File(path)


def sleeps(x: int) -> int:
    started()
    time.sleep(120)
    return x


def stuck(x: int) -> int:
    """In C code, where Python's signal handlers don't run."""
    started()
    return sum(range(10**13))


def daemons(x: int) -> int:
    """Fifty grandchildren that outlive their parents, and a child whose exit code is the task's."""
    script = "for i in $(seq 50); do (sleep 0.2 &) ; done"
    subprocess.run(["sh", "-c", script], check=True)
    code = subprocess.run(["sh", "-c", "sleep 0.5; exit 7"], check=False).returncode
    states = []
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{each}/stat") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        except OSError:
            continue
    return code * 1000 + states.count("Z")


def chatty(x: int) -> int:
    for number in range(20000):
        sys.stdout.write(f"line {number}\n")
    sys.stdout.write("the last words, without a newline")
    time.sleep(120)
    return x


def hungry(x: int) -> int:
    started()
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 20)))


def raises(x: int) -> int:
    raise ValueError(x)
