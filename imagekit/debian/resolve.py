# SPDX-License-Identifier: Apache-2.0
"""From names to the packages that have to be there: the closure over Depends and Pre-Depends.

The choice is a pure function of the lists: of each name the highest version that fits, of
alternatives the first that can be had, of several providers the more important, then the first
by name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence

from imagekit.debian.control import Relation
from imagekit.debian.index import Candidate, PackageIndex
from imagekit.debian.version import Version
from imagekit.errors import LockError

_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_Group = tuple[Relation, ...]


class Resolver:
    """Grows one selection; `omitted` names count as installed and never are."""

    def __init__(
        self, indexes: Sequence[PackageIndex], architecture: str, omitted: Collection[str]
    ) -> None:
        self._indexes = indexes
        self._architecture = architecture
        self._omitted = omitted
        self._selected: dict[str, Candidate] = {}

    def resolve(self, names: Iterable[str]) -> tuple[Candidate, ...]:
        """`names` and all that they need, sorted by name.

        Raises:
            LockError: something can't be had, or two of the packages exclude each other.
        """
        wanted: deque[tuple[_Group, str]] = deque(
            ((Relation(name),), "the base") for name in sorted(set(names))
        )
        while wanted:
            group, by = wanted.popleft()
            if self._satisfied(group):
                continue
            candidate = self._choose(group, by)
            clash = self._selected.get(candidate.name)
            if clash is not None:
                raise LockError(
                    f"Debian package {by} needs {text_of(group)}, but {clash.name} {clash.version} "
                    "was chosen for another"
                )
            self._selected[candidate.name] = candidate
            wanted.extend((needed, candidate.name) for needed in candidate.depends)
        self._refuse_conflicts()
        return tuple(self._selected[name] for name in sorted(self._selected))

    def _satisfied(self, group: _Group) -> bool:
        return any(
            relation.name in self._omitted
            or any(fulfils(candidate, relation) for candidate in self._selected.values())
            for relation in group
        )

    def _choose(self, group: _Group, by: str) -> Candidate:
        for relation in group:
            if relation.qualifier not in ("", "any", "native", self._architecture):
                continue
            fitting = [c for c in self._named(relation.name) if relation.allows(c.version)]
            if fitting:
                return max(fitting, key=lambda candidate: Version(candidate.version))
            providers = sorted(self._providers(relation), key=preference)
            if providers:
                return providers[0]
        raise LockError(
            f"Debian package {text_of(group)}, which {by} needs, is in none of the suites",
            hint="is one of the mirrors of another release, or being updated right now?",
        )

    def _named(self, name: str) -> Iterator[Candidate]:
        for index in self._indexes:
            yield from index.named(name)

    def _providers(self, relation: Relation) -> Iterator[Candidate]:
        """The newest version of each package that provides what `relation` asks for."""
        names = {name for index in self._indexes for name in index.providers(relation.name)}
        for name in sorted(names - set(self._omitted)):
            newest = max(self._named(name), key=lambda candidate: Version(candidate.version))
            if fulfils(newest, relation):
                yield newest

    def _refuse_conflicts(self) -> None:
        for one in self._selected.values():
            for relation in one.conflicts:
                for other in self._selected.values():
                    if other is not one and fulfils(other, relation):
                        raise LockError(
                            f"Debian packages {one.name} and {other.name} exclude each other "
                            f"({one.name} {one.version} refuses {relation})"
                        )


def fulfils(candidate: Candidate, relation: Relation) -> bool:
    """Whether `candidate` is, or provides, what `relation` asks for (Debian Policy 7.5)."""
    if candidate.name == relation.name:
        return relation.allows(candidate.version)
    for provided in candidate.provides:
        if provided.name == relation.name and (
            not relation.relation or (provided.version and relation.allows(provided.version))
        ):
            return True
    return False


def preference(candidate: Candidate) -> tuple[int, str]:
    known = candidate.priority in _PRIORITIES
    rank = _PRIORITIES.index(candidate.priority) if known else len(_PRIORITIES)
    return (rank, candidate.name)


def text_of(group: _Group) -> str:
    return " | ".join(str(relation) for relation in group)
