# SPDX-License-Identifier: Apache-2.0
"""Files of an object store, listed and fetched by the entrypoint, each whole or not at all.

What came in an earlier attempt stays if the store still has that version of it, or if the lock has
its size; the lock is checked when all are there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..errors import FilesError
from ..files import is_safe_path
from .delegate import command
from .download import Progress
from .remote import Remote, wanted
from .room import check_room

_AT_ONCE = 4
_SCRATCH, _VERSIONS = ".scratch", ".versions.json"


def fetch_objects(
    source: str,
    folder: str,
    description: Mapping[str, Any],
    environment: Mapping[str, str],
    until: float,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Bring what the lock or the patterns want into the folder; gives the sha256 of each.

    A file of the lock that the store no longer has is left out. Raises FilesError.
    """
    lock = description.get("lock")
    scratch = os.path.join(folder, _SCRATCH)
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    settings = {**environment, "TMPDIR": scratch}
    entries = _wanted(_listed(source, settings, until), description)
    if not entries and lock is None:
        raise FilesError(f"{source} has no file that is wanted")
    there = _kept(folder, entries, lock)
    _remove_others(folder, there)
    notes = os.path.join(folder, _VERSIONS)
    with open(notes, "w") as file:
        json.dump(entries, file)
    total = sum(each["size_bytes"] for each in entries.values())
    check_room(total, folder, description.get("room_bytes"))
    progress = Progress(say, total)

    def fetch(path: str, entry: Mapping[str, Any]) -> None:
        if path not in there:
            target = os.path.join(folder, path)
            _run(("fetch", entry["uri"], target), entry["uri"], settings, until)
        progress.add(entry["size_bytes"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        work = [pool.submit(fetch, *pair) for pair in entries.items()]
    for each in work:
        each.result()
    shutil.rmtree(scratch)
    os.unlink(notes)
    return {
        path: Remote(path=path, url="").check(os.path.join(folder, path))
        for path in sorted({*entries, *there})
    }


def _listed(source: str, environment: Mapping[str, str], until: float) -> list[dict[str, Any]]:
    output = _run(("list", source), source, environment, until)
    entries: list[dict[str, Any]] = json.loads(output)
    for each in entries:
        if not is_safe_path(each["path"]):
            raise FilesError(f"the object {each['path']!r:.200} has no name that a file can have")
    return entries


def _wanted(
    entries: Sequence[dict[str, Any]], description: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The entries by their paths. A lock was made with the patterns, and stands for them."""
    lock, include = description.get("lock"), description.get("include", ())
    pins = {each["path"] for each in lock["files"]} if lock else None
    return {
        each["path"]: each
        for each in entries
        if (wanted(each["path"], include) if pins is None else each["path"] in pins)
    }


def _kept(
    folder: str, entries: Mapping[str, dict[str, Any]], lock: Mapping[str, Any] | None
) -> set[str]:
    """The paths of what an earlier attempt left and need not come again."""
    if lock is not None:
        sizes = {each["path"]: each["size_bytes"] for each in lock["files"]}
    else:
        before: dict[str, Any] = {}
        with suppress(OSError, ValueError), open(os.path.join(folder, _VERSIONS)) as notes:
            before = json.load(notes)
        sizes = {
            path: entry["size_bytes"]
            for path, entry in entries.items()
            if entry["version"] and before.get(path) == entry
        }
    found = set()
    for path, size in sizes.items():
        with suppress(OSError):
            if os.path.getsize(os.path.join(folder, path)) == size:
                found.add(path)
    return found


def _remove_others(folder: str, kept: set[str]) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.relpath(path, folder) not in kept:
                os.unlink(path)


def _run(words: Sequence[str], uri: str, environment: Mapping[str, str], until: float) -> bytes:
    """What the entrypoint prints; what it has to complain of goes to our log."""
    left = max(1.0, until - time.monotonic())
    try:
        done = subprocess.run(
            command(*words), env=environment, check=False, timeout=left, stdout=subprocess.PIPE
        )
    except subprocess.TimeoutExpired:
        raise FilesError(f"{uri} did not come in its time") from None
    if done.returncode:
        raise FilesError(f"{uri} could not be fetched: see the lines above")
    return done.stdout
