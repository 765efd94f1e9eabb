# SPDX-License-Identifier: Apache-2.0
"""What is added to a base is what apt-get would add without recommendations."""

from collections.abc import Mapping

import pytest

from imagekit.debian.apt.installed import installed
from imagekit.debian.apt.select import Archive, Selection, UnknownPackagesError
from imagekit.debian.index import PackageIndex
from imagekit.errors import LockError
from tests.unit.imagekit.debian.test_debian_resolve import index


def status(*entries: str) -> str:
    """Each entry as for `index`; all are installed."""
    text = ""
    for entry in entries:
        head, *fields = entry.split("\n")
        name, version = head.split()
        lines = [f"Package: {name}", "Status: install ok installed", f"Version: {version}"]
        text += "\n".join([*lines, "Architecture: amd64", *fields]) + "\n\n"
    return text


def add(
    names: list[str], suite: PackageIndex, base: str = "", pins: Mapping[str, str] | None = None
) -> list[str]:
    selection = Selection(Archive([suite], "amd64", pins or {}), installed(base, "amd64"))
    return [f"{name} {found.version}" for name, found in selection.install(names).items()]


def test_only_what_the_base_lacks_is_added() -> None:
    """An older version of the base stays where it serves."""
    suite = index("a 1\nDepends: b, c (>= 1)", "b 1", "c 2")
    assert add(["a"], suite, status("c 1")) == ["a 1", "b 1"]


def test_what_is_asked_for_is_brought_to_its_newest_version() -> None:
    """As `apt-get install` upgrades what is there."""
    assert add(["a"], index("a 2"), status("a 1")) == ["a 2"]
    assert add(["a"], index("a 2"), status("a 2")) == []


def test_a_version_that_stands_in_the_way_is_replaced() -> None:
    """With what in the base leans on exactly that version."""
    suite = index("a 1\nDepends: b (>= 2)", "b 2", "b-dev 2\nDepends: b (= 2)")
    base = status("b 1", "b-dev 1\nDepends: b (= 1)")
    assert add(["a"], suite, base) == ["a 1", "b 2", "b-dev 2"]


def test_a_removed_package_does_not_count() -> None:
    """Its settings may still be there, and its stanza with them."""
    gone = status("b 1").replace("install ok installed", "deinstall ok config-files")
    assert add(["a"], index("a 1\nDepends: b", "b 1"), gone) == ["a 1", "b 1"]


def test_recommendations_are_not_followed() -> None:
    """As with `--no-install-recommends`."""
    assert add(["a"], index("a 1\nRecommends: b", "b 1")) == ["a 1"]


def test_an_alternative_that_excludes_another_package_gives_way_to_the_next() -> None:
    """What was chosen for it is forgotten with it."""
    suite = index("a 1\nDepends: x | y", "x 1\nDepends: z\nConflicts: c", "y 1", "z 1", "c 1")
    assert add(["a"], suite, status("c 1")) == ["a 1", "y 1"]


def test_nothing_of_the_base_is_removed() -> None:
    """A conflict with it is refused instead, with the relation."""
    with pytest.raises(LockError, match=r"a and b exclude each other \(a 1 refuses b\)"):
        add(["a"], index("a 1\nConflicts: b", "b 1"), status("b 1"))


def test_everything_unknown_is_named_at_once() -> None:
    """With names that come near, versions that there are, and providers to choose from."""
    suite = index("libgomp1 1", "git 2", "x 1\nProvides: v", "y 1\nProvides: v")
    with pytest.raises(UnknownPackagesError) as caught:
        add(["libgomp2", "git", "v"], suite, pins={"git": "3"})
    assert [(each.item, each.hint) for each in caught.value.unknown] == [
        ("libgomp2", "did you mean libgomp1?"),
        ("git=3", "it is there as 2"),
        ("v", "name one of x, y"),
    ]


def test_the_one_provider_of_a_name_is_taken() -> None:
    """As apt-get does."""
    assert add(["v"], index("x 1\nProvides: v")) == ["x 1"]
