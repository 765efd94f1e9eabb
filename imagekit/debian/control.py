# SPDX-License-Identifier: Apache-2.0
"""Debian's control data: stanzas of fields (deb822(5)) and relations between packages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imagekit.debian.version import Version, satisfies
from imagekit.errors import IntegrityError
from imagekit.values import frozen

_RELATION = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9+.-]*)(?::(?P<qualifier>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<relation><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
    r"(?:\s*\[(?P<architectures>[^\]]*)\])?"
)

Stanza = dict[str, str]
"""Fields in the order of the file; a folded value keeps its line ends and leading spaces."""


@frozen
class Relation:
    """One package that is wanted or provided: `name`, or `name (relation version)`."""

    name: str
    relation: str = ""
    version: str = ""
    qualifier: str = ""

    def allows(self, version: str) -> bool:
        return not self.relation or satisfies(
            Version(version), self.relation, Version(self.version)
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


def stanzas(text: str) -> Iterator[Stanza]:
    """The stanzas of `text`; lines that start with `#` are comments.

    Raises:
        IntegrityError: a line is neither a field, nor a continuation, nor a comment.
    """
    current: Stanza = {}
    field = ""
    for line in text.splitlines():
        if not line.strip():
            if current:
                yield current
            current, field = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0] in " \t":
            if not field:
                raise IntegrityError(f"control data starts with a continuation: {line[:80]!r}")
            current[field] += "\n" + line
        else:
            field, colon, value = line.partition(":")
            if not colon or not field.strip():
                raise IntegrityError(f"not a field of control data: {line[:80]!r}")
            current[field] = value.strip()
    if current:
        yield current


def relations(text: str, architecture: str) -> tuple[tuple[Relation, ...], ...]:
    """What a Depends or Provides field says: all of the groups, any one of each group."""
    groups = []
    for clause in text.split(","):
        found = [_relation(word, architecture) for word in clause.split("|") if word.strip()]
        group = tuple(relation for relation in found if relation is not None)
        if group:
            groups.append(group)
    return tuple(groups)


def _relation(word: str, architecture: str) -> Relation | None:
    """None where the relation does not hold on `architecture`."""
    matched = _RELATION.fullmatch(word.strip())
    if matched is None:
        raise IntegrityError(f"not a relation between packages: {word.strip()[:80]!r}")
    limits = (matched["architectures"] or "").split()
    excluded = f"!{architecture}" in limits
    included = not limits or limits[0].startswith("!") or architecture in limits
    if excluded or not included:
        return None
    return Relation(
        matched["name"],
        matched["relation"] or "",
        matched["version"] or "",
        matched["qualifier"] or "",
    )
