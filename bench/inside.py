# SPDX-License-Identifier: Apache-2.0
"""Runs inside the image, never imported: times each command in turn, round after round.

Its argument is a folder with commands.json; it leaves results.json there.
"""

import json
import os
import subprocess
import sys
import time


def main(folder: str) -> None:
    with open(f"{folder}/commands.json", encoding="utf-8") as stream:
        wanted = json.load(stream)
    results: dict[str, dict[str, list[float]]] = {
        name: {"wall ms": [], "cpu ms": []} for name in wanted["commands"]
    }
    for number in range(wanted["rounds"] + 1):
        for name, command in wanted["commands"].items():
            wall_seconds, cpu_seconds = timed(command)
            if number:  # the first round warms the page cache
                results[name]["wall ms"].append(wall_seconds)
                results[name]["cpu ms"].append(cpu_seconds)
    with open(f"{folder}/results.json", "w", encoding="utf-8") as stream:
        json.dump(results, stream)


def timed(command: "list[str]") -> "tuple[float, float]":
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[:4]} failed with {process.returncode}")
    return wall_seconds, usage.ru_utime + usage.ru_stime


main(sys.argv[1])
