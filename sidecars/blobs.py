# SPDX-License-Identifier: Apache-2.0
"""Files into Ollama's store by their digest: `HEAD` and `POST /api/blobs/sha256:...`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from .asking import Server
from .errors import ServerRefusedError, SidecarError
from .weights.bring import noted

_CHUNK_BYTES = 1 << 20
_STEP_PERCENT = 10
_SUFFIXES = (".bin", ".gguf", ".json", ".jinja", ".model", ".safetensors", ".txt")


@dataclass(frozen=True, slots=True)
class File:
    """`digest` is the one that Ollama knows it by: sha256:..."""

    path: str
    size_bytes: int
    digest: str


def digests(paths: Sequence[str], say: Callable[[str], None]) -> dict[str, File]:
    """These files, and those of folders, by the names that Ollama has to know them by.

    What a step of ours has brought is not hashed a second time. Raises SidecarError.
    """
    return {name: _file(name, path, say) for name, path in sorted(_named(paths).items())}


def upload(
    server: Server, files: Mapping[str, File], until: float, say: Callable[[str], None]
) -> None:
    """Put there what is not there.

    Raises asking.FAILURES, and SidecarError for what no retry would change.
    """
    for name, file in files.items():
        _put(server, name, file, until, say)


def _file(name: str, path: str, say: Callable[[str], None]) -> File:
    size = os.path.getsize(path)
    brought = (noted(os.path.dirname(path)) or {}).get(os.path.basename(path))
    if brought is not None:
        return File(path, size, f"sha256:{brought}")
    with open(path, "rb") as file:
        return File(path, size, _digest(_Told(file, size, f"hashing {name}", say)))


def _named(paths: Sequence[str]) -> dict[str, str]:
    """Each file by the name that Ollama has to know it by: of a folder, without the folder's."""
    found: dict[str, str] = {}
    for path in paths:
        for name, file in _files_at(path):
            if name in found:
                raise SidecarError(f"{found[name]} and {file} would both be {name} to Ollama")
            found[name] = file
    return found


def _files_at(path: str) -> Iterator[tuple[str, str]]:
    if not os.path.isdir(path):
        if not os.path.isfile(path):
            raise SidecarError(f"there is no file {path}")
        yield os.path.basename(path), path
        return
    names = [name for name in os.listdir(path) if name.endswith(_SUFFIXES)]
    ggufs = [name for name in names if name.endswith(".gguf")]
    wanted = [name for name in ggufs or names if not name.startswith(".")]
    if not wanted:
        raise SidecarError(f"the folder {path} has neither GGUF nor safetensors files")
    yield from ((name, os.path.join(path, name)) for name in wanted)


def _put(server: Server, name: str, file: File, until: float, say: Callable[[str], None]) -> None:
    place = f"/api/blobs/{file.digest}"
    found = server.ask("HEAD", place, until=until).status
    if found == 200:
        return
    if found != 404:
        raise OSError(f"{place} answers {found}")
    with open(file.path, "rb") as stream:
        told = _Told(stream, file.size_bytes, f"uploading {name}", say)
        answer = server.upload(place, told, file.size_bytes, until=until)
    if answer.status == 400:
        raise ServerRefusedError(f"{place}: {answer.excerpt()}")
    if answer.status not in (200, 201):
        raise OSError(f"{place} answers {answer.status} {answer.excerpt()}".rstrip())


def _digest(file: _Told) -> str:
    computed = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        computed.update(chunk)
    return f"sha256:{computed.hexdigest()}"


class _Told:
    """A file that says how much of it was read, in tenths."""

    def __init__(self, file: BinaryIO, size: int, what: str, say: Callable[[str], None]) -> None:
        self._file = file
        self._size = size
        self._what = what
        self._say = say
        self._done = 0
        self._said = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._done += len(data)
        percent = self._done * 100 // (self._size or 1) // _STEP_PERCENT * _STEP_PERCENT
        if percent > self._said:
            self._said = percent
            self._say(f"{self._what} {percent}%")
        return data
