# SPDX-License-Identifier: Apache-2.0
"""A corpus of hostile wheels: each is made on the fly, and refused by name before it is a layer."""

from __future__ import annotations

import json
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.cache import LayerCache
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_layer import write_wheels
from tests.fakes.wheels import make_wheel

VENV = Venv("/usr/bin/python3.11", "3.11.2")
INFO = "thing-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"

Make = Callable[[Path], WheelFile]


def holding(name: str, data: bytes = b"x") -> Make:
    return lambda folder: make_wheel(folder, {name: data})


def files(**more: bytes) -> Make:
    return lambda folder: make_wheel(
        folder, {f"{INFO}/{name}": data for name, data in more.items()}
    )


def entry_points(text: str) -> Make:
    content = f"[console_scripts]\n{text}\n".encode()
    return lambda folder: make_wheel(folder, {f"{INFO}/entry_points.txt": content})


def record(more: str, name: str = "thing/a.py") -> Make:
    """A wheel with one file, whose RECORD has `more` lines instead of that file's."""
    head = "".join(f"{INFO}/{each},,\n" for each in ("METADATA", "WHEEL", "RECORD"))
    return lambda folder: make_wheel(folder, {name: b"x"}, record=head + more)


def of_kind(kind: int) -> Make:
    def make(folder: Path) -> WheelFile:
        wheel = make_wheel(folder, {})
        with zipfile.ZipFile(wheel.path, "a") as archive:
            entry = zipfile.ZipInfo("thing/odd")
            entry.external_attr = (kind | 0o777) << 16
            archive.writestr(entry, b"/etc/passwd")
        return wheel

    return make


def patched(find: bytes, put: bytes, offset: int = 0, *, at: bytes = b"PK\x01\x02") -> Make:
    """Other bytes in the header (central by default) of `thing/a.py`."""

    def make(folder: Path) -> WheelFile:
        wheel = make_wheel(folder, {"thing/a.py": b"x" * 4000})
        data = bytearray(wheel.path.read_bytes())
        start = data.rindex(find) if at == b"PK\x01\x02" else data.index(find)
        header = data.rindex(at, 0, start)
        data[header + offset : header + offset + len(put)] = put
        wheel.path.write_bytes(data)
        return wheel

    return make


def renamed(name: bytes) -> Make:
    """A name of the same length in both headers, such as no zip writer would take."""

    def make(folder: Path) -> WheelFile:
        wheel = make_wheel(folder, {"thing/a.py": b"x"})
        wheel.path.write_bytes(wheel.path.read_bytes().replace(b"thing/a.py", name))
        return wheel

    return make


def twice(folder: Path) -> WheelFile:
    wheel = make_wheel(folder, {"thing/a.py": b"x", "thing/b.py": b"y"})
    wheel.path.write_bytes(wheel.path.read_bytes().replace(b"thing/b.py", b"thing/a.py"))
    return wheel


def crafted(packed: bytes, size_bytes: int, names: list[bytes]) -> Make:
    """A zip of one deflate stream, which each of `names` means."""
    sizes = (zlib.crc32(bytes(size_bytes >> 11)), len(packed), size_bytes)

    def make(folder: Path) -> WheelFile:
        local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, *sizes, len(names[0]), 0)
        local += names[0] + packed
        central = b"".join(
            struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, *sizes, len(name), *[0] * 6)
            + name
            for name in names
        )
        count = len(names)
        end = (b"PK\5\6", 0, 0, count, count, len(central), len(local), 0)
        path = folder / "thing-1.0-py3-none-any.whl"
        path.write_bytes(local + central + struct.pack("<4s4H2IH", *end))
        return WheelFile(path, path.name, "0" * 64)

    return make


