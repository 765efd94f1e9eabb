# SPDX-License-Identifier: Apache-2.0
"""Which plugins can't share an image: known before anything is resolved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from imagekit.catalogue.model import Limit, Plugin
from imagekit.values import frozen


@frozen
class Conflict:
    """Two plugins, and what each of them asks of one package."""

    first: Plugin
    second: Plugin
    of_first: Limit
    of_second: Limit

    def __str__(self) -> str:
        return (
            f"{self.first.name} and {self.second.name} can't share an image: "
            f"{self.first.name} needs {_told(self.of_first)}, "
            f"{self.second.name} needs {_told(self.of_second)}"
        )


def conflicts(plugins: Sequence[Plugin]) -> Iterator[Conflict]:
    """Each pair that asks for versions of one package that don't meet; one reason per pair."""
    for first, second in itertools.combinations(plugins, 2):
        found = _between(first, second)
        if found is not None:
            yield found


def _between(first: Plugin, second: Plugin) -> Conflict | None:
    for one in _asked(first):
        for other in _asked(second):
            if _exclude(one.requirement, other.requirement):
                return Conflict(first, second, one, other)
    return None


def _asked(plugin: Plugin) -> list[Limit]:
    """What it limits, then what it asks for itself."""
    return [*plugin.limits, *(Limit(text, "") for text in plugin.packages)]


def _exclude(first: str, second: str) -> bool:
    one, other = Requirement(first), Requirement(second)
    if canonicalize_name(one.name) != canonicalize_name(other.name):
        return False
    return (one.specifier & other.specifier).is_unsatisfiable()


def _told(limit: Limit) -> str:
    return f"{limit.requirement} ({limit.why})" if limit.why else limit.requirement
