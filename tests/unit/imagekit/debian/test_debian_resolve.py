# SPDX-License-Identifier: Apache-2.0
"""Dependencies are followed to their end, the same way every time."""

from collections.abc import Sequence
from typing import Any

import pytest

from imagekit.debian.index import PackageIndex
from imagekit.debian.resolve import Resolver
from imagekit.errors import LockError


def index(*entries: str) -> PackageIndex:
    """Each entry is `NAME VERSION`, then fields on lines of their own."""
    text = ""
    for entry in entries:
        head, *fields = entry.split("\n")
        name, version = head.split()
        lines = [
            f"Package: {name}",
            f"Version: {version}",
            "Architecture: amd64",
            *(field.strip() for field in fields),
            f"Filename: pool/{name}_{version}.deb",
            "Size: 10",
            f"SHA256: {'ab' * 32}",
        ]
        text += "\n".join(lines) + "\n\n"
    return PackageIndex(text.encode(), "amd64")


def resolve(names: Sequence[str], *indexes: PackageIndex, omitted: Sequence[str] = ()) -> list[str]:
    chosen = Resolver(indexes, "amd64", omitted).resolve(names)
    return [f"{candidate.name} {candidate.version}" for candidate in chosen]


def test_the_closure_is_complete_and_sorted() -> None:
    """Pre-Depends and Depends count, of what they name too; circles end."""
    suite = index("c 1\nDepends: a", "a 1\nPre-Depends: b", "b 1\nDepends: c (>= 1)", "d 1")
    assert resolve(["a"], suite) == ["a 1", "b 1", "c 1"]


def test_the_highest_version_of_all_suites_is_taken() -> None:
    """Security updates win by their version, not by their suite's place."""
    assert resolve(["a"], index("a 1-1"), index("a 1-1+deb12u2"), index("a 1-1+deb12u1")) == [
        "a 1-1+deb12u2"
    ]


def test_a_version_that_is_asked_for_is_taken() -> None:
    """A constraint may name an older one."""
    suite = index("a 1\nDepends: b (= 1)", "b 1", "b 2")
    assert resolve(["a"], suite) == ["a 1", "b 1"]


def test_the_first_alternative_that_can_be_had_is_taken() -> None:
    """Later ones are for where earlier ones are missing or too old."""
    suite = index("a 1\nDepends: x | b (>= 2) | c", "b 1", "c 1")
    assert resolve(["a"], suite) == ["a 1", "c 1"]


def test_an_alternative_that_is_there_already_serves() -> None:
    """Nothing is installed for a choice that another's wish has settled."""
    suite = index("a 1\nDepends: b | c", "b 1", "c 1")
    assert resolve(["a", "c"], suite) == ["a 1", "c 1"]
    assert resolve(["a"], suite) == ["a 1", "b 1"]


@pytest.mark.parametrize(
    ("provides", "wanted", "chosen"),
    [
        ("v", "v", True),
        ("v (= 2)", "v (>= 1)", True),
        ("v (= 1)", "v (>= 2)", False),
        ("v", "v (>= 1)", False),
    ],
)
def test_providers_count_by_their_version(provides: Any, wanted: Any, chosen: Any) -> None:
    """Only a versioned Provides fulfils a versioned wish (Debian Policy 7.5)."""
    suite = index(f"a 1\nDepends: {wanted}", f"p 1\nProvides: u, {provides}")
    if chosen:
        assert resolve(["a"], suite) == ["a 1", "p 1"]
    else:
        with pytest.raises(LockError, match="in none of the suites"):
            resolve(["a"], suite)


def test_of_several_providers_the_more_important_is_taken() -> None:
    """Then the first by name, whatever the order of the list."""
    suite = index(
        "a 1\nDepends: v",
        "p1 1\nPriority: optional\nProvides: v",
        "p3 1\nPriority: required\nProvides: v",
        "p2 1\nPriority: required\nProvides: v",
    )
    assert resolve(["a"], suite) == ["a 1", "p2 1"]


def test_omitted_packages_count_as_there() -> None:
    """Neither they nor what they need is chosen."""
    suite = index("a 1\nDepends: dpkg (>= 1.15) | install-info", "dpkg 1.2\nDepends: b", "b 1")
    assert resolve(["a"], suite, omitted=["dpkg"]) == ["a 1"]


def test_what_is_nowhere_is_named_with_who_needs_it() -> None:
    """The error says which package asked, and for what."""
    with pytest.raises(LockError, match=r"b \(>= 2\).*which a needs"):
        resolve(["a"], index("a 1\nDepends: b (>= 2)", "b 1"))


@pytest.mark.parametrize("field", ["Conflicts", "Breaks"])
def test_packages_that_exclude_each_other_are_refused(field: Any) -> None:
    """A selection that dpkg would not install is an error."""
    with pytest.raises(LockError, match="a and b exclude each other"):
        resolve(["a", "b"], index(f"a 1\n{field}: b (<< 2)", "b 1"))


def test_a_conflict_with_what_it_provides_itself_is_none() -> None:
    """That is how a package says that it is the only one of its kind."""
    assert resolve(["a"], index("a 1\nConflicts: v\nProvides: v")) == ["a 1"]


def test_two_wishes_that_clash_are_an_error() -> None:
    """No version is taken that one of the two does not allow."""
    suite = index("a 1\nDepends: b (= 1)", "c 1\nDepends: b (= 2)", "b 1", "b 2")
    with pytest.raises(LockError, match=r"c needs b \(= 2\)"):
        resolve(["a", "c"], suite)


def test_a_package_is_found_by_its_digest() -> None:
    """Its path may have changed since it was locked."""
    assert index("a 1", "b 2").with_digest("ab" * 32) == "pool/a_1.deb"
    assert index("a 1").with_digest("cd" * 32) is None
