# SPDX-License-Identifier: Apache-2.0
"""Wheels whose shared objects are for another machine than their name says."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_layer import write_wheels
from imagekit.layers.writer import LayerWriter
from tests.fakes.wheels import make_wheel

X86, ARM, CUDA = 62, 183, 190


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(2000)


def write(folder: Path, tag: str, files: dict[str, bytes], compression: int = 8) -> None:
    made = make_wheel(folder, files, compression=compression)
    named = WheelFile(made.path, f"thing-1.0-{tag}.whl", made.sha256)
    write_wheels(LayerWriter(io.BytesIO()), [named], Venv("/usr/bin/python3", "3.11.2"), None)


@pytest.mark.parametrize("compression", [0, 8], ids=["stored", "deflated"])
@pytest.mark.parametrize(
    ("tag", "machine"),
    [("cp311-cp311-manylinux_2_17_aarch64", X86), ("cp311-abi3-linux_x86_64", ARM)],
)
def test_a_mislabelled_wheel_is_refused(
    tmp_path: Path, tag: str, machine: int, compression: int
) -> None:
    """It would be found out in the cluster else, at the import."""
    files = {"thing/_core.cpython-311.so": elf(machine), "thing/__init__.py": b""}
    with pytest.raises(IntegrityError, match=r"_core.* is for (x86_64|aarch64), and the name"):
        write(tmp_path, tag, files, compression)


@pytest.mark.parametrize(
    ("tag", "files"),
    [
        ("cp311-cp311-manylinux_2_17_x86_64", {"thing/a.so": elf(X86)}),
        ("cp311-cp311-manylinux_2_17_x86_64", {"thing/a.so.1": elf(X86), "thing/b.so": elf(ARM)}),
        ("cp311-cp311-manylinux_2_17_x86_64", {"thing/kernel.cubin": elf(CUDA)}),
        ("cp311-cp311-manylinux_2_17_x86_64", {"thing/a.so": b"INPUT(b.so)"}),
        ("py3-none-any", {"thing/a.so": elf(ARM)}),
    ],
    ids=["right", "with another beside it", "no shared object", "a linker script", "any machine"],
)
def test_what_can_run_is_taken(tmp_path: Path, tag: str, files: dict[str, bytes]) -> None:
    """Wheels bring objects for other machines along, and files that only look like some."""
    write(tmp_path, tag, files)
