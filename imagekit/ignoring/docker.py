# SPDX-License-Identifier: Apache-2.0
"""Patterns of a .dockerignore, and of what a BuildKit worker asks for.

They are those of https://docs.docker.com/build/concepts/context/#dockerignore-files: `*`, `?` and
`[...]` stay within a name, `**` crosses folders, `!` takes back, the last one that matches decides,
and a folder's verdict is that of all in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import TypeAlias

_SUFFIX = re.compile(r"\*\*([^*?\[\]\\/][^*?\[\]\\]*)")
"""`**x`, without a slash between: to Docker it is whatever ends so."""
_TOKEN = re.compile(r"\*\*/?|\*|\?|\[(?:\\.|[^\]\\])+\]|\\.|.", re.DOTALL)

Verdicts: TypeAlias = tuple[tuple[bool, re.Pattern[str]], ...]
"""Of each pattern whether it takes back, and what it matches."""


def parse(text: str) -> Verdicts:
    """The patterns of a .dockerignore; lines that begin with `#` are comments."""
    lines = (line for line in text.removeprefix("\ufeff").splitlines() if not line.startswith("#"))
    cleaned = (line.strip() for line in lines)
    return compiled_all(line for line in cleaned if line not in ("", "!", "."))


def compiled_all(patterns: Iterable[str]) -> Verdicts:
    return tuple((text.startswith("!"), compiled(text.removeprefix("!"))) for text in patterns)


def is_excluded(path: str, verdicts: Verdicts, *, above: str = "") -> bool:
    """Whether a path is left out; the folder `above` it, and those it is in, are not judged."""
    excluded = False
    for takes_back, pattern in verdicts:
        if excluded == takes_back and covers(pattern, path, above=above):
            excluded = not takes_back
    return excluded


def covers(pattern: re.Pattern[str], path: str, *, above: str = "") -> bool:
    """Whether the pattern matches the path or a folder that it is in, up to `above`."""
    while len(path) > len(above):
        if pattern.fullmatch(path):
            return True
        path = path.rpartition("/")[0]
    return False


def compiled(text: str) -> re.Pattern[str]:
    """One pattern without its `!`."""
    suffix = _SUFFIX.fullmatch(_cleaned(text))
    if suffix:
        return re.compile(".*" + re.escape(suffix[1]), re.DOTALL)
    parts = []
    tokens = _TOKEN.findall(_cleaned(text))
    for number, part in enumerate(tokens, 1):
        if part.startswith("**"):
            parts.append(".*" if number == len(tokens) else "(?:.*/)?")
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
    """As Go's filepath.Clean does, without a slash in front."""
    path = posixpath.normpath(text.strip() or ".").lstrip("/")
    return "" if path == "." else path