def zeros(mebibytes: int) -> bytes:
    """A deflate stream, some thousandth of what it comes to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one * mebibytes + packer.flush()


CORPUS: dict[str, tuple[Make, str]] = {
    "absolute path": (holding("/etc/x"), "is not a path inside a wheel"),
    "parent": (holding("../x"), "is not a path inside a wheel"),
    "parent inside": (holding("thing/../../x"), "is not a path inside a wheel"),
    "dot": (holding("thing/./x"), "is not a path inside a wheel"),
    "empty part": (holding("thing//x"), "is not a path inside a wheel"),
    "backslash": (holding("thing\\..\\x"), "is not a path inside a wheel"),
    "drive": (holding("C:/x"), "is not a path inside a wheel"),
    "NUL": (renamed(b"thing/a\0py"), "is not a path inside a wheel"),
    "newline": (renamed(b"thing/a\npy"), "is not a path inside a wheel"),
    "escape sequence": (renamed(b"thing\x1b[2Jy"[:10]), "is not a path inside a wheel"),
    "long name": (holding("thing/" + "n" * 256), "longer than a path may be"),
    "long path": (holding("/".join("d" * 2100)), "longer than a path may be"),
    "parent in data": (holding("thing-1.0.data/data/../x"), "is not a path inside a wheel"),
    "unknown scheme": (holding("thing-1.0.data/root/x"), "no such place"),
    "link": (of_kind(stat.S_IFLNK), "links and devices"),
    "device": (of_kind(stat.S_IFBLK), "links and devices"),
    "pipe": (of_kind(stat.S_IFIFO), "links and devices"),
    "socket": (of_kind(stat.S_IFSOCK), "links and devices"),
    "case": (
        lambda folder: make_wheel(folder, {"thing/a.py": b"", "Thing/A.py": b""}),
        "differ in case alone",
    ),
    "twice": (twice, "is in it twice"),
    "file and folder": (
        lambda folder: make_wheel(folder, {"thing/a": b"", "thing/a/b": b""}),
        "can't be a file",
    ),
    "size in the central header": (
        patched(b"thing/a.py", struct.pack("<I", 10), 24),
        "not of the size in its RECORD",
    ),
    "size in the local header": (
        patched(b"thing/a.py", struct.pack("<I", 10), 22, at=b"PK\x03\x04"),
        "two headers that disagree",
    ),
    "stored size": (patched(b"thing/a.py", struct.pack("<I", 3), 20), "disagree|not the bytes"),
    "stored size beyond the file": (
        patched(b"thing/a.py", struct.pack("<I", 1 << 30), 20),
        "lie over each other",
    ),
    "checksum": (patched(b"thing/a.py", b"\0\0\0\0", 16), "not the bytes"),
    "encrypted": (patched(b"thing/a.py", b"\1", 8), "encrypted"),
    "method": (patched(b"thing/a.py", b"\x0e", 10), "compressed strangely"),
    "other method in the local header": (
        patched(b"thing/a.py", b"\0", 8, at=b"PK\x03\x04"),
        "two headers that disagree",
    ),
    "header offset": (patched(b"thing/a.py", b"\1", 42), "two headers that disagree"),
    "bomb": (crafted(zeros(2048), 2 << 30, [b"thing/zeros"]), "no wheel but a bomb"),
    "overlapping bomb": (
        crafted(zeros(1), 1 << 20, [b"thing/%03d" % n for n in range(200)]),
        "lie over each other",
    ),
    "RECORD lacks a file": (record(""), "is not in its RECORD"),
    "RECORD has more files": (
        record("thing/a.py,,\nthing/gone.py,,\n"),
        "'thing/gone.py', it has not",
    ),
    "RECORD leaves": (record("thing/a.py,,\n../../x,,\n"), "'../../x', it has not"),
    "RECORD with another hash": (record("thing/a.py,sha256=AAAA,1\n"), "not what its RECORD says"),
    "RECORD with another hash of sha512": (
        record("thing/a.py,sha512=AAAA,1\n"),
        "not what its RECORD says",
    ),
    "RECORD with another size": (record("thing/a.py,,2\n"), "not of the size in its RECORD"),
    "RECORD by md5": (record("thing/a.py,md5=nN,1\n"), "of a kind that is not safe"),
    "RECORD by sha1": (record("thing/a.py,sha1=nN,1\n"), "of a kind that is not safe"),
    "RECORD by nonsense": (record("thing/a.py,shake_128=x,1\n"), "of a kind that is not safe"),
    "RECORD twice": (record("thing/a.py,,\nthing/a.py,,1\n"), "twice, in two ways"),
    "RECORD of two columns": (record("thing/a.py,x\n"), "2 columns, not three"),
    "script that is the interpreter": (
        holding("thing-1.0.data/scripts/python"),
        "can't be a file of a wheel",
    ),
    "data over the interpreter": (
        holding("thing-1.0.data/data/bin/python3"),
        "can't be a file of a wheel",
    ),
    "entry point that leaves": (entry_points("../x = a:b"), "entry point"),
    "entry point over the interpreter": (
        entry_points("python = a:b"),
        "can't be a file of a wheel",
    ),
    "entry point with code": (entry_points("x = a:b();import os"), "entry point"),
    "entry point with a newline": (entry_points("x = a:b\n  c"), "entry point"),
    "entry point of no name": (entry_points("x = a.1b:c"), "not a Python name"),
    "entry point of a keyword": (entry_points("x = class:f"), "not a Python name"),
    "entry point without a function": (entry_points("x = a"), "entry point"),
    "entry points that don't read": (files(**{"entry_points.txt": b"\xff"}), "does not read"),
    "METADATA of another name": (
        files(METADATA=METADATA.replace(b"thing", b"other")),
        "says that it is 'other 1.0'",
    ),
    "METADATA of another version": (
        files(METADATA=METADATA.replace(b"1.0", b"2.0")),
        "says that it is 'thing 2.0'",
    ),
    "METADATA of no name": (files(METADATA=b"Metadata-Version: 2\n"), "says that it is 'nothing'"),
    "WHEEL of another version": (files(WHEEL=b"Wheel-Version: 2.0\n"), "not of wheel version 1"),
    "dist-info of another version": (
        lambda folder: _moved(make_wheel(folder, {}, version="2.0"), "thing-1.0-py3-none-any.whl"),
        "belongs to another distribution",
    ),
    "two dist-infos": (holding("other-1.0.dist-info/METADATA"), "2 .dist-info folders"),
    "no zip": (lambda folder: _raw(folder, b"MZ" + bytes(1000)), "not a readable wheel"),
    "empty": (lambda folder: _raw(folder, b""), "not a readable wheel"),
}


def _moved(wheel: WheelFile, name: str) -> WheelFile:
    return WheelFile(wheel.path.rename(wheel.path.with_name(name)), name, wheel.sha256)


def _raw(folder: Path, data: bytes) -> WheelFile:
    path = folder / "thing-1.0-py3-none-any.whl"
    path.write_bytes(data)
    return WheelFile(path, path.name, "0" * 64)


@pytest.mark.parametrize("case", CORPUS)
def test_a_hostile_wheel_is_refused(case: str, tmp_path: Path) -> None:
    """With its name in one error; no layer is left behind, nor half of one, nor any other file."""
    make, message = CORPUS[case]
    wheels, cache = tmp_path / "wheels", tmp_path / "cache"
    wheels.mkdir()
    wheel = make(wheels)
    with pytest.raises(IntegrityError, match=message) as caught:
        LayerCache(cache).make(case, lambda writer: write_wheels(writer, [wheel], VENV, None))
    assert "thing" in caught.value.message
    assert "\x1b" not in caught.value.message
    left = [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "wheels"]


MEASURE = """
import json, resource, sys
from pathlib import Path
from imagekit.errors import IntegrityError
from imagekit.layers.cache import LayerCache
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_layer import write_wheels

before = resource.getrusage(resource.RUSAGE_SELF)
path = Path(sys.argv[1])
wheel = WheelFile(path, "thing-1.0-py3-none-any.whl", "0" * 64)
venv = Venv("/usr/bin/python3.11", "3.11.2")
try:
    LayerCache(path.parent / "cache").make("x", lambda w: write_wheels(w, [wheel], venv, None))
except IntegrityError as error:
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime - before.ru_utime
    print(json.dumps([error.message, (after.ru_maxrss - before.ru_maxrss) << 10, seconds]))
"""


@pytest.mark.parametrize("case", ["bomb", "overlapping bomb", "checksum"])
def test_a_bomb_costs_little(case: str, tmp_path: Path) -> None:
    """In a process of its own: what 2 GiB would come to takes neither memory nor its reading."""
    wheel = CORPUS[case][0](tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, wheel.path], capture_output=True, text=True, check=True
    )
    _, grown_bytes, cpu_seconds = json.loads(done.stdout)
    assert grown_bytes < 32 << 20
    assert cpu_seconds < 5
