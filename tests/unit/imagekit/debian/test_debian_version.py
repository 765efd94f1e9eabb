# SPDX-License-Identifier: Apache-2.0
"""Debian versions sort as dpkg sorts them."""

import itertools
import shutil
import subprocess
from typing import Any

import pytest

from imagekit.debian.version import Version, satisfies
from imagekit.errors import IntegrityError

ASCENDING = [
    "0~",
    "0",
    "1.0~~",
    "1.0~rc1",
    "1.0~rc1+b1",
    "1.0",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u2",
    "1.0-1+deb12u10",
    "1.0a",
    "1.0+b1",
    "1.0.1",
    "1.9",
    "1.10",
    "2026b-0+deb12u1",
    "a1",
    "1:0.9",
]
EQUAL = [("1.0", "1.00"), ("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.", "1.0")]


def test_the_known_order_holds() -> None:
    """Tildes come before the end, the end before letters, letters before signs, epochs first."""
    for lower, higher in itertools.combinations(ASCENDING, 2):
        assert Version(lower) < Version(higher)
        assert Version(higher) > Version(lower)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_sort_the_same_are_equal(one: Any, other: Any) -> None:
    """Leading zeros, epoch 0 and revision 0 make no difference."""
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is the oracle")
@pytest.mark.parametrize("one", [*ASCENDING[::3], "1.", "1.0-0"])
def test_dpkg_agrees(one: Any) -> None:
    """`dpkg --compare-versions` gives the same answer for every pair."""
    for other in ["1.0", "1.0-0", "1.00", "1.0~", "1.0+~", "1.0.~", "9", "0:1.0", "1a", "1+"]:
        for relation in ("<<", "<=", "=", ">=", ">>"):
            answer = subprocess.run(
                ["dpkg", "--compare-versions", one, relation, other], check=False
            )
            ours = satisfies(Version(one), relation, Version(other))
            assert ours == (answer.returncode == 0), f"{one} {relation} {other}"


@pytest.mark.parametrize("text", ["", "1:", "x:1", "1-", "1.0 2", "1/2", "1.0-1-"])
def test_what_is_no_version_is_refused(text: Any) -> None:
    """A text that dpkg would not take is an error, not a version that sorts somewhere."""
    with pytest.raises(IntegrityError):
        Version(text)
