# SPDX-License-Identifier: Apache-2.0
"""Packages become one tree, in the same way whoever unpacks them, and never outside of it."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imagekit.debian.certificates import subject_hash
from imagekit.debian.layer import write_layer
from imagekit.debian.store import cached_tree, unpack_tree
from imagekit.debian.tree import Tree, inside
from imagekit.errors import BuildError, ImagekitError, IntegrityError
from imagekit.layers.writer import LayerWriter
from tests.unit.imagekit.debian.deb_maker import Debs, certificate, member

Member = tuple[tarfile.TarInfo, bytes | None]


def link(path: str, target: str) -> Member:
    return member(path, kind=tarfile.SYMTYPE, linkname=target)


def hard_link(path: str, target: str) -> Member:
    return member(path, kind=tarfile.LNKTYPE, linkname=target)


def minimal(debs: Debs) -> Debs:
    """The packages whose data the made files come from, as small as they can be."""
    debs.add(
        "base-files",
        member("./usr/"),
        member("./usr/bin/"),
        member("./root/", mode=0o700),
        member("./tmp/", mode=0o1777),
        member("./var/lock/", mode=0o1777),
        member("./usr/share/base-files/profile", b"PATH=/bin\n"),
        member("./usr/share/base-files/dot.bashrc", b"\n"),
        member("./usr/share/base-files/dot.profile", b"\n"),
    )
    debs.add(
        "base-passwd",
        member("./usr/share/base-passwd/passwd.master", b"root:*:0:0:root:/root:/bin/bash\n"),
        member("./usr/share/base-passwd/group.master", b"root:*:0:\n"),
    )
    debs.add("libc-bin", member("./usr/share/libc-bin/nsswitch.conf", b"passwd: files\n"))
    debs.add(
        "ca-certificates",
        member("./usr/share/ca-certificates/mozilla/B.crt", certificate("B").rstrip()),
        member("./usr/share/ca-certificates/mozilla/A.crt", certificate("A")),
    )
    return debs


def unpack(debs: Debs, tmp_path: Path) -> Tree:
    return unpack_tree(debs.base(), debs.files, directory=tmp_path / "cache")


def test_usr_is_merged(debs: Debs, tmp_path: Path) -> None:
    """What packages put into /bin and /lib lies in /usr, and links lead there."""
    minimal(debs).add(
        "dash",
        member("./bin/"),
        member("./bin/dash", b"#!", mode=0o755),
        link("./bin/sh", "dash"),
        hard_link("./bin/ash", "./bin/dash"),
        member("./lib/x", b"x"),
    )
    tree = unpack(debs, tmp_path)
    assert tree.nodes["bin"].target == "usr/bin"
    assert tree.nodes["lib"].target == "usr/lib"
    assert "lib64" not in tree.nodes
    assert tree.resolve("bin/sh") == "usr/bin/dash"
    assert tree.resolve("lib/x") == "usr/lib/x"
    # Of the two names of one file, the first is the file: a layer is written in order of names.
    assert tree.nodes["usr/bin/dash"].target == "usr/bin/ash"
    assert tree.read("usr/bin/dash") == b"#!"
    assert (tree.root / "bin/sh").read_bytes() == b"#!"


def test_links_that_make_merged_usr_are_taken_as_such(debs: Debs, tmp_path: Path) -> None:
    """Newer releases ship them; one that leads elsewhere is refused."""
    minimal(debs).add("a", link("./bin", "usr/bin"))
    assert unpack(debs, tmp_path).nodes["bin"].target == "usr/bin"
    debs.add("b", link("./lib", "/tmp"))
    with pytest.raises(IntegrityError):
        unpack(debs, tmp_path)


def test_documentation_goes_and_licences_stay(debs: Debs, tmp_path: Path) -> None:
    """As in Debian's slim images."""
    minimal(debs).add(
        "a",
        member("./usr/share/doc/a/copyright", b"free"),
        member("./usr/share/doc/a/changelog.gz", b"x"),
        member("./usr/share/man/man1/a.1.gz", b"x"),
        member("./usr/share/locale/de/a.mo", b"x"),
        link("./usr/share/doc/b", "a"),
    )
    nodes = unpack(debs, tmp_path).nodes
    kept = [path for path in nodes if path.startswith(("usr/share/doc/", "usr/share/locale"))]
    assert kept == ["usr/share/doc/a", "usr/share/doc/a/copyright", "usr/share/doc/b"]
    assert not any(path.startswith("usr/share/man") for path in nodes)


