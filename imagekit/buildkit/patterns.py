# SPDX-License-Identifier: Apache-2.0
"""Which files of a tree a worker asks for: exclude patterns (.dockerignore) and wanted paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imagekit.buildkit.tree import Entry
from imagekit.ignoring.docker import compiled, compiled_all, covers, is_excluded


def selected(
    entries: Sequence[Entry],
    *,
    excluded: Iterable[str] = (),
    included: Iterable[str] = (),
    followed: Iterable[str] = (),
) -> tuple[Entry, ...]:
    """The entries that remain, in their order, and the folders that they stand in.

    `included` and `followed` limit the tree to what they match and all below; no `included` and
    no `followed` limit nothing.
    """
    verdicts = compiled_all(excluded)
    wanted = [compiled(text) for text in (*included, *_chased(entries, followed))]
    kept = [
        entry
        for entry in entries
        if not is_excluded(entry.path, verdicts)
        and (not wanted or any(covers(pattern, entry.path) for pattern in wanted))
    ]
    needed = {entry.path for entry in kept}
    for path in list(needed):
        while path := path.rpartition("/")[0]:
            needed.add(path)
    return tuple(entry for entry in entries if entry.path in needed)


def _chased(entries: Sequence[Entry], followed: Iterable[str]) -> list[str]:
    """The paths, and where the links among them lead."""
    links = {entry.path: entry.target for entry in entries if entry.target is not None}
    found: list[str] = []
    waiting = [path.strip("/") for path in followed]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.append(path)
        for link, target in links.items():
            if path == link or path.startswith(f"{link}/") or covers(compiled(path), link):
                waiting.append(_target(link, target))
    return ["**" if path in ("", ".") else path for path in found]


def _target(link: str, target: str) -> str:
    parts = [] if target.startswith("/") else link.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
