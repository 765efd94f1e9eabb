# SPDX-License-Identifier: Apache-2.0
"""Control data is read as deb822(5) and Debian Policy 7 say."""

from typing import Any

import pytest

from imagekit.debian.control import Relation, relations, stanzas
from imagekit.errors import IntegrityError


def test_stanzas_end_at_blank_lines() -> None:
    """Folded values keep their lines; comments and extra blank lines are nothing."""
    text = "# note\nA: 1\nB: x\n y\n\n\nA: 2\n"
    assert list(stanzas(text)) == [{"A": "1", "B": "x\n y"}, {"A": "2"}]


@pytest.mark.parametrize("text", [" folded: first\n", "no colon here\n"])
def test_other_lines_are_refused(text: Any) -> None:
    """What is no field is an error."""
    with pytest.raises(IntegrityError):
        list(stanzas(text))


def test_a_depends_field_is_groups_of_alternatives() -> None:
    """Commas part what is all needed, bars what serves instead."""
    groups = relations("libc6 (>= 2.36), awk:any | mawk (<< 2), ", "amd64")
    assert groups == (
        (Relation("libc6", ">=", "2.36"),),
        (Relation("awk", qualifier="any"), Relation("mawk", "<<", "2")),
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [("a [amd64]", ["a"]), ("a [arm64]", []), ("a [!amd64]", []), ("a [!arm64 !i386]", ["a"])],
)
def test_relations_of_other_architectures_do_not_count(text: Any, names: Any) -> None:
    """`[...]` limits a relation to architectures, or keeps it from them."""
    assert [group[0].name for group in relations(text, "amd64")] == names


@pytest.mark.parametrize(
    ("relation", "version", "allowed"),
    [("(>= 1.0)", "1.0-1", True), ("(<< 1.0)", "1.0~rc1", True), ("(= 1.0)", "1.0-1", False)],
)
def test_a_relation_allows_versions(relation: Any, version: Any, allowed: Any) -> None:
    """A version is allowed when it stands in the relation by Debian's order."""
    ((wanted,),) = relations(f"a {relation}", "amd64")
    assert wanted.allows(version) is allowed


def test_what_is_no_relation_is_refused() -> None:
    """A damaged field is an error, not a package without dependencies."""
    with pytest.raises(IntegrityError):
        relations("a (>> 1", "amd64")
