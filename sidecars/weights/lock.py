# SPDX-License-Identifier: Apache-2.0
"""A lock of model files: the exact source, and each file with its size and sha256.

What the source says of its files is taken from it; the others are fetched once, to be hashed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import FilesError
from .bring import bring
from .remote import Remote, wanted
from .sources import OBJECTS, listing_of

VERSION = 1


def lock_files(
    source: str,
    include: Sequence[str],
    scratch: str,
    environment: Mapping[str, str],
    until: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The lock as JSON has it. `scratch` is an empty folder for what has to be fetched.

    Raises FilesError, or OSError of the disk.
    """
    exact, known, unknown = source, {}, ["*"]
    if source.partition("://")[0] not in OBJECTS:
        listing = listing_of(source, environment, until)
        exact, known, unknown = listing.exact, *_sorted_out(listing.files, include)
    if unknown:
        into = os.path.join(scratch, "files")
        description: dict[str, Any] = {"source": exact, "include": list(include)}
        if known:
            description["include"] = unknown
        found = bring(description, into, environment, until, say)
        for path, sha256 in found.items():
            if path in known or not wanted(path, include):
                continue
            known[path] = (os.path.getsize(os.path.join(into, path)), sha256)
    if not known:
        raise FilesError(f"{source.partition('?')[0]} has no file that is wanted")
    files = [
        {"path": path, "size_bytes": size, "sha256": sha256}
        for path, (size, sha256) in sorted(known.items())
    ]
    return {"lock_version": VERSION, "asked": source, "source": exact, "files": files}


def _sorted_out(
    remotes: Sequence[Remote], include: Sequence[str]
) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """What is known of the wanted files, and patterns of those of which too little is."""
    known: dict[str, tuple[int, str]] = {}
    unknown = []
    for remote in remotes:
        if remote.is_tar:
            if remote.holds is None:
                return {}, ["*"]
            if wanted(remote.holds[0], include):
                known[remote.holds[0]] = remote.holds[1:]
        elif not wanted(remote.path, include):
            continue
        elif remote.size_bytes is None or remote.sha256 is None:
            unknown.append(_pattern_of(remote.path))
        else:
            known[remote.path] = (remote.size_bytes, remote.sha256)
    return known, unknown


def _pattern_of(path: str) -> str:
    """One that only this path fits."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
