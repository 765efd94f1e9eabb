# SPDX-License-Identifier: Apache-2.0
"""Whether the wheels of an image agree about every path, with as few of them read as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, final

from imagekit.builders.known import KnownLayers
from imagekit.builders.layerings import Layering
from imagekit.fetch import cached
from imagekit.layers.cache import recipe_key
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import LockedWheel

if TYPE_CHECKING:
    from imagekit.layers.claims import Claims

_CONNECTIONS = 8


@final
class Agreement:
    """Of wheels that are not here, what they write is taken from records of their layers."""

    def __init__(self, layerings: Sequence[Layering], venv: Venv, known: KnownLayers) -> None:
        self._layerings = {recipe_key(each.recipe): each for each in layerings if each.wheels}
        self._venv = venv
        self._known = known
        self._recorded: dict[str, tuple[Claims, ...]] = {}

    def look_up(self) -> None:
        """Ask the records of layers of which a wheel is not here, side by side."""
        asked = [key for key, each in self._layerings.items() if not _all_here(each.wheels)]
        if asked and self._known.has_records:
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                found = zip(asked, pool.map(self._asked, asked), strict=True)
                self._recorded = {key: claims for key, claims in found if claims is not None}

    def needs(self, layering: Layering) -> bool:
        """Whether the wheels of a layer have to be read for it."""
        return bool(layering.wheels) and recipe_key(layering.recipe) not in self._recorded

    def check(self, file: Callable[[LockedWheel], WheelFile], others: Iterable[WheelFile]) -> None:
        """Raise BuildError where two of the wheels, and `others`, disagree; `file` fetches one."""
        from imagekit.layers.claims import claims_of  # noqa: PLC0415 - once per set of wheels
        from imagekit.layers.conflicts import refuse_conflicts  # noqa: PLC0415

        claims: list[Claims] = []
        for key, layering in self._layerings.items():
            found = self._recorded.get(key)
            claims += found or [claims_of(file(each), self._venv) for each in layering.wheels]
        refuse_conflicts([*claims, *(claims_of(each, self._venv) for each in others)])

    def encoded(self, recipe: str) -> bytes | None:
        """What the wheels of a layer write, for its record.

        Empty for a layer of something else, and None where not all of its wheels are here.
        """
        layering = self._layerings.get(recipe)
        if layering is None:
            return b""
        if not _all_here(layering.wheels):
            return None
        from imagekit.layers.claims import claims_of, encode  # noqa: PLC0415 - for new layers

        return encode(claims_of(_here(each), self._venv) for each in layering.wheels)

    def _asked(self, recipe: str) -> tuple[Claims, ...] | None:
        filenames = [wheel.filename for wheel in self._layerings[recipe].wheels]
        return self._known.claims(recipe, partial(_decoded, filenames=filenames))


def _decoded(data: bytes, *, filenames: Sequence[str]) -> tuple[Claims, ...]:
    from imagekit.layers.claims import decode  # noqa: PLC0415 - most builds know their set

    return decode(data, filenames)


def _all_here(wheels: Iterable[LockedWheel]) -> bool:
    return all(cached(wheel.sha256) for wheel in wheels)


def _here(wheel: LockedWheel) -> WheelFile:
    path = cached(wheel.sha256)
    if path is None:
        raise FileNotFoundError(wheel.filename)
    return WheelFile(path, wheel.filename, wheel.sha256)
