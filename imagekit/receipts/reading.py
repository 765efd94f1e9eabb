# SPDX-License-Identifier: Apache-2.0
"""What was read, as texts that differ when it may have changed.

Of a file that is its status, as the system notes it: nobody can set back the time of a change.
"""

from __future__ import annotations

import hashlib
import os

ABSENT = "absent"
CONTENT = "sha256:"


def file_state(path: str) -> str:
    """Kind, mode, size, times and inode of what `path` leads to, or that there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return ABSENT
    numbers = (
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    )
    return " ".join(map(str, numbers))


def content_state(data: bytes) -> str:
    """A digest of what a file holds, for those whose times say too little."""
    return CONTENT + hashlib.sha256(data).hexdigest()


def folder_state(path: str) -> str:
    """A digest of the names in a folder, of their kinds, and of where links lead."""
    lines = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    lines.append(f"{entry.name}\0link\0{os.readlink(entry.path)}")
                else:
                    lines.append(f"{entry.name}\0{'folder' if entry.is_dir() else 'file'}")
    except OSError:
        return ABSENT
    encoded = "\0\0".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(encoded).hexdigest()


def unchanged(path: str, state: str) -> bool:
    """Whether the file at `path` is as `state` says; raises OSError."""
    if not state.startswith(CONTENT):
        return state == file_state(path)
    with open(path, "rb") as stream:
        return state == content_state(stream.read())
