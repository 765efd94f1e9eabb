# SPDX-License-Identifier: Apache-2.0
"""The order among specs that stand on each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage


def ancestors(specs: Mapping[Path, ImageSpec]) -> dict[Path, tuple[Path, ...]]:
    """By address the addresses of those among `specs` that each stands on, the nearest last.

    Raises:
        SpecError: one stands on itself, or on one that can't be read.
    """
    places = {_place(address): address for address in specs}
    found = {}
    for address, spec in specs.items():
        below = (_place(each.path) for each in lineage(spec, address)[:-1])
        found[address] = tuple(places[place] for place in below if place in places)
    return found


def stage_of(below: Collection[Path], wanted: Collection[Path]) -> int:
    """How many images have to be there before: of those below it, how many are built."""
    return sum(address in wanted for address in below)


def _place(address: Path) -> Path:
    return address.parent.resolve() / address.name
