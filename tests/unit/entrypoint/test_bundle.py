# SPDX-License-Identifier: Apache-2.0
"""fast-execute: the code bundle in each of its formats, and what is refused of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import py_compile
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrypoint.errors import EXIT_CODES
from tests.unit.entrypoint.workdir import Result, Workdir, literal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODE = b"import helpers\n\ndef double(x: int) -> int:\n    return helpers.two() * x\n"
HELPERS = b"def two() -> int:\n    return 2\n"


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def tar(path: Path, *extra: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("./fresh.py", CODE), ("./helpers.py", HELPERS)):
            archive.addfile(entry(name, size=len(data)), io.BytesIO(data))
        for member, data in extra:
            archive.addfile(member, io.BytesIO(data))


def zipped(path: Path, *extra: tuple[str, int, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, data in (("fresh.py", 0, CODE), ("helpers.py", 0, HELPERS), *extra):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)


def run(workdir: Workdir, bundle: str, *options: str, **environ: str) -> Result:
    workdir.inputs({"x": 4})
    where = ("--additional-distribution", bundle, *options)
    words = workdir.execute_words("fresh:double")
    return workdir.run("fast-execute", *where, "--", *words, environ=environ)


def tar_zst(path: Path) -> None:
    gzipped = path.with_suffix(".gz")
    tar(gzipped)
    path.write_bytes(zstd.compress(gzip.decompress(gzipped.read_bytes())))
    gzipped.unlink()


@pytest.mark.parametrize(
    ("name", "make"), [("code.tar.gz", tar), ("code.tar.zst", tar_zst), ("code.zip", zipped)]
)
def test_a_bundle_is_unpacked_and_importable(
    workdir: Workdir, name: str, make: Callable[[Path], None]
) -> None:
    """Into the working directory, and at another one; nothing else is left there."""
    make(workdir.path / name)
    assert run(workdir, name, "--dest-dir", "code").code == 0
    assert sorted(os.listdir(workdir.path / "code")) == ["__pycache__", "fresh.py", "helpers.py"]
    assert run(workdir, f"file://{workdir.path}/{name}").code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(8)}}
    assert (workdir.path / "fresh.py").read_bytes() == CODE


def test_new_code_replaces_old_even_where_compiled_code_claims_to_be_never_stale(
    workdir: Workdir,
) -> None:
    """As an image's own compiled code may."""
    workdir.module("fresh", "def double(x: int) -> int:\n    return 0\n")
    py_compile.compile(
        str(workdir.path / "fresh.py"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    tar(workdir.path / "code.tar.gz")
    assert run(workdir, "code.tar.gz").code == 0
    assert workdir.outputs() == {"literals": {"o0": literal(8)}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda data: data[:-20], "ended before"),
        (lambda data: data[:40] + b"\xff" * 20 + data[60:], "zstandard"),
        (lambda _: zstd.compress(bytes(80 << 20)), "more than 200 times"),
    ],
    ids=["truncated", "damaged", "bomb"],
)
def test_a_bad_zst_is_refused_and_leaves_nothing(
    workdir: Workdir, content: Callable[[bytes], bytes], problem: str
) -> None:
    """As of any other format."""
    path = workdir.path / "code.tar.zst"
    tar_zst(path)
    path.write_bytes(content(path.read_bytes()))
    assert run(workdir, path.name, "--dest-dir", "code").code == EXIT_CODES["bundle"]
    assert problem in workdir.error()["message"].lower()
    assert os.listdir(workdir.path / "code") == []


def test_a_program_gets_the_code_as_well(workdir: Workdir) -> None:
    """And the interpreters that it starts."""
    tar(workdir.path / "code.tar.gz")
    options = ("--additional-distribution", "code.tar.gz", "--dest-dir", "code")
    show = ("sh", "-c", "cd / && python3 -c 'import fresh; print(fresh.double(x=3))'")
    assert workdir.run("fast-execute", *options, "--", *show).stdout == "6\n"
    missing = workdir.run("fast-execute", "--additional-distribution", "no.zip", "--", "true")
    assert missing.code == 12


def test_the_digest_decides(workdir: Workdir) -> None:
    """When one is given, by option or by environment."""
    tar(workdir.path / "code.tar.gz")
    right = f"sha256:{hashlib.sha256((workdir.path / 'code.tar.gz').read_bytes()).hexdigest()}"
    assert run(workdir, "code.tar.gz", "--bundle-digest", right).code == 0
    os.unlink(workdir.path / "fresh.py")
    assert run(workdir, "code.tar.gz", IMAGEKIT_BUNDLE_DIGEST=f"sha256:{'0' * 64}").code == 17
    assert workdir.error()["code"] == "USER:Bundle"
    assert not (workdir.path / "fresh.py").exists()
    assert run(workdir, "code.tar.gz", "--bundle-digest", "md5:1").code == 17


