# SPDX-License-Identifier: Apache-2.0
"""Reads WWW-Authenticate (RFC 9110, section 11.6.1): how a registry wants to be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from imagekit.values import frozen

_LIMIT = 8192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar's own word
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|$)')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=[\s,]|$)")
_SCOPE = re.compile(r"repository:([a-z0-9._/-]{1,255}):([a-z,*]{1,60})")
_SCOPES = 4


@frozen
class Challenge:
    """One way to be let in; `scheme` and the names of parameters are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """All that can be read from `header`; what makes no sense ends the list."""
    return tuple(_challenges(header[:_LIMIT]))


def _challenges(text: str) -> Iterator[Challenge]:
    position = 0
    while (scheme := _SCHEME.match(text, position)) is not None:
        position = scheme.end()
        parameters: dict[str, str] = {}
        while (found := _PARAMETER.match(text, position)) is not None:
            name, quoted, bare = found.groups()
            parameters[name.lower()] = bare or re.sub(r"\\(.)", r"\1", quoted or "")
            position = found.end()
        yield Challenge(scheme[1].lower(), parameters)


def asked_scopes(
    challenge: Challenge, actions: frozenset[str], known: frozenset[str]
) -> frozenset[str]:
    """The scopes that a challenge names, but for those of the repositories in `known`.

    None is wider than `actions`: it is a stranger's wish.
    """
    found = set()
    for name, asked in _SCOPE.findall(challenge.parameters.get("scope", ""))[:_SCOPES]:
        allowed = actions.intersection(asked.split(","))
        if allowed and name not in known:
            found.add(repository_scope(name, allowed))
    return frozenset(found)


def repository_scope(repository: str, actions: frozenset[str]) -> str:
    return f"repository:{repository}:{','.join(sorted(actions))}"
