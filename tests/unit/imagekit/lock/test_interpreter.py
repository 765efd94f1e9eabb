# SPDX-License-Identifier: Apache-2.0
"""Which interpreter a base has, found in its layers and in the same base unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.lock.interpreter import UnpackedFiles, interpreter_identity
from imagekit.lock.oci_base import describe, section_of
from imagekit.oci.unpack import unpack
from tests.fakes.images import file_layer, image_of

FILES = {
    "usr/bin/python3.11": b"\x7fELF\x003.11.9\x00libm.so.6\x00libz.so.1\x00/opt/libpath.so.1\x00",
    "usr/lib/python3.11/os.py": b"os",
    "usr/lib/python3.11/collections/__init__.py": b"collections",
    "usr/lib/python3.11/lib-dynload/_socket.so": b"\x7fELF\x00libssl.so.3\x00",
    "usr/lib/python3.11/sitecustomize.py": b"custom",
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF stable release version 2.36.\x00",
    "usr/lib/x86_64-linux-gnu/libm.so.6": b"\x7fELF\x00libc.so.6\x00",
    "usr/local/lib/libz.so.1": b"\x7fELF",
    "usr/lib/libother.so.1": b"\x7fELF",
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
}


def found(folder: Path, changes: dict[str, bytes]) -> str | None:
    """As the lock has it, which is as the unpacked base has it."""
    folder.mkdir()
    image = image_of(file_layer(folder, FILES), file_layer(folder, changes))
    target, facts = describe(image, "linux/amd64", "3.11")
    unpack(image, folder)
    unpacked = interpreter_identity(UnpackedFiles(folder), target.python_path, target.machine)
    assert section_of(image, "oci:x", facts).get("interpreter") == facts.interpreter == unpacked
    return facts.interpreter


@pytest.mark.parametrize(
    "path",
    [
        "etc/passwd",
        "usr/lib/libother.so.1",
        "usr/lib/python3.11/sitecustomize.py",
        "usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
        "usr/lib/python3.11/json/__init__.py",
    ],
)
def test_what_does_not_decide_bytecode_leaves_it_the_same(tmp_path: Path, path: str) -> None:
    """Other files, and modules that are not loaded before the first file is compiled."""
    same = found(tmp_path / "a", {})
    assert same is not None
    assert same == found(tmp_path / "b", {path: b"changed"})


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("usr/bin/python3.11", b"\x7fELF\x003.11.9\x00libm.so.6\x00libz.so.1\x00patched"),
        ("usr/lib/python3.11/os.py", b"changed"),
        ("usr/lib/python3.11/enum.py", b"new"),
        ("usr/lib/python3.11/collections/__init__.py", b"changed"),
        ("usr/lib/python3.11/lib-dynload/_socket.so", b"changed"),
        ("usr/local/lib/libz.so.1", b"changed"),
        ("usr/lib/x86_64-linux-gnu/libm.so.6", b"\x7fELF changed"),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", b"\x7fELF stable release version 2.36.\x00 more"),
    ],
)
def test_what_decides_bytecode_makes_it_another(tmp_path: Path, path: str, content: bytes) -> None:
    """The program, the libraries that it needs and those that they need, modules loaded first."""
    assert found(tmp_path / "a", {}) != found(tmp_path / "b", {path: content})


def test_a_base_without_a_library_of_modules_has_none(tmp_path: Path) -> None:
    """Unknown is no name that others could share."""
    image = image_of(
        file_layer(tmp_path, {k: v for k, v in FILES.items() if "python3.11/" not in k})
    )
    _, facts = describe(image, "linux/amd64", "3.11")
    assert facts.interpreter is None
    assert "interpreter" not in section_of(image, "oci:x", facts)
