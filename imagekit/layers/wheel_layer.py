# SPDX-License-Identifier: Apache-2.0
"""Writes a layer of one wheel, or of a group of small ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from imagekit.errors import IntegrityError
from imagekit.layers import record
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.machine import MachineCheck
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_archive import WheelArchive
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_install import Copied, Installation, Made, plan
from imagekit.layers.writer import LayerWriter


def write_wheels(
    writer: LayerWriter,
    wheels: Sequence[WheelFile],
    venv: Venv,
    compiler: Callable[[], BytecodeCompiler] | None,
) -> None:
    """Install `wheels`, in order, and their bytecode where a compiler is given.

    It is asked for when the first module is to be compiled, which may wait for it. Wheels that
    share a path must agree on its bytes (see conflicts.py); it is written once.
    """
    written: set[str] = set()
    for wheel in wheels:
        with WheelArchive(wheel.path, wheel.filename) as archive:
            installation = plan(archive, venv)
            files = [file for file in installation.files if file.path not in written]
            skipped = _compiled_anew(installation) if compiler else frozenset()
            machines = MachineCheck(wheel.filename)
            for file in files:
                if file.path not in skipped:
                    _write(writer, archive, file, machines)
            machines.finish()
            written.update(file.path for file in files)
            if compiler is not None and any(_is_module(file.path) for file in files):
                for path, data in compiler().compile(_sources(archive, files)):
                    if data is not None:
                        writer.file(path, data)


def _write(
    writer: LayerWriter, archive: WheelArchive, file: Copied | Made, machines: MachineCheck
) -> None:
    if isinstance(file, Made):
        writer.file(file.path, file.data, mode=file.mode)
        return
    member = file.member
    digest = record.digest_for(file.expected)
    content = _Beginning(member.name, machines, digest) if machines.wants(file.path) else digest
    if member.deflated:
        writer.spliced(
            file.path,
            member.size_bytes,
            member.crc32,
            archive.raw(member),
            mode=file.mode,
            content=content.update,
        )
    else:
        chunks = _hashed(archive.raw(member), content)
        writer.stream(file.path, member.size_bytes, chunks, mode=file.mode)
    if file.expected and record.hash_of(digest) != file.expected.rstrip("="):
        raise IntegrityError(f"{archive.filename}: {member.name} is not what its RECORD says")


class _Beginning:
    """Passes a file's content on to its digest, and shows its first piece to `machines`."""

    def __init__(self, name: str, machines: MachineCheck, digest: hashlib._Hash) -> None:
        self._name = name
        self._machines = machines
        self._digest = digest
        self._seen = False

    def update(self, piece: bytes) -> None:
        if piece and not self._seen:
            self._seen = True
            self._machines.see(self._name, bytes(piece[:64]))
        self._digest.update(piece)


def _hashed(chunks: Iterable[bytes], digest: hashlib._Hash | _Beginning) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _sources(archive: WheelArchive, files: Iterable[Copied | Made]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if _is_module(file.path):
            yield file.path, file.data if isinstance(file, Made) else archive.read(file.member)


def _is_module(path: str) -> bool:
    return path.endswith(".py") and "/site-packages/" in path


def _compiled_anew(installation: Installation) -> frozenset[str]:
    """Bytecode that the wheel ships for modules which are compiled here."""
    modules = {file.path for file in installation.files if _is_module(file.path)}
    found = set()
    for file in installation.files:
        folder, _, name = file.path.rpartition("/")
        if folder.endswith("__pycache__") and name.endswith(".pyc"):
            source = f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
            if source in modules:
                found.add(file.path)
    return frozenset(found)
