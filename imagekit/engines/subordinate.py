# SPDX-License-Identifier: Apache-2.0
"""Root for ordinary users: a process in a user namespace that has their subordinate IDs.

The user is root in there, and every ID of the image is one of those that /etc/subuid and
/etc/subgid give to the user; newuidmap(1) and newgidmap(1) make the maps.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from imagekit.errors import BuildError, EngineError, ImagekitError
from imagekit.paths import cache_directory
from imagekit.values import frozen

_NEW_USER = 0x10000000
_SET_DEATH_SIGNAL = 1
_LEAST_IDS = 65536
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from imagekit.engines.subordinate import main; main()"
)


@frozen
class Range:
    start: int
    count: int


def find_range(table: Path, user: str, uid: int) -> Range | None:
    """The longest range of `user` in /etc/subuid or /etc/subgid, if it is long enough."""
    found = []
    for line in table.read_text().splitlines() if table.is_file() else ():
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in (user, str(uid)) and fields[1].isdecimal():
            found.append(Range(int(fields[1]), int(fields[2])))
    longest = max(found, key=lambda each: each.count, default=None)
    return longest if longest is not None and longest.count >= _LEAST_IDS else None


def lacking() -> str | None:
    """What keeps this user from being root of a namespace, or None."""
    programs = [name for name in ("newuidmap", "newgidmap") if shutil.which(name) is None]
    if programs:
        return f"no program {' and '.join(programs)} on PATH (Debian: uidmap)"
    missing = [name for name in ("subuid", "subgid") if _range(name) is None]
    if missing:
        files = " and ".join(f"/etc/{name}" for name in missing)
        return f"no {_LEAST_IDS} subordinate IDs for this user in {files}"
    return None


def call_as_root(function: str, argument: Mapping[str, Any]) -> None:
    """Call `MODULE:FUNCTION` with `argument`, which is data for JSON, as root of a namespace.

    Raises:
        ImagekitError: what the function raised, by its text, or why it could not be called.
    """
    reason = lacking()
    if reason is not None:
        raise EngineError(
            f"an ordinary user can't be root of an image here: {reason}",
            hint="build as root, or with `builder: docker`",
        )
    report, reporting = os.pipe()
    waiting, go = os.pipe()
    with os.fdopen(report, "rb") as reports, io.FileIO(go, "w") as gate:
        try:
            command = [sys.executable, "-I", "-c", _START, json.dumps(sys.path), function]
            process = subprocess.Popen(
                [*command, json.dumps(argument), str(reporting), str(waiting)],
                pass_fds=(reporting, waiting),
                stdin=subprocess.DEVNULL,
                # Root's home in there is not that of the user.
                env={**os.environ, "XDG_CACHE_HOME": str(cache_directory().parent)},
            )
        finally:
            os.close(reporting)
            os.close(waiting)
        with process:
            said = _attend(reports, gate, process.pid)
    if process.returncode:
        raise _error(said)


def main() -> None:
    """The other side; arguments: MODULE:FUNCTION, JSON, two file descriptors."""
    function, argument, report, go = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    for descriptor in (report, go):
        os.set_inheritable(descriptor, False)
    try:
        if libc.unshare(_NEW_USER):
            reason = os.strerror(ctypes.get_errno())
            raise EngineError(f"making a user namespace: {reason}")
        os.write(report, b"U")
        if os.read(go, 1) != b"M":
            os._exit(1)
        os.setgroups([])
        os.setgid(0)
        os.setuid(0)
        _function(function)(json.loads(argument))
    except (ImagekitError, OSError) as error:
        os.write(report, json.dumps([str(error), getattr(error, "hint", None)]).encode())
        sys.exit(1)


def _function(name: str) -> Callable[[Mapping[str, Any]], object]:
    module, _, attribute = name.partition(":")
    function: Callable[[Mapping[str, Any]], object] = getattr(
        importlib.import_module(module), attribute
    )
    return function


def _attend(reports: BinaryIO, gate: io.FileIO, process: int) -> bytes:
    """Give the maps when they are asked for; returns what is reported after that."""
    first = reports.read(1)
    if first != b"U":
        return first + reports.read()
    try:
        _map_ids(process)
    except BaseException:
        gate.close()
        raise
    gate.write(b"M")
    return reports.read()


def _map_ids(process: int) -> None:
    for program, table, own in (
        ("newuidmap", "subuid", os.getuid()),
        ("newgidmap", "subgid", os.getgid()),
    ):
        ids = _range(table)
        if ids is None:
            raise EngineError(f"/etc/{table} changed while it was used")
        spans = (0, own, 1, 1, ids.start, ids.count)
        answer = subprocess.run(
            [program, str(process), *map(str, spans)], capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise EngineError(f"{program}: {answer.stderr.strip()}")


def _range(table: str) -> Range | None:
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return find_range(Path("/etc") / table, user, uid)


def _error(said: bytes) -> ImagekitError:
    try:
        message, hint = json.loads(said)
    except ValueError:
        return EngineError("the process in the user namespace ended without a word")
    return BuildError(message, hint=hint)
