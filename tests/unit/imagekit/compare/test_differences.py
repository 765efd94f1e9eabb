# SPDX-License-Identifier: Apache-2.0
"""Two images side by side: what counts as a difference, and what builders may do otherwise."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from imagekit.compare.allowed import KINDS
from imagekit.compare.differences import Comparison, compare
from imagekit.compare.render import as_data, as_text
from imagekit.errors import IntegrityError
from imagekit.oci.assemble import Settings
from imagekit.oci.layer import FileLayer
from tests.fakes.images import image_of, tar_layer

SITE = "opt/venv/lib/python3.11/site-packages"
NOTES = f"{SITE}/thing-1.dist-info"


def member(path: str, data: bytes = b"", **members: object) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(path)
    made.mode = 0o644
    for name, value in members.items():
        setattr(made, name, value)
    return made, data


def compared(
    folder: Path,
    first: list[tuple[tarfile.TarInfo, bytes]],
    second: list[tuple[tarfile.TarInfo, bytes]],
) -> Comparison:
    return compare(image_of(tar_layer(folder, first)), image_of(tar_layer(folder, second)))


@pytest.mark.parametrize(
    ("other", "aspects"),
    [
        (member("a", b"x"), ("content",)),
        (member("a", b"1", mode=0o755), ("mode",)),
        (member("a", b"1", uid=5), ("owner",)),
        (member("a", b"1", mtime=9), ("mtime",)),
        (member("a", type=tarfile.SYMTYPE, linkname="b"), ("kind",)),
        (member("b", b"1"), ("presence",)),
        (member("a", b"1", pax_headers={"SCHILY.xattr.user.x": "1"}), ("attributes",)),
    ],
)
def test_every_aspect_of_a_file_counts(
    tmp_path: Path, other: tuple[tarfile.TarInfo, bytes], aspects: tuple[str, ...]
) -> None:
    """Each is told by its name; of these only the time is something that builders may differ in."""
    comparison = compared(tmp_path, [member("a", b"1")], [other])
    assert {each.aspects for each in comparison.files} == {aspects}
    assert comparison.agrees() == (aspects == ("mtime",))
    assert not comparison.agrees(strict=True)


def test_packages_are_compared_by_what_they_say_of_themselves(tmp_path: Path) -> None:
    """Python's by METADATA, Debian's by dpkg's status; what is removed or half there is none."""
    status = "Package: {}\nStatus: {}\nVersion: 1\n\nPackage: b\nStatus: install ok installed\n"
    first = [
        member(f"{NOTES}/METADATA", b"Name: A_Thing\nVersion: 1.0\n\nVersion: 9\n"),
        member("var/lib/dpkg/status", status.format("a", "deinstall ok config-files").encode()),
    ]
    second = [
        member(f"{NOTES}/METADATA", b"Name: a-thing\nVersion: 2.0\n"),
        member("var/lib/dpkg/status", status.format("a", "install ok installed").encode()),
    ]
    comparison = compared(tmp_path, first, second)
    changes = [(each.name, each.first, each.second) for each in comparison.packages]
    assert changes == [("debian a", None, "1"), ("python a-thing", "1.0", "2.0")]
    assert not comparison.agrees()


