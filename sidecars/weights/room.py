# SPDX-License-Identifier: Apache-2.0
"""Whether there is room for files, asked before the first byte of them comes."""

from __future__ import annotations

import os
import shutil

from ..errors import FilesError
from ..quantity import format_bytes

_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are


def check_room(total_bytes: int, folder: str, room_bytes: int | None) -> None:
    """Raises FilesError where the volume's limit, or its disk, is smaller than what is to come."""
    if room_bytes is not None and total_bytes > room_bytes:
        raise FilesError(
            f"the files have {format_bytes(total_bytes)}, and their volume has room for"
            f" {format_bytes(room_bytes)}",
            hint="`weights` of the sidecar says how much room is made",
        )
    disk = shutil.disk_usage(folder)
    missing = total_bytes - bytes_in(folder)
    if disk.total and missing > disk.free:
        raise FilesError(
            f"{format_bytes(missing)} of files are to come, and {format_bytes(disk.free)} are free"
        )


def bytes_in(folder: str) -> int:
    """In blocks that are there: files under way are as long as they will be."""
    return _BLOCK_BYTES * sum(
        os.stat(os.path.join(parent, name)).st_blocks
        for parent, _, names in os.walk(folder)
        for name in names
    )