HOSTILE: dict[str, tuple[tuple[tarfile.TarInfo, bytes], ...]] = {
    "leads out of": ((entry("../evil", size=1), b"x"),),
    "'/evil' leads out of": ((entry("/evil", size=1), b"x"),),
    "a/../../evil": ((entry("a/../../evil", size=1), b"x"),),
    "is a link to '/etc/passwd'": ((entry("l", tarfile.SYMTYPE, linkname="/etc/passwd"), b""),),
    "is a link to '..'": ((entry("l", tarfile.SYMTYPE, linkname=".."), b""),),
    "is a link to 'd/../..'": ((entry("l", tarfile.SYMTYPE, linkname="d/../.."), b""),),
    "is a directory, and something else": (
        (entry("l", tarfile.SYMTYPE, linkname="."), b""),
        (entry("l/x", size=1), b"x"),
    ),
    "hard link to no file": ((entry("h", tarfile.LNKTYPE, linkname="absent"), b""),),
    "leads out": ((entry("h", tarfile.LNKTYPE, linkname="../absent"), b""),),
    "is a device, a FIFO": ((entry("f", tarfile.FIFOTYPE), b""),),
    "a device, a FIFO or": ((entry("c", tarfile.CHRTYPE), b""),),
    "comes twice": ((entry("fresh.py", size=1), b"x"),),
    "helpers.py' is a directory, and": ((entry("helpers.py/x", size=1), b"x"),),
    "deeper than 100": ((entry("d/" * 101 + "x", size=1), b"x"),),
    "more than 200 times its size": ((entry("bomb", size=80 << 20), bytes(80 << 20)),),
    "File name too long": ((entry("n" * 300, size=1), b"x"),),
    "a header claims": ((entry("n" * (2 << 20), size=0), b""),),
}


@pytest.mark.parametrize("problem", HOSTILE)
def test_a_hostile_tar_is_refused_and_leaves_nothing(workdir: Workdir, problem: str) -> None:
    """A document says what was wrong; not one of its files is there."""
    tar(workdir.path / "code.tar.gz", *HOSTILE[problem])
    result = run(workdir, "code.tar.gz", "--dest-dir", "code")
    assert result.code == 17, result.stderr
    error = workdir.error()
    assert problem in error["message"]
    assert (error["code"], error["origin"]) == ("USER:Bundle", 1)
    assert os.listdir(workdir.path / "code") == []
    assert not (workdir.path / "evil").exists()


@pytest.mark.parametrize(
    ("problem", "member"),
    [
        ("leads out of", ("../evil", 0, b"x")),
        ("is a link to", ("l", stat.S_IFLNK | 0o777, b"../..")),
        ("is a link of", ("l", stat.S_IFLNK | 0o777, b"a" * 5000)),
        ("a device or a FIFO", ("f", stat.S_IFIFO, b"")),
        ("more than 200 times its size", ("bomb", 0, bytes(80 << 20))),
    ],
)
def test_a_hostile_zip_is_refused(
    workdir: Workdir, problem: str, member: tuple[str, int, bytes]
) -> None:
    """By the same rules."""
    zipped(workdir.path / "code.zip", member)
    assert run(workdir, "code.zip", "--dest-dir", "code").code == 17
    assert problem in workdir.error()["message"]
    assert os.listdir(workdir.path / "code") == []


def test_what_a_tar_may_hold_arrives(workdir: Workdir) -> None:
    """Links that stay inside and hard links; of the modes, the executable bit alone."""
    tar(
        workdir.path / "code.tar.gz",
        (entry("bin/tool", size=2, mode=0o6755), b"#!"),
        (entry("bin/link", tarfile.SYMTYPE, linkname="../helpers.py"), b""),
        (entry("hard.py", tarfile.LNKTYPE, linkname="./helpers.py"), b""),
        (entry("empty", tarfile.DIRTYPE), b""),
    )
    assert run(workdir, "code.tar.gz", "--dest-dir", "code").code == 0
    code = workdir.path / "code"
    assert stat.S_IMODE((code / "bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((code / "helpers.py").stat().st_mode) == 0o644
    assert (code / "bin/link").read_bytes() == (code / "hard.py").read_bytes() == HELPERS
    assert (code / "empty").is_dir()


def test_nothing_is_written_through_a_link_of_the_destination(workdir: Workdir) -> None:
    """Not even one that the image itself has."""
    (workdir.path / "elsewhere").mkdir()
    (workdir.path / "pkg").symlink_to("elsewhere")
    tar(workdir.path / "code.tar.gz", (entry("pkg/x", size=1), b"x"))
    assert run(workdir, "code.tar.gz").code == 17
    assert not (workdir.path / "fresh.py").exists()
    assert os.listdir(workdir.path / "elsewhere") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code.tar.gz", b"no gzip"),
        ("code.tar.gz", gzip.compress(b"no tar" * 200, mtime=0)),
        ("code.zip", b"no zip"),
        ("code.rar", b""),
    ],
)
def test_what_is_no_archive_is_refused(workdir: Workdir, name: str, content: bytes) -> None:
    """Whatever is wrong with it."""
    (workdir.path / name).write_bytes(content)
    assert run(workdir, name).code == 17
    assert workdir.error()["code"] == "USER:Bundle"


def test_a_truncated_bundle_is_refused(workdir: Workdir) -> None:
    """Also one that is cut in its very last bytes, where the checksum is."""
    tar(workdir.path / "code.tar.gz")
    whole = (workdir.path / "code.tar.gz").read_bytes()
    for length in (len(whole) // 2, len(whole) - 6):
        (workdir.path / "code.tar.gz").write_bytes(whole[:length])
        assert run(workdir, "code.tar.gz", "--dest-dir", "code").code == 17
    (workdir.path / "code.tar.gz").write_bytes(whole[:-6] + b"\0\0" + whole[-4:])
    assert run(workdir, "code.tar.gz", "--dest-dir", "code").code == 17
    assert os.listdir(workdir.path / "code") == []
