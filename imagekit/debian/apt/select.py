# SPDX-License-Identifier: Apache-2.0
"""Which packages have to be added to a base, chosen as apt-get(8) chooses without recommendations.

Of each name there is one candidate: the highest version, or the pinned one. What is asked for comes
first, then what that needs, package by package; of alternatives the first that can be had counts.
What the base has stays as it is unless it is asked for, or stands in the way at its version.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from imagekit.debian.control import Relation
from imagekit.debian.index import Candidate, PackageIndex
from imagekit.debian.resolve import fulfils, preference, text_of
from imagekit.debian.version import Version
from imagekit.errors import LockError
from imagekit.values import frozen

_Group = tuple[Relation, ...]
_MISTYPED = 3
"""Characters too many or too few, at most."""


@frozen
class Unknown:
    """What was asked for and is not there; `item` as it was written."""

    item: str
    message: str
    hint: str | None


class UnknownPackagesError(LockError):
    """Lists everything that was asked for and is not there."""

    def __init__(self, unknown: Sequence[Unknown]) -> None:
        super().__init__("\n".join(f"apt_packages: {each.message}" for each in unknown))
        self.unknown = tuple(unknown)


class Archive:
    """The package lists of all suites, and one candidate for each name."""

    def __init__(
        self, indexes: Sequence[PackageIndex], architecture: str, pins: Mapping[str, str]
    ) -> None:
        self._indexes = indexes
        self._architecture = architecture
        self.pins = pins
        self._known: dict[str, Candidate | None] = {}

    def candidate(self, name: str) -> Candidate | None:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def versions(self, name: str) -> list[Candidate]:
        """All that the lists have, the newest first."""
        found = [each for index in self._indexes for each in index.named(name)]
        return sorted(found, key=lambda each: Version(each.version), reverse=True)

    def providers(self, relation: Relation) -> list[Candidate]:
        """Packages of other names that provide what `relation` asks for, the preferred first."""
        names = {name for index in self._indexes for name in index.providers(relation.name)}
        found = (self.candidate(name) for name in sorted(names - {relation.name}))
        fitting = [each for each in found if each is not None and fulfils(each, relation)]
        return sorted(fitting, key=preference)

    def solutions(self, relation: Relation) -> Iterator[Candidate]:
        if relation.qualifier not in ("", "any", "native", self._architecture):
            return
        real = self.candidate(relation.name)
        if real is not None and relation.allows(real.version):
            yield real
        yield from self.providers(relation)

    def near(self, name: str) -> list[str]:
        """Names that may have been meant by one that there is not."""
        found = {each for index in self._indexes for each in index.names()}
        return sorted(each for each in found if abs(len(each) - len(name)) <= _MISTYPED)

    def _find(self, name: str) -> Candidate | None:
        found = self.versions(name)
        if name in self.pins:
            found = [each for each in found if each.version == self.pins[name]]
        return found[0] if found else None


class Selection:
    """Grows a set of packages over what is installed; `omitted` names count as installed too."""

    def __init__(
        self, archive: Archive, present: Mapping[str, Candidate], omitted: Collection[str] = ()
    ) -> None:
        self._archive = archive
        self._present = present
        self._omitted = omitted
        self._chosen: dict[str, Candidate] = {}

    def install(self, names: Iterable[str], *, whole: bool = False) -> dict[str, Candidate]:
        """`names` and what they need that is not there, by name.

        With `whole`, also what is there gets all that it depends on.

        Raises:
            UnknownPackagesError: there are no such packages.
            LockError: something can't be had, or two packages exclude each other.
        """
        wanted = [each for each in self._asked_for(names) if not self._is_there(each)]
        self._chosen.update((each.name, each) for each in wanted)
        for each in (*wanted, *(self._present.values() if whole else ())):
            self._complete(each)
        self._mend()
        self._refuse_conflicts()
        return dict(sorted(self._chosen.items()))

    def _asked_for(self, names: Iterable[str]) -> list[Candidate]:
        found, unknown = [], []
        for name in names:
            candidate = self._archive.candidate(name)
            providers = [] if candidate else self._archive.providers(Relation(name))
            if candidate is not None:
                found.append(candidate)
            elif len(providers) == 1:
                found += providers
            else:
                unknown.append(self._unknown(name, providers))
        if unknown:
            raise UnknownPackagesError(unknown)
        return found

    def _unknown(self, name: str, providers: Sequence[Candidate]) -> Unknown:
        versions = dict.fromkeys(each.version for each in self._archive.versions(name))
        if versions:
            wanted = self._archive.pins[name]
            there = f"it is there as {', '.join(versions)}"
            return Unknown(f"{name}={wanted}", f"no version {wanted} of {name}", there)
        if providers:
            names = ", ".join(sorted(each.name for each in providers))
            return Unknown(name, f"{name} stands for several packages", f"name one of {names}")
        near = difflib.get_close_matches(name, self._archive.near(name), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else None
        return Unknown(name, f"no package {name} in the base's release", hint)

    def _is_there(self, wanted: Candidate) -> bool:
        present = self._present.get(wanted.name)
        return present is not None and Version(present.version) == Version(wanted.version)

    def _current(self) -> Mapping[str, Candidate]:
        return {**self._present, **self._chosen}

    def _satisfied(self, group: _Group) -> bool:
        # By name first: nearly all are, and looking through what all provide is slow.
        if any(relation.name in self._omitted for relation in group):
            return True
        for relation in group:
            found = self._chosen.get(relation.name) or self._present.get(relation.name)
            if found is not None and relation.allows(found.version):
                return True
        everything = self._current().values()
        return any(fulfils(each, relation) for relation in group for each in everything)

    def _complete(self, package: Candidate) -> None:
        for group in package.depends:
            if not self._satisfied(group):
                self._satisfy(group, package)

    def _satisfy(self, group: _Group, package: Candidate) -> None:
        failure: LockError | None = None
        for relation in group:
            for solution in self._archive.solutions(relation):
                before = dict(self._chosen)
                try:
                    self._add(solution, package)
                except LockError as error:
                    self._chosen = before
                    failure = failure or error
                else:
                    return
        if failure is not None:
            raise failure
        raise LockError(
            f"Debian package {package.name} needs {text_of(group)}, which is not in the base's "
            "release",
            hint="is one of the mirrors of another release, or being updated right now?",
        )

    def _add(self, solution: Candidate, package: Candidate) -> None:
        present = self._chosen.get(solution.name)
        if present is not None:
            raise LockError(
                f"Debian package {package.name} needs another version of {solution.name} than "
                f"{present.version}, which was chosen already"
            )
        clash = self._clash(solution)
        if clash is not None and not self._give_way(clash, solution):
            raise _exclude(solution, clash)
        self._chosen[solution.name] = solution
        self._complete(solution)

    def _clash(self, one: Candidate) -> Candidate | None:
        """What is there and does not go with `one`."""
        for other in self._current().values():
            if other.name != one.name and (_refuses(one, other) or _refuses(other, one)):
                return other
        return None

    def _give_way(self, clash: Candidate, solution: Candidate) -> bool:
        """Whether the base's package goes with `solution` at another version, taken then."""
        newer = self._archive.candidate(clash.name)
        if clash.name in self._chosen or newer is None or self._is_there(newer):
            return False
        if _refuses(solution, newer) or _refuses(newer, solution):
            return False
        self._chosen[newer.name] = newer
        self._complete(newer)
        return True

    def _mend(self) -> None:
        """Give packages of the base that new versions have broken their own new versions."""
        changed = True
        while changed:
            changed = False
            for name, package in self._present.items():
                broken = name not in self._chosen and not self._holds(package)
                newer = self._archive.candidate(name) if broken else None
                if newer is not None and not self._is_there(newer):
                    self._chosen[name] = newer
                    self._complete(newer)
                    changed = True

    def _holds(self, package: Candidate) -> bool:
        """Whether what was satisfied before is so still; bases may lack things of their own."""
        touched = [
            group
            for group in package.depends
            if any(relation.name in self._chosen for relation in group)
        ]
        conflict = any(_refuses(each, package) for each in self._chosen.values())
        return not conflict and all(self._satisfied(group) for group in touched)

    def _refuse_conflicts(self) -> None:
        for one in self._chosen.values():
            clash = self._clash(one)
            if clash is not None:
                raise _exclude(one, clash)


def _refuses(one: Candidate, other: Candidate) -> bool:
    return any(fulfils(other, relation) for relation in one.conflicts)


def _exclude(one: Candidate, other: Candidate) -> LockError:
    refusing, refused = (one, other) if _refuses(one, other) else (other, one)
    relation = next(each for each in refusing.conflicts if fulfils(refused, each))
    return LockError(
        f"Debian packages {one.name} and {other.name} exclude each other "
        f"({refusing.name} {refusing.version} refuses {relation})",
        hint="leave one of the two out; what the base has is never removed",
    )
