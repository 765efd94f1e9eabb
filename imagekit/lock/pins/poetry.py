# SPDX-License-Identifier: Apache-2.0
"""poetry.lock, of format 2.1: it says of each package which groups need it, and under what marker.

Older ones say neither, so what is wanted can't be told from what development needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from imagekit.errors import LockError
from imagekit.lock.pins.selection import Pin, Selection, hashes, no_wheel
from imagekit.spec.plain import normalised

_MAIN = "main"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pins(document: Mapping[str, Any], selection: Selection) -> dict[str, Pin]:
    """By name, each package of the main group, of the groups and of the extras that are wanted."""
    version = str(document["metadata"]["lock-version"])
    if tuple(map(int, version.split("."))) < (2, 1):
        raise LockError(
            f"{selection.source} has format {version}, which does not say what is for development",
            hint="`poetry lock` of Poetry 2 writes it anew, with the same versions",
        )
    packages = document.get("package", [])
    known = {group for package in packages for group in package["groups"]} - {_MAIN}
    selection.refuse_unknown(document.get("extras", {}), known)
    asked = _optional(document, selection)
    found: dict[str, Pin] = {}
    for package in packages:
        name = normalised(package["name"])
        if package["optional"] and name not in asked:
            continue
        if any(_fits(marker, selection) for marker in _markers(package, selection)):
            found[name] = _pin(package, name, selection)
    return found


def _markers(package: Mapping[str, Any], selection: Selection) -> Iterator[str]:
    """The marker under which each wanted group needs the package; "" for always."""
    markers = package.get("markers", "")
    for group in package["groups"]:
        if group == _MAIN or group in selection.groups:
            yield markers.get(group, "") if isinstance(markers, Mapping) else markers


def _fits(marker: str, selection: Selection) -> bool:
    return any(selection.fits(marker, extra=extra) for extra in ("", *selection.extras))


def _optional(document: Mapping[str, Any], selection: Selection) -> set[str]:
    """Optional packages that the wanted extras need, with their own dependencies."""
    packages = {normalised(each["name"]): each for each in document.get("package", [])}
    extras = document.get("extras", {})
    pending = [_required(text) for extra in selection.extras for text in extras[extra]]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found and name in packages:
            found.add(name)
            pending += [normalised(each) for each in packages[name].get("dependencies", {})]
    return found


def _required(text: str) -> str:
    matched = _NAME.match(text)
    return normalised(matched[0]) if matched else ""


def _pin(package: Mapping[str, Any], name: str, selection: Selection) -> Pin:
    source = package.get("source", {})
    kind = source.get("type", "legacy")
    if kind == "git":
        below = f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else ""
        url = f"git+{source['url']}@{source['resolved_reference']}{below}"
        return Pin(name, package["version"], frozenset(), url)
    if kind not in ("legacy", "pypi"):
        raise no_wheel(selection.source, name, f"a {kind}")
    wheels = [file for file in package["files"] if str(file["file"]).endswith(".whl")]
    held = hashes(selection.source, name, wheels or package["files"])
    return Pin(name, package["version"], held)
