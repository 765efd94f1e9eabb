# SPDX-License-Identifier: Apache-2.0
"""Wheels that are built from source, in a lock: PEP 751's own tables say from what.

Other tools build them from there; the wheel that it came to here stands in `[packages.tool]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from imagekit.lock.model import BuiltFrom, LockedWheel
from imagekit.lock.reading import SHA256, MalformedError, matching, take

_KINDS: tuple[Literal["sdist", "archive", "directory", "vcs"], ...] = (
    "sdist",
    "archive",
    "directory",
    "vcs",
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TREE = re.compile(r"sha256:[0-9a-f]{64}")


def entry_of(wheel: LockedWheel, built: BuiltFrom, marker: Mapping[str, str]) -> dict[str, Any]:
    """The `[[packages]]` entry of a wheel that is built."""
    entry: dict[str, Any] = {"name": wheel.name}
    if built.kind != "directory":  # whose version may change with it
        entry["version"] = wheel.version
    entry |= {**marker, built.kind: _table(built)}
    ours: dict[str, Any] = {"name": wheel.filename}
    if wheel.size_bytes is not None:
        ours["size"] = wheel.size_bytes
    ours["hashes"] = {"sha256": wheel.sha256}
    own: dict[str, Any] = {"wheel": ours, "build-requires": list(built.requires)}
    if built.kind == "directory":
        own["tree"] = built.digest
    return entry | {"tool": {"imagekit": own}}


def built_from(package: Mapping[str, Any]) -> BuiltFrom | None:
    """What an entry says that its wheel is built from; None for a wheel of an index.

    Raises:
        MalformedError: it is not as we write it.
    """
    kind = next((each for each in _KINDS if each in package), None)
    if kind is None:
        return None
    table = take(package, kind, dict)
    own = _own(package)
    location = take(table, "url" if "url" in table else "path", str)
    requires = take(own, "build-requires", list)
    if not all(isinstance(each, str) for each in requires):
        raise MalformedError("build-requires is not as it should be")
    return BuiltFrom(
        kind,
        location,
        _digest(kind, table, own),
        take(table, "requested-revision", str) if "requested-revision" in table else "",
        take(table, "subdirectory", str) if "subdirectory" in table else "",
        tuple(requires),
    )


def wheel_of(package: Mapping[str, Any]) -> Mapping[str, Any]:
    """The wheel that the source came to: name, size and hashes."""
    return take(_own(package), "wheel", dict)


def _own(package: Mapping[str, Any]) -> Mapping[str, Any]:
    return take(take(package, "tool", dict), "imagekit", dict)


def _table(built: BuiltFrom) -> dict[str, Any]:
    table: dict[str, Any] = {}
    if built.kind == "sdist":
        table["name"] = PurePosixPath(unquote(urlsplit(built.location).path)).name
    if built.kind == "vcs":
        table["type"] = "git"
    table["url" if "://" in built.location else "path"] = built.location
    if built.kind == "vcs":
        if built.revision:
            table["requested-revision"] = built.revision
        table["commit-id"] = built.digest
    elif built.kind != "directory":
        table["hashes"] = {"sha256": built.digest}
    if built.subdirectory:
        table["subdirectory"] = built.subdirectory
    return table


def _digest(kind: str, table: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    if kind == "vcs":
        return matching(table, "commit-id", _COMMIT)
    if kind == "directory":
        return matching(own, "tree", _TREE)
    return matching(take(table, "hashes", dict), "sha256", SHA256)
