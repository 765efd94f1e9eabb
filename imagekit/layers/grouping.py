# SPDX-License-Identifier: Apache-2.0
"""Which wheels share a layer, and in what order layers stand.

Engines stop at 127 layers, so many wheels can't each have one. The large ones keep a layer of
their own; the small ones share groups that are chosen by name, so that a wheel which changes
moves its own layer or group alone. Large layers come first: an engine extracts again whatever
stands above a changed layer, and what is added to a spec is mostly small.

Sizes count in classes an eighth of an octave wide, so that a new version of a wheel, a little
larger or smaller, stands where the old one stood.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from imagekit.values import frozen

_GROUP_SHARE = 0.6
_GROUP_BYTES_SHARE = 0.018  # of rounded sizes, which is at most 0.02 of the true ones


@frozen
class Weighed:
    """A distribution's normalised name and the size of its wheel."""

    name: str
    size_bytes: int

    @property
    def size_class(self) -> int:
        return math.ceil(8 * math.log2(max(self.size_bytes, 1)))

    @property
    def rounded_bytes(self) -> float:
        return float(2 ** (self.size_class / 8))


def arrange(wheels: Sequence[Weighed], budget: int) -> tuple[tuple[Weighed, ...], ...]:
    """The layers, bottom first, each with its wheels in the order of writing.

    A pure function of the set of names and sizes; at most `budget` layers, which is at least 2.
    """
    ranked = sorted(wheels, key=lambda wheel: (-wheel.size_class, wheel.name))
    if len(ranked) <= budget:
        return tuple((wheel,) for wheel in ranked)
    groups = int(budget * _GROUP_SHARE)
    alone, shared = ranked[: budget - groups], ranked[budget - groups :]
    total = sum(wheel.rounded_bytes for wheel in ranked)
    packed = _pack(shared, groups, total * _GROUP_BYTES_SHARE)
    return tuple((wheel,) for wheel in alone) + packed


def _pack(
    wheels: Sequence[Weighed], groups: int, limit_bytes: float
) -> tuple[tuple[Weighed, ...], ...]:
    """Rendezvous hashing with bounded loads: each wheel's first choice that has room takes it."""
    loads = [0.0] * groups
    members: list[list[Weighed]] = [[] for _ in range(groups)]
    for wheel in wheels:
        choices = _choices(wheel.name, groups)
        fits = (group for group in choices if loads[group] + wheel.rounded_bytes <= limit_bytes)
        chosen = next(fits, min(choices, key=loads.__getitem__))
        loads[chosen] += wheel.rounded_bytes
        members[chosen].append(wheel)
    return tuple(tuple(sorted(group, key=lambda wheel: wheel.name)) for group in members if group)


def _choices(name: str, groups: int) -> list[int]:
    return sorted(
        range(groups), key=lambda group: hashlib.sha256(f"{group}:{name}".encode()).digest()
    )
