# SPDX-License-Identifier: Apache-2.0
"""Which files of a tree a worker asks for: exclude patterns (.dockerignore) and wanted paths.

Patterns are those of https://docs.docker.com/build/concepts/context/#dockerignore-files: `*`, `?`
and `[...]` stay within a name, `**` crosses folders, `!` takes back, the last one that matches
decides, and a folder's verdict is that of all in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from imagekit.buildkit.tree import Entry

_TOKEN = re.compile(r"\*\*/?|\*|\?|\[(?:\\.|[^\]\\])+\]|\\.|.", re.DOTALL)


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
    verdicts = [(text.startswith("!"), _compiled(text.removeprefix("!"))) for text in excluded]
    wanted = [_compiled(text) for text in (*included, *_chased(entries, followed))]
    kept = [
        entry
        for entry in entries
        if not _is_excluded(entry.path, verdicts)
        and (not wanted or any(_covers(pattern, entry.path) for pattern in wanted))
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
            if path == link or path.startswith(f"{link}/") or _covers(_compiled(path), link):
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


def _is_excluded(path: str, verdicts: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    excluded = False
    for takes_back, pattern in verdicts:
        if excluded == takes_back and _covers(pattern, path):
            excluded = not takes_back
    return excluded


def _covers(pattern: re.Pattern[str], path: str) -> bool:
    """Whether the pattern matches the path or a folder that it is in."""
    while path:
        if pattern.fullmatch(path):
            return True
        path = path.rpartition("/")[0]
    return False


def _compiled(text: str) -> re.Pattern[str]:
    parts = []
    for part in _TOKEN.findall(_cleaned(text)):
        if part.startswith("**"):
            parts.append("(?:.*/)?" if part.endswith("/") else ".*")
        elif part == "*":
            parts.append("[^/]*")
        elif part == "?":
            parts.append("[^/]")
        elif len(part) > 1 and part[0] == "[":
            parts.append(part)
        else:
            parts.append(re.escape(part[-1]))
    return re.compile("".join(parts), re.DOTALL)


def _cleaned(text: str) -> str:
    parts: list[str] = []
    for part in text.strip().split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts)
