# SPDX-License-Identifier: Apache-2.0
"""Who an image's USER is, by the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from imagekit.errors import EngineError
from imagekit.oci.scoped import ScopedRoot
from imagekit.values import frozen


@frozen
class Identity:
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_identity(root: Path, user: str) -> Identity:
    """Read `user` as image-spec, config.md has it: `USER`, `UID`, each with `:GROUP` or `:GID`.

    Raises EngineError for a name that the image does not know.
    """
    with contextlib.closing(ScopedRoot(root)) as scoped:
        accounts = list(_lines(scoped, "etc/passwd", 7))
        groups = list(_lines(scoped, "etc/group", 4))
    who, _, group = user.partition(":")
    who = who or "0"
    account = next((line for line in accounts if who == line[0]), None) or next(
        (line for line in accounts if who == line[2]), None
    )
    if account is None and not who.isdecimal():
        raise EngineError(f"the image's user {who!r} is not in its /etc/passwd")
    uid = int(who) if account is None else int(account[2])
    name = "" if account is None else account[0]
    home = "/" if account is None else account[5] or "/"
    if group:
        return Identity(uid, _group_id(groups, group), (), home)
    gid = 0 if account is None else int(account[3])
    also = {int(line[2]) for line in groups if name and name in line[3].split(",")}
    return Identity(uid, gid, tuple(sorted(also | {gid})), home)


def _group_id(groups: list[list[str]], group: str) -> int:
    for line in groups:
        if group == line[0]:
            return int(line[2])
    if not group.isdecimal():
        raise EngineError(f"the image's group {group!r} is not in its /etc/group")
    return int(group)


def _lines(scoped: ScopedRoot, path: str, count: int) -> Iterator[list[str]]:
    """Well-formed lines alone: of `count` fields, the third a number."""
    for line in (scoped.read_small(path) or b"").decode(errors="replace").splitlines():
        fields = line.split(":")
        if len(fields) == count and fields[2].isdecimal() and (count == 4 or fields[3].isdecimal()):
            yield fields
