# SPDX-License-Identifier: Apache-2.0
"""A .deb is read as deb(5) says, and a hostile one is refused."""

import gzip
import lzma
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imagekit.debian.archive import Entry, control_files, data_entries
from imagekit.errors import BuildError, IntegrityError
from tests.unit.imagekit.debian.deb_maker import ar_bytes, deb_bytes, member, tar_bytes


def _read(path: Path) -> list[tuple[Entry, bytes | None]]:
    with data_entries(path) as entries:
        return [(entry, stream.read() if stream else None) for entry, stream in entries]


def _deb(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "sample.deb"
    path.write_bytes(data)
    return path


def test_entries_come_in_order_with_owner_mode_and_content(tmp_path: Path) -> None:
    """All kinds that packages hold; setuid stays as the package says."""
    deb = deb_bytes(
        [
            member("./"),
            member("./usr/", mode=0o2775, gid=50),
            member("./usr/a", b"hello", mode=0o4755, uid=3),
            member("./usr/b", kind=tarfile.SYMTYPE, linkname="../a"),
            member("./usr/c", kind=tarfile.LNKTYPE, linkname="./usr/a"),
        ]
    )
    assert _read(_deb(tmp_path, deb)) == [
        (Entry("usr", "directory", 0o2775, 0, 50), None),
        (Entry("usr/a", "file", 0o4755, 3, 0, size_bytes=5), b"hello"),
        (Entry("usr/b", "link", 0o755, 0, 0, "../a"), None),
        (Entry("usr/c", "hard link", 0o755, 0, 0, "usr/a"), None),
    ]


def test_control_files_are_read(tmp_path: Path) -> None:
    """By their names in the control member."""
    files = control_files(_deb(tmp_path, deb_bytes([], conffiles=b"/etc/a\n")))
    assert files["conffiles"] == b"/etc/a\n"
    assert files["control"].startswith(b"Package: sample\n")


def _with_data(name: str, data: bytes) -> bytes:
    return ar_bytes([("debian-binary", b"2.0\n"), ("control.tar", b""), (name, data)])


@pytest.mark.parametrize("suffix", [".xz", ".gz", ""])
def test_each_compression_of_debian_is_read(tmp_path: Path, suffix: Any) -> None:
    """And a member without any."""
    data = tar_bytes([member("./a", b"x" * 5000)])
    packed = {".xz": lzma.compress(data), ".gz": gzip.compress(data), "": data}[suffix]
    deb = _deb(tmp_path, _with_data(f"data.tar{suffix}", packed))
    assert [(entry.path, len(content or b"")) for entry, content in _read(deb)] == [("a", 5000)]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads it")
def test_a_compression_that_nobody_reads_is_named(tmp_path: Path) -> None:
    """And what is cut is damaged."""
    with pytest.raises(BuildError, match=r"compressed as \.lz4"):
        _read(_deb(tmp_path, _with_data("data.tar.lz4", b"x")))
    with pytest.raises(IntegrityError, match=r"data\.tar\.zst does not read"):
        _read(_deb(tmp_path, _with_data("data.tar.zst", b"(\xb5/\xfd")))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../evil", "./usr/../../evil", "./a//b", "./a/./b", "..", "//evil"]
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: Any) -> None:
    """Absolute, upward, and second spellings of a path."""
    with pytest.raises(IntegrityError):
        _read(_deb(tmp_path, deb_bytes([member(path, b"x")])))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: Any) -> None:
    """No package of a base needs one."""
    with pytest.raises(IntegrityError, match="device"):
        _read(_deb(tmp_path, deb_bytes([member("./dev/null", kind=kind)])))


def test_a_hard_link_out_is_refused(tmp_path: Path) -> None:
    """Its target is a path like any other."""
    link = member("./a", kind=tarfile.LNKTYPE, linkname="../../etc/passwd")
    with pytest.raises(IntegrityError):
        _read(_deb(tmp_path, deb_bytes([link])))


GOOD = deb_bytes([member("./a", b"x" * 100_000)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a package",
        GOOD[:40],
        GOOD[: len(GOOD) // 2],
        GOOD[:-20],
        ar_bytes([("debian-binary", b"3.0\n")]),
        ar_bytes([("data.tar", b"")]),
        ar_bytes([("debian-binary", b"2.0\n")]),
        GOOD.replace(b"data.tar.xz ", b"data.tar.gz "),
        b"!<arch>\n" + b"debian-binary".ljust(48) + b"-5        `\n2.0\n",
    ],
)
def test_damaged_packages_are_refused(tmp_path: Path, data: Any) -> None:
    """Cut short, of another format, or none at all: one clear kind of error."""
    with pytest.raises(IntegrityError, match=r"sample\.deb"):
        _read(_deb(tmp_path, data))


def test_a_package_without_control_is_refused(tmp_path: Path) -> None:
    """Nothing can be written about it into dpkg's database."""
    deb = ar_bytes([("debian-binary", b"2.0\n"), ("control.tar", tar_bytes([member("./")]))])
    with pytest.raises(IntegrityError, match="control"):
        control_files(_deb(tmp_path, deb))
