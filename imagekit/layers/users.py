# SPDX-License-Identifier: Apache-2.0
"""User `task` (1000, group 0) on a base that has no user 1000."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter

_LINE = "task:x:1000:0:task:/root:/bin/sh\n"


def write_user(writer: LayerWriter, passwd: str) -> None:
    """Write the base's `passwd` with the user added, and make the home writable for it.

    A clash of names is left to stand: uid 1000 is what counts, and the first line of a name wins.
    """
    writer.file("etc/passwd", passwd_with_task(passwd))
    writer.directory("root", mode=0o775, uid=1000, gid=0)


def passwd_with_task(passwd: str) -> bytes:
    if passwd and not passwd.endswith("\n"):
        passwd += "\n"
    return (passwd + _LINE).encode()
