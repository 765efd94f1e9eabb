# SPDX-License-Identifier: Apache-2.0
"""Requirements files with wheels where source stood, for a resolver that builds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from imagekit.spec.requirements_file import INCLUDE, RequirementsFile, without_hashes
from imagekit.spec.source import Source, find_source


def rewritten(
    found: RequirementsFile, first: Path, wheel_for: Callable[[Source], str], into: Path
) -> Path:
    """The file to resolve: `first` itself where it names no source, else a copy of it in `into`.

    Args:
        found: what `first` holds, with all that it includes.
        first: its path.
        wheel_for: gives the requirement that takes the place of one.
        into: a folder for copies.
    """
    if not any(_source(line) for _, lines in found.contents for line in lines):
        return first
    names = {name: f"{number}.txt" for number, (name, _) in enumerate(found.contents)}
    for name, lines in found.contents:
        copied = [_line(line, name, first.parent, names, wheel_for) for line in lines]
        (into / names[name]).write_text("\n".join([*copied, ""]), encoding="utf-8")
    return into / names[first.name]


def _source(line: str) -> Source | None:
    return None if line.startswith("-") else find_source(without_hashes(line))


def _line(
    line: str, name: str, root: Path, names: dict[str, str], wheel_for: Callable[[Source], str]
) -> str:
    include = INCLUDE.fullmatch(line)
    if include is not None:
        path = (root / name).parent / include[1].strip()
        option = "-c" if line.startswith(("-c", "--constraint")) else "-r"
        return f"{option} {names[Path(os.path.relpath(path, root)).as_posix()]}"
    source = _source(line)
    return line if source is None else wheel_for(source)
