# SPDX-License-Identifier: Apache-2.0
"""Finds the specs of a repository."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagekit.errors import Problem, SpecError
from imagekit.spec.address import split
from imagekit.spec.load import load_specs
from imagekit.spec.model import ImageSpec

_NAMES = ("spec.yaml", "spec.yml")
_SUFFIXES = (".spec.yaml", ".spec.yml")
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})


def find_specs(places: Sequence[str]) -> dict[Path, ImageSpec]:
    """The specs in `places`, by their addresses: files, `FILE:NAME`, folders and glob patterns.

    Below a folder these are `spec.yaml` and whatever ends in `.spec.yaml`. Each image of a matrix
    is one. The order is that of the places, and by path within each.

    Raises:
        SpecError: lists everything that is wrong in any of them; or a place has no spec.
    """
    found: dict[Path, ImageSpec] = {}
    problems: list[Problem] = []
    errors: list[SpecError] = []
    for place in places:
        addresses = list(_addresses(place))
        if not addresses:
            hint = f"below a folder {', '.join(_NAMES)} and *{_SUFFIXES[0]} are looked for"
            problems.append(Problem(f"{place}: no spec is there", None, hint))
        for address in addresses:
            try:
                found.update(load_specs(address))
            except SpecError as error:
                errors.append(error)
                problems += [Problem(line) for line in error.message.splitlines()]
    if len(errors) == 1 and len(errors[0].message.splitlines()) == len(problems):
        raise errors[0]
    if problems:
        raise SpecError("specs", problems)
    return found


def _addresses(place: str) -> Iterator[Path]:
    path = Path(place)
    if path.is_dir():
        yield from sorted(_below(path))
    elif split(path)[0].is_file():
        yield path
    else:
        for match in sorted(glob.glob(place, recursive=True)):
            yield from _addresses(match)


def _below(folder: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in _SKIPPED and each[0] != "."]
        for name in names:
            if name in _NAMES or name.endswith(_SUFFIXES):
                yield Path(directory, name)
