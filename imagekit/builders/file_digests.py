# SPDX-License-Identifier: Apache-2.0
"""Digests of large files that builds send again and again, found once as long as they stay.

What is kept is named after all that changes with a file; nobody can set back the time at which the
system noted a change.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from imagekit.files import replacing, sha256_of
from imagekit.paths import cache_directory
from imagekit.usage import used

_SETTLED_NS = 2_000_000_000
_LENGTH = 64


def remembered_sha256(path: Path) -> str:
    """In hexadecimal, of the file's content; read again when anything of the file has changed."""
    # Opened, so that the receipt of a build (imagekit.receipts) stands on the file.
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
    if status.st_ctime_ns > time.time_ns() - _SETTLED_NS:
        return sha256_of(path)  # another change might bear the same time
    state = f"{path} {status.st_dev} {status.st_ino} {status.st_size} {status.st_ctime_ns}"
    key = hashlib.sha256(os.fsencode(state)).hexdigest()
    memo = cache_directory() / "digests" / key
    if used(memo) and len(found := memo.read_text(encoding="ascii", errors="replace")) == _LENGTH:
        return found
    found = sha256_of(path)
    with replacing(memo) as stream:
        stream.write(found.encode())
    return found
