# SPDX-License-Identifier: Apache-2.0
"""How much of a base is unpacked to compile bytecode, and for whom."""

from __future__ import annotations

import platform
import tarfile
from pathlib import Path

import pytest

from imagekit.builders.compiling import unpacked_identity
from imagekit.builders.interpreter_root import interpreter_root
from imagekit.errors import IntegrityError
from imagekit.layers.bytecode import library_folders
from imagekit.oci.image import Image
from imagekit.oci.unpack import unpack
from tests.fakes.images import file_layer, image_of, tar_layer

PYTHON = "/usr/bin/python3.11"
LIBRARIES = library_folders(platform.machine())[1]
INTERPRETER = {
    "usr/bin/python3.11": b"\x7fELF\x003.11.9\x00libm.so.6\x00",
    "usr/lib/python3.11/os.py": b"os",
    "usr/lib/python3.11/collections/__init__.py": b"collections",
    "usr/lib/python3.11/lib-dynload/_socket.so": b"\x7fELF",
    f"{LIBRARIES}/libm.so.6": b"\x7fELF",
}
BESIDE = {
    "usr/lib/python3.11/json/__init__.py": b"json",
    "usr/lib/python3.11/os.pyc": b"compiled",
    f"{LIBRARIES}/nvidia/libcudart.so.12": b"large",
    "usr/local/lib/noise": b"large",
    "usr/share/doc/python3.11": b"text",
    "opt/model": b"large",
}


def identity_of(image: Image, folder: Path) -> str:
    """Of the whole base unpacked."""
    folder.mkdir()
    unpack(image, folder)
    found = unpacked_identity(folder, PYTHON)
    assert found is not None
    return found


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_only_the_interpreter_is_unpacked(tmp_path: Path) -> None:
    """What upper layers replace and hide of it counts, and nothing beside it is written."""
    hidden = {"usr/lib/python3.11/.wh.enum.py": b"", "usr/lib/python3.11/os.py": b"newer"}
    first = file_layer(tmp_path, {**INTERPRETER, **BESIDE, "usr/lib/python3.11/enum.py": b"enum"})
    image = image_of(first, file_layer(tmp_path, hidden))
    identity = identity_of(image, tmp_path / "whole")
    root = interpreter_root(image, PYTHON, identity, tmp_path / "roots")
    assert root is not None
    assert files(root) == set(INTERPRETER)
    assert unpacked_identity(root, PYTHON) == identity


def test_bases_with_the_same_interpreter_share_it(tmp_path: Path) -> None:
    """Of the second base no layer is read."""
    image = image_of(file_layer(tmp_path, INTERPRETER))
    identity = identity_of(image, tmp_path / "whole")
    root = interpreter_root(image, PYTHON, identity, tmp_path / "roots")
    other = file_layer(tmp_path, {**INTERPRETER, **BESIDE})
    other.path.unlink()
    assert interpreter_root(image_of(other), PYTHON, identity, tmp_path / "roots") == root


def test_libraries_are_found_by_the_links_of_a_merged_usr(tmp_path: Path) -> None:
    """As in Debian, where the loader's path goes through a link at the top."""
    link = tarfile.TarInfo("lib64")
    link.type, link.linkname = tarfile.SYMTYPE, "usr/lib64"
    loader = {"usr/lib64/ld-linux-x86-64.so.2": b"\x7fELF"}
    image = image_of(
        tar_layer(tmp_path, [(link, b"")]), file_layer(tmp_path, {**INTERPRETER, **loader})
    )
    identity = identity_of(image, tmp_path / "whole")
    root = interpreter_root(image, PYTHON, identity, tmp_path / "roots")
    assert root is not None
    assert (root / "lib64/ld-linux-x86-64.so.2").is_file()


def _linked_elsewhere() -> list[tuple[tarfile.TarInfo, bytes]]:
    link = tarfile.TarInfo("usr/bin/python3.11")
    link.type, link.linkname = tarfile.SYMTYPE, "/opt/python/python3.11"
    data = INTERPRETER["usr/bin/python3.11"]
    program = tarfile.TarInfo("opt/python/python3.11")
    program.size = len(data)
    return [(link, b""), (program, data)]


@pytest.mark.parametrize("case", ["links elsewhere", "another one", "a link to what is left out"])
def test_where_the_parts_are_not_that_interpreter_there_is_none(tmp_path: Path, case: str) -> None:
    """The whole base is taken then; nothing is left in the cache."""
    linked = tarfile.TarInfo("usr/lib/python3.11/enum.py")
    linked.type, linked.linkname = tarfile.LNKTYPE, "opt/model"
    added = {
        "links elsewhere": _linked_elsewhere(),
        "another one": [],
        "a link to what is left out": [(linked, b"")],
    }[case]
    image = image_of(file_layer(tmp_path, {**INTERPRETER, **BESIDE}), tar_layer(tmp_path, added))
    identity = identity_of(image, tmp_path / "whole")
    asked = f"sha256:{'0' * 64}" if case == "another one" else identity
    assert interpreter_root(image, PYTHON, asked, tmp_path / "roots") is None
    assert list((tmp_path / "roots").iterdir()) == []


def test_a_layer_that_is_not_what_was_promised_gives_none(tmp_path: Path) -> None:
    """Unpacking the whole says then what is wrong with it."""
    layer = file_layer(tmp_path, INTERPRETER)
    identity = identity_of(image_of(layer), tmp_path / "whole")
    layer.path.chmod(0o644)
    layer.path.write_bytes(layer.path.read_bytes()[:-20])
    broken = image_of(layer)
    assert interpreter_root(broken, PYTHON, identity, tmp_path / "roots") is None
    (tmp_path / "again").mkdir()
    with pytest.raises(IntegrityError):
        unpack(broken, tmp_path / "again")
