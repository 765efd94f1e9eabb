# SPDX-License-Identifier: Apache-2.0
"""Packages lie over a base as dpkg would lay them, and dpkg knows of them."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.debian.apt.layer import write_group
from imagekit.debian.apt.register import write_registration
from imagekit.debian.apt.root import BaseRoot
from imagekit.debian.base import DebPackage
from imagekit.debian.tree import DIRECTORY, FILE, LINK, Node, Tree
from imagekit.errors import BuildError
from imagekit.layers.writer import LayerWriter
from tests.unit.imagekit.debian.deb_maker import Debs, member

Layer = dict[str, tuple[tarfile.TarInfo, bytes]]


def base_root(folder: Path, files: dict[str, str], nodes: dict[str, Node]) -> BaseRoot:
    """A base with `files` (contents by path) and further `nodes`."""
    found = dict(nodes)
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        found[path] = Node(FILE, 0o644)
        for parent in place.relative_to(folder).parents:
            found.setdefault(str(parent), Node(DIRECTORY, 0o755))
    return BaseRoot(Tree(folder, found), None)


def layer(write: Callable[[LayerWriter], None]) -> Layer:
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    write(writer)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue()), mode="r:gz") as archive:
        found = {}
        for each in archive:
            stream = archive.extractfile(each) if each.isreg() else None
            found[each.name] = (each, stream.read() if stream else b"")
        return found


def group(debs: Debs, root: BaseRoot) -> Layer:
    pairs = [(each, debs.files[each.sha256]) for each in debs.packages]
    return layer(lambda writer: write_group(writer, pairs, root))


def registered(debs: Debs, root: BaseRoot) -> Layer:
    pairs = [(each, debs.files[each.sha256]) for each in debs.packages]
    return layer(lambda writer: write_registration(writer, pairs, root, "amd64"))


def test_files_keep_modes_owners_and_links(debs: Debs, tmp_path: Path) -> None:
    """Set-ID bits and hard links too."""
    debs.add(
        "a",
        member("./usr/"),
        member("./usr/bin/"),
        member("./usr/bin/x", b"x", mode=0o2755, gid=42),
        member("./usr/bin/y", kind=tarfile.LNKTYPE, linkname="./usr/bin/x"),
        member("./usr/bin/z", kind=tarfile.SYMTYPE, linkname="x"),
        member("./var/games/", mode=0o2775, gid=60),
    )
    found = group(debs, base_root(tmp_path, {}, {}))
    info, content = found["usr/bin/x"]
    assert (info.mode, info.gid, content) == (0o2755, 42, b"x")
    assert (found["usr/bin/y"][0].type, found["usr/bin/y"][0].linkname) == (b"1", "usr/bin/x")
    assert found["usr/bin/z"][0].linkname == "x"
    assert (found["var/games"][0].mode, found["var/games"][0].gid) == (0o2775, 60)


def test_folders_and_links_of_the_base_stay(debs: Debs, tmp_path: Path) -> None:
    """Files go through the links of a merged /usr, and folders keep mode and owner."""
    debs.add(
        "a",
        member("./bin/"),
        member("./bin/x", b"x"),
        member("./lib/"),
        member("./lib/y", b"y"),
        member("./tmp/"),
        member("./tmp/t", b"t"),
    )
    nodes = {
        "bin": Node(LINK, 0o777, target="usr/bin"),
        "lib": Node(LINK, 0o777, target="/usr/lib"),
        "usr": Node(DIRECTORY, 0o755),
        "usr/bin": Node(DIRECTORY, 0o711, 5, 6),
        "usr/lib": Node(DIRECTORY, 0o755),
        "tmp": Node(DIRECTORY, 0o1777),
    }
    found = group(debs, base_root(tmp_path, {}, nodes))
    assert found.keys() == {"usr", "usr/bin", "usr/bin/x", "usr/lib", "usr/lib/y", "tmp", "tmp/t"}
    owner = found["usr/bin"][0]
    assert (owner.mode, owner.uid, owner.gid) == (0o711, 5, 6)
    assert found["tmp"][0].mode == 0o1777


def test_settings_of_the_base_are_kept(debs: Debs, tmp_path: Path) -> None:
    """And the database says what the package would have had, as dpkg does."""
    debs.add("a", member("./etc/a", b"new"), member("./etc/b", b"b"), conffiles=b"/etc/a\n/etc/b\n")
    root = base_root(tmp_path, {"etc/a": "old"}, {})
    assert group(debs, root).keys() == {"etc", "etc/b"}
    status = registered(debs, root)["var/lib/dpkg/status"][1].decode()
    md5 = [hashlib.md5(text).hexdigest() for text in (b"new", b"b")]
    assert f"Conffiles:\n /etc/a {md5[0]}\n /etc/b {md5[1]}\n" in status


def test_what_dpkg_is_told_in_the_base_holds(debs: Debs, tmp_path: Path) -> None:
    """Diversions move a file aside, and excluded paths are left out but for those included."""
    debs.add(
        "a",
        member("./usr/bin/x", b"x"),
        member("./usr/share/doc/a/copyright", b"c"),
        member("./usr/share/doc/a/readme", b"r"),
    )
    settings = "path-exclude=/usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n"
    files = {
        "var/lib/dpkg/diversions": "/usr/bin/x\n/usr/bin/x.real\nb\n",
        "etc/dpkg/dpkg.cfg.d/slim": settings,
    }
    found = group(debs, base_root(tmp_path, files, {}))
    assert {path for path, (info, _) in found.items() if info.isreg()} == {
        "usr/bin/x.real",
        "usr/share/doc/a/copyright",
    }


def test_two_packages_with_one_path_are_refused(debs: Debs, tmp_path: Path) -> None:
    """Both are named."""
    debs.add("a", member("./usr/x", b"1"))
    debs.add("b", member("./usr/x", b"2"))
    with pytest.raises(BuildError, match="a and b both hold /usr/x"):
        group(debs, base_root(tmp_path, {}, {}))


def test_the_database_is_the_bases_with_new_packages(debs: Debs, tmp_path: Path) -> None:
    """In the order of names; the base's stanzas keep every byte, but one of a removed package."""
    old = "Package: a\nStatus: install ok installed\nX-Odd:  two  blanks\n\n"
    gone = "Package: m\nStatus: deinstall ok config-files\n\n"
    last = "Package: z\nStatus: install ok installed\n\n"
    debs.add(
        "m", member("./usr/"), member("./usr/m", b"m"), fields="Multi-Arch: same\n", md5sums=b""
    )
    found = registered(debs, base_root(tmp_path, {"var/lib/dpkg/status": old + gone + last}, {}))
    text = found["var/lib/dpkg/status"][1].decode()
    new = "Package: m\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n"
    assert text == f"{old}{new}Multi-Arch: same\n\n{last}"
    assert found["var/lib/dpkg/info/m:amd64.list"][1] == b"/.\n/usr\n/usr/m\n"
    assert "var/lib/dpkg/info/m:amd64.md5sums" in found