def test_settings_are_compared_by_name(tmp_path: Path) -> None:
    """Variables and labels one by one; what an engine writes about itself is allowed."""
    layer = tar_layer(tmp_path, [member("a")])
    first = image_of(layer, settings=Settings(user="1", environment={"A": "1", "B": "2"}))
    second = image_of(layer, settings=Settings(environment={"A": "1"}, labels={"x": "y"}))
    found = {each.name: (each.first, each.second) for each in compare(first, second).settings}
    assert found == {"User": ("1", None), "Env.B": ("2", None), "Labels.x": (None, "y")}


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("installer notes", member(f"{NOTES}/INSTALLER", b"uv"), member(f"{NOTES}/INSTALLER")),
        ("installer notes", member(f"{NOTES}/REQUESTED"), None),
        (
            "RECORD",
            member(f"{NOTES}/RECORD", b"a.py,sha256=x,1\nthing-1.dist-info/INSTALLER,,\n"),
            member(f"{NOTES}/RECORD", b"__pycache__/a.cpython-311.pyc,,\na.py,sha256=x,1\n"),
        ),
        ("bytecode", member(f"{SITE}/__pycache__/a.cpython-311.pyc", b"1"), None),
        (
            "launchers",
            member("opt/venv/bin/x", b"#!/a\nfrom m import f\nif 1:\n sys.exit(f())\n"),
            member("opt/venv/bin/x", b"#!/b\nimport re\nfrom m import f\nsys.exit(f())\n"),
        ),
        ("environment", member("opt/venv/bin/activate.fish", b"1"), None),
        ("package manager's state", member("var/lib/apt/lists/x", b"1"), None),
        (
            "dpkg's status",
            member("var/lib/dpkg/status", b"Package: a\nVersion: 1\n"),
            member("var/lib/dpkg/status", b"Version: 1\nPackage: a\nPriority: optional\n"),
        ),
        ("mtime", member("a", mtime=1), member("a", mtime=2)),
        ("mount points", member(".dockerenv"), None),
    ],
)
def test_each_kind_of_difference_between_builders_is_allowed(
    tmp_path: Path,
    kind: str,
    first: tuple[tarfile.TarInfo, bytes],
    second: tuple[tarfile.TarInfo, bytes] | None,
) -> None:
    """And told by its name, with the reason."""
    beside = member(f"{first[0].name.rpartition('/')[0]}/beside".lstrip("/"))
    others = [] if second is None else [second]
    comparison = compared(tmp_path, [beside, first], [beside, *others])
    assert comparison.allowed() == {kind: 1}
    assert comparison.agrees()
    data = as_data(comparison, strict=True)
    assert (data["agree"], list(data["reasons"])) == (False, [kind])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (member(f"{NOTES}/RECORD", b"a.py,x,1\n"), member(f"{NOTES}/RECORD", b"a.py,y,1\n")),
        (
            member("opt/venv/bin/x", b"#!/a\nfrom m import f\nsys.exit(f())\n"),
            member("opt/venv/bin/x", b"#!/a\nfrom n import f\nsys.exit(f())\n"),
        ),
        (member("opt/venv/bin/x", b"\x7fELF1"), member("opt/venv/bin/x", b"\x7fELF2")),
        (member(f"{NOTES}/INSTALLER", mode=0o600), member(f"{NOTES}/INSTALLER")),
        (member("etc/hosts", b"127.0.0.1 x"), member("etc/other")),
    ],
)
def test_what_only_looks_like_an_allowed_kind_is_a_difference(
    tmp_path: Path,
    first: tuple[tarfile.TarInfo, bytes],
    second: tuple[tarfile.TarInfo, bytes],
) -> None:
    """Rows, imports and modes that differ mean another image."""
    assert not compared(tmp_path, [first], [second]).agrees()


def test_the_table_of_kinds_is_short_and_argued() -> None:
    """At most ten with the engine's settings, each with a name of its own and a reason."""
    assert len(KINDS) <= 9
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(len(kind.reason) > 20 for kind in KINDS)


def test_layers_that_both_begin_with_are_read_once(tmp_path: Path) -> None:
    """Equal images are not read at all: their layers may even be gone."""
    shared = tar_layer(tmp_path, [member("a", b"1")])
    image = image_of(shared)
    gone = FileLayer(shared.digest, shared.diff_id, shared.size_bytes, tmp_path / "gone")
    assert compare(image, image_of(gone)).agrees(strict=True)
    with_more = compare(image_of(shared, tar_layer(tmp_path, [member("b")])), image_of(gone))
    assert [each.path for each in with_more.files] == ["b"]


def test_a_layer_that_was_changed_is_no_difference_but_an_error(tmp_path: Path) -> None:
    """Nothing is said about bytes that are not what the image names."""
    good, bad = tar_layer(tmp_path, [member("a")]), tar_layer(tmp_path, [member("b")])
    data = bad.path.read_bytes()
    bad.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        compare(image_of(good), image_of(bad))


def test_the_text_names_what_differs_and_counts_what_is_allowed(tmp_path: Path) -> None:
    """Twenty files at most, and no control characters out of names."""
    many = [member(f"f{at}", mtime=1) for at in range(30)]
    comparison = compared(tmp_path, [member("x\x1b[2J"), member("y", mtime=3)], many)
    text = as_text(comparison, strict=False)
    assert "files (32)\n" in text
    assert "  and 12 more\n" in text
    assert "\x1b" not in text
    assert text.endswith("the images differ\n")
    assert len(text.splitlines()) == 23
