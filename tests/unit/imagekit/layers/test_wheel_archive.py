# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.wheel_archive import WheelArchive
from imagekit.layers.wheel_file import WheelFile
from tests.fakes.wheels import make_wheel


def opened(wheel: WheelFile) -> WheelArchive:
    return WheelArchive(wheel.path, wheel.filename)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_members_are_read_as_they_were_written(tmp_path: Path, compression: int) -> None:
    """Stored and deflated members come back whole, with the executable bit known."""
    body = b"text " * 200_000
    wheel = make_wheel(
        tmp_path,
        {"thing/a.txt": body, "thing/run": b"#!"},
        executable=frozenset({"thing/run"}),
        compression=compression,
    )

    with opened(wheel) as archive:
        members = {member.name: member for member in archive.members}
        assert body == archive.read(members["thing/a.txt"])
        assert members["thing/a.txt"].stored_bytes == len(
            b"".join(archive.raw(members["thing/a.txt"]))
        )
        assert members["thing/run"].executable
        assert not members["thing/a.txt"].executable


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../b", "a//b", "a\\b", "./a", "a/./b"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """A member's name is a plain relative path, or the wheel is refused."""
    wheel = make_wheel(tmp_path, {name: b""})

    with pytest.raises(IntegrityError, match="not a path inside a wheel"), opened(wheel):
        pass


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    """What the zip reader would cut off at a NUL is not let through."""
    wheel = make_wheel(tmp_path, {"thing/aXb": b""})
    wheel.path.write_bytes(wheel.path.read_bytes().replace(b"thing/aXb", b"thing/a\0b"))

    with pytest.raises(IntegrityError), opened(wheel):
        pass


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    """Wheels hold regular files only."""
    wheel = make_wheel(tmp_path, {})
    with zipfile.ZipFile(wheel.path, "a") as archive:
        entry = zipfile.ZipInfo("thing/link")
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    with pytest.raises(IntegrityError, match="no place here"), opened(wheel):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    """Two members of one name: which one counts would be left to the reader."""
    wheel = make_wheel(tmp_path, {"thing/a": b"1"})
    with zipfile.ZipFile(wheel.path, "a") as archive:
        archive.writestr("thing/a", b"2")

    with pytest.raises(IntegrityError, match="twice"), opened(wheel):
        pass


def test_local_and_central_header_must_name_the_same_file(tmp_path: Path) -> None:
    """A zip whose two headers disagree shows readers two different files."""
    wheel = make_wheel(tmp_path, {"thing/good": b"1"})
    wheel.path.write_bytes(wheel.path.read_bytes().replace(b"thing/good", b"thing/evil", 1))

    with opened(wheel) as archive:
        member = next(each for each in archive.members if each.name == "thing/good")
        with pytest.raises(IntegrityError, match="disagree"):
            archive.read(member)


def test_false_sizes_are_noticed(tmp_path: Path) -> None:
    """A central directory that announces other sizes than the data has is found out."""
    wheel = make_wheel(tmp_path, {"thing/a": b"x" * 1000})
    data = bytearray(wheel.path.read_bytes())
    position = data.index(b"thing/a", data.index(b"PK\1\2")) - 46
    while bytes(data[position : position + 4]) != b"PK\1\2":
        position += 1
    data[position + 24 : position + 28] = struct.pack("<I", 10)
    wheel.path.write_bytes(data)

    with opened(wheel) as archive:
        member = next(each for each in archive.members if each.size_bytes == 10)
        with pytest.raises(IntegrityError, match="two headers that disagree"):
            archive.read(member)


@pytest.mark.parametrize("length", [0, 10, 200])
def test_a_truncated_wheel_is_refused(tmp_path: Path, length: int) -> None:
    """What is no whole zip file is one clear error."""
    wheel = make_wheel(tmp_path, {"thing/a": b"x" * 1000})
    wheel.path.write_bytes(wheel.path.read_bytes()[:length])

    with pytest.raises(IntegrityError, match="not a readable wheel"), opened(wheel):
        pass


def test_the_dist_info_folder_must_be_the_distributions_own(tmp_path: Path) -> None:
    """A wheel can't bring the metadata of another distribution."""
    wheel = make_wheel(tmp_path, {"other-1.0.dist-info/METADATA": b""})

    with pytest.raises(IntegrityError, match=r"2 .*dist-info folders"), opened(wheel):
        pass