@pytest.mark.parametrize("has_dpkg", [True, False])
def test_scripts_are_kept_where_a_dpkg_may_run_them(
    debs: Debs, tmp_path: Path, has_dpkg: bool
) -> None:
    """For a later removal; nobody would run them elsewhere."""
    debs.add("m", member("./usr/m", b"m"), prerm=b"#!/bin/sh\n")
    nodes = {"usr/bin/dpkg": Node(FILE, 0o755)} if has_dpkg else {}
    found = registered(debs, base_root(tmp_path, {}, nodes))
    assert ("var/lib/dpkg/info/m.prerm" in found) == has_dpkg


def test_layers_do_not_depend_on_the_machine(debs: Debs, tmp_path: Path) -> None:
    """Nor on where the .debs lie."""
    package = debs.add("a", member("./usr/x", b"1"))
    root = base_root(tmp_path, {}, {})

    def digest(deb: Path) -> str:
        writer = LayerWriter(io.BytesIO())
        pairs: list[tuple[DebPackage, Path]] = [(package, deb)]
        write_group(writer, pairs, root)
        return writer.finish().digest

    first = debs.files[package.sha256]
    other = tmp_path / "elsewhere.deb"
    other.write_bytes(first.read_bytes())
    assert digest(first) == digest(other)
