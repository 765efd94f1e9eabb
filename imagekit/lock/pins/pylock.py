# SPDX-License-Identifier: Apache-2.0
"""pylock.toml (PEP 751): packages whose marker holds, with the extras and groups that are wanted.

Its default groups are taken as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagekit.errors import LockError
from imagekit.lock.pins.selection import Pin, Selection, held_to, no_wheel

_ELSEWHERE = {"directory": "a folder", "archive": "an archive"}


def pins(document: Mapping[str, Any], selection: Selection) -> dict[str, Pin]:
    """By name, each package of the lock that is for the target."""
    if not str(document.get("lock-version", "")).startswith("1."):
        raise LockError(f"{selection.source} has no lock-version 1.x")
    selection.refuse_unknown(document.get("extras", ()), document.get("dependency-groups", ()))
    chosen = {
        "extras": set(selection.extras),
        "dependency_groups": {*selection.groups, *document.get("default-groups", ())},
    }
    found: dict[str, Pin] = {}
    for package in document.get("packages", []):
        name = package["name"]
        if not selection.fits(package.get("marker"), **chosen):
            continue
        if name in found:
            raise LockError(f"{selection.source} has two versions of {name} for the target")
        for key, what in _ELSEWHERE.items():
            if key in package:
                raise no_wheel(selection.source, name, what)
        found[name] = _pin(package, name, selection)
    return found


def _pin(package: Mapping[str, Any], name: str, selection: Selection) -> Pin:
    if "vcs" in package:
        vcs = package["vcs"]
        if vcs["type"] != "git" or "url" not in vcs:
            raise no_wheel(selection.source, name, f"{vcs['type']} or a path")
        below = f"#subdirectory={vcs['subdirectory']}" if "subdirectory" in vcs else ""
        url = f"git+{vcs['url']}@{vcs['commit-id']}{below}"
        return Pin(name, package.get("version", ""), frozenset(), url)
    files = package.get("wheels") or [package["sdist"]]
    listed = [pair for file in files for pair in file["hashes"].items()]
    return Pin(name, package["version"], held_to(selection.source, name, listed))
