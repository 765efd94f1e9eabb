# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from imagekit.registry.challenge import Challenge, asked_scopes, parse_challenges

PULL = frozenset({"pull"})


def test_a_challenge_is_read_whole() -> None:
    """Commas and escapes in quotes are no separators; names are found in any case."""
    header = r'Bearer Realm="https://t.example/a?b=c,d",service="s \"x\""'
    header += ', scope="repository:a/b:pull,push"'
    assert parse_challenges(header) == (
        Challenge(
            "bearer",
            {
                "realm": "https://t.example/a?b=c,d",
                "service": 's "x"',
                "scope": "repository:a/b:pull,push",
            },
        ),
    )


def test_several_challenges_are_told_apart() -> None:
    header = 'Negotiate, Basic realm="x", Bearer realm=token, service=s'
    assert [item.scheme for item in parse_challenges(header)] == ["negotiate", "basic", "bearer"]
    assert parse_challenges(header)[2].parameters == {"realm": "token", "service": "s"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "=",
        '"',
        'Bearer realm="',
        "Bearer realm=\x00",
        "," * 100_000,
        'Bearer a="' + "\\" * 100_000,
        "Bearer " + 'a="b",' * 100_000,
        "a " * 100_000,
    ],
)
def test_nonsense_ends_the_list_and_takes_no_time(header: str) -> None:
    assert all(item.parameters.get("realm") is None for item in parse_challenges(header))


def test_a_stranger_s_wish_never_widens_the_rights() -> None:
    """A registry may ask for other repositories' names, and not for more than is being done."""
    scope = "repository:proxied/a:pull,push,delete registry:catalog:* repository:b:push"
    challenge = Challenge("bearer", {"scope": scope})
    assert asked_scopes(challenge, PULL, frozenset()) == {"repository:proxied/a:pull"}
    assert asked_scopes(challenge, PULL, frozenset({"proxied/a"})) == set()