def test_what_scripts_would_make_is_made(debs: Debs, tmp_path: Path) -> None:
    """Users, certificates, the time zone, and dpkg's record."""
    minimal(debs).add(
        "sample",
        member("./etc/"),
        member("./etc/sample.conf", b"on\n"),
        fields="Multi-Arch: same\nDescription: a sample\n of folding\n",
        conffiles=b"/etc/sample.conf\n",
        md5sums=b"",
    )
    tree = unpack(debs, tmp_path)
    assert tree.read("etc/passwd").splitlines() == [
        b"root:*:0:0:root:/root:/bin/bash",
        b"task:*:1000:0:task:/root:/bin/sh",
    ]
    assert tree.read("etc/ssl/certs/ca-certificates.crt") == certificate("A") + certificate("B")
    hashed = f"etc/ssl/certs/{subject_hash(certificate('A'))}.0"
    assert tree.resolve(hashed) == "usr/share/ca-certificates/mozilla/A.crt"
    assert tree.resolve("usr/lib/ssl/cert.pem") == "etc/ssl/certs/ca-certificates.crt"
    assert tree.nodes["etc/localtime"].target == "/usr/share/zoneinfo/Etc/UTC"
    home = tree.nodes["root"]
    assert (home.mode, home.uid, home.gid) == (0o775, 1000, 0)
    assert tree.nodes["tmp"].mode == 0o1777
    assert tree.nodes["var/lock"].target == "/run/lock"
    assert tree.read("var/lib/dpkg/info/sample:amd64.list") == b"/.\n/etc\n/etc/sample.conf\n"
    status = tree.read("var/lib/dpkg/status").decode()
    assert status.endswith(
        "Package: sample\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n"
        "Multi-Arch: same\nDescription: a sample\n of folding\n"
        "Conffiles:\n /etc/sample.conf 1f681635c89df401ef18598ffe3a0694\n\n"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([link("./x", "/tmp")], [member("./x/evil", b"x")]),
        ([link("./x", "../../../../tmp")], [member("./x/evil", b"x")]),
        ([member("./x", b"a file")], [member("./x/evil", b"x")]),
        ([member("./x", b"one")], [member("./x", b"other")]),
        ([member("./x/")], [link("./x", "/tmp")]),
        ([hard_link("./x", "./etc/absent")], []),
        ([member("./x", b"one"), member("./x", b"one")], []),
        ([link("./root/.bashrc", "/etc/evil")], []),
        ([link("./etc", "/tmp/evil")], []),
        ([member("./etc/"), link("./etc/ld.so.cache", "/tmp/evil")], []),
        ([member("./etc/passwd", b"root::0:0::/:/bin/sh\n")], []),
    ],
)
def test_packages_that_fight_or_reach_out_are_refused(
    debs: Debs, tmp_path: Path, first: Any, second: Any
) -> None:
    """Through a link, through a file, over another's file: an error, and nothing is left."""
    minimal(debs).add("p", *first)
    debs.add("q", *second)
    with pytest.raises((BuildError, IntegrityError)):
        unpack(debs, tmp_path)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_file_that_two_packages_share_is_fine_when_it_is_the_same(
    debs: Debs, tmp_path: Path
) -> None:
    """Packages for several architectures do that."""
    minimal(debs).add("p", member("./x", b"one"))
    debs.add("q", member("./x", b"one"))
    assert unpack(debs, tmp_path).read("x") == b"one"


@pytest.mark.parametrize(
    ("path", "target", "written"),
    [
        ("a/b", "/etc/x", "../etc/x"),
        ("a/b", "../../../../etc/x", "../etc/x"),
        ("a/b/c", "../d", "../../a/d"),
        ("a", "/", "."),
        ("a", "b", "b"),
    ],
)
def test_links_on_disk_stay_inside(path: Any, target: Any, written: Any) -> None:
    """They lead where they would lead in a chroot."""
    assert inside(path, target) == written


def test_links_in_the_tree_are_followed_as_inside(debs: Debs, tmp_path: Path) -> None:
    """Absolute ones start at the tree's root; circles end; nothing is found outside."""
    minimal(debs).add(
        "a",
        member("./d/f", b"x"),
        link("./one", "/d"),
        link("./two", "one/../one/f"),
        link("./loop", "loop"),
        link("./up", "../../../d/f"),
    )
    tree = unpack(debs, tmp_path)
    assert tree.resolve("two") == "d/f"
    assert tree.resolve("up") == "d/f"
    assert tree.resolve("loop") is None
    assert tree.resolve("one/absent") is None


def test_a_changed_cache_is_noticed(debs: Debs, tmp_path: Path) -> None:
    """What was unpacked is what gets into an image, or nothing does."""
    minimal(debs).add("a", member("./f", b"good"))
    tree = unpack(debs, tmp_path)
    (tree.root / "f").write_bytes(b"evil")
    with pytest.raises(IntegrityError, match="is not what was unpacked"):
        tree.read("f")


def test_a_base_is_unpacked_once(debs: Debs, tmp_path: Path) -> None:
    """The second time needs no .debs; a run that was killed before counts for nothing."""
    minimal(debs)
    assert cached_tree(debs.base(), directory=tmp_path / "cache") is None
    tree = unpack(debs, tmp_path)
    partial = tree.root.parent.with_suffix(".partial")
    partial.mkdir()
    assert unpack_tree(debs.base(), {}, directory=tmp_path / "cache") == tree
    assert cached_tree(debs.base(), directory=tmp_path / "cache") == tree
    os.rename(tree.root.parent, tmp_path / "gone")
    assert unpack(debs, tmp_path).nodes == tree.nodes
    assert not partial.exists()


def _layer(tree: Tree) -> tuple[str, list[tarfile.TarInfo]]:
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    assert not write_layer(tree, writer, None).has_bytecode
    digest = writer.finish().digest
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        return digest, archive.getmembers()


def test_the_layer_is_the_same_under_another_umask_and_folder(debs: Debs, tmp_path: Path) -> None:
    """And holds owners and modes as the packages give them, setuid included."""
    minimal(debs).add("a", member("./usr/bin/s", b"x", mode=0o4750, gid=42))
    first, members = _layer(unpack(debs, tmp_path))
    umask = os.umask(0o077)
    try:
        again = unpack_tree(debs.base(), debs.files, directory=tmp_path / "elsewhere")
    finally:
        os.umask(umask)
    assert _layer(again)[0] == first
    modes = {info.name: (info.mode, info.uid, info.gid) for info in members}
    assert modes["usr/bin/s"] == (0o4750, 0, 42)
    assert modes["root"] == (0o775, 1000, 0)


def test_a_base_without_what_files_are_made_of_is_an_error(debs: Debs, tmp_path: Path) -> None:
    """Nothing is left out in silence."""
    debs.add("a", member("./f", b"x"))
    with pytest.raises(ImagekitError, match="hold no /usr/share"):
        unpack(debs, tmp_path)
