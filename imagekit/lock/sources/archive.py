# SPDX-License-Identifier: Apache-2.0
"""Unpacking source that nobody vouches for: files and links within one folder, and nothing else."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from imagekit.errors import IntegrityError

_LIMIT_BYTES = 4 << 30
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, name: str, into: Path) -> Path:
    """Unpack the sdist or archive into the empty folder `into`; returns the project's root.

    `name` says for people, and by its ending, what it is. Times and owners are not kept.

    Raises:
        IntegrityError: it is damaged, too large, or leaves the folder.
    """
    into.mkdir()
    try:
        if name.endswith(".zip"):
            _unzip(archive, name, into)
        else:
            _untar(archive, name, into)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise IntegrityError(f"{name}: not a readable archive: {error}") from error
    found = list(into.iterdir())
    return found[0] if len(found) == 1 and found[0].is_dir() else into


def _untar(archive: Path, name: str, into: Path) -> None:
    links: list[tuple[Path, str]] = []
    left = _LIMIT_BYTES
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            place = _place(into, member.name, name)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.issym():
                links.append((place, _target(into, place, member.linkname, name)))
            elif member.isreg() or member.islnk():
                left = _within(left - member.size, name)
                stream = tar.extractfile(member)
                if stream is None:
                    raise IntegrityError(f"{name}: {member.name}: a link to nothing")
                _write(stream, place, executable=bool(member.mode & 0o100))
            elif member.type != tarfile.XGLTYPE:
                raise IntegrityError(f"{name}: {member.name}: devices have no place in source")
    for place, target in links:  # at last, so that nothing is written through one
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)


def _unzip(archive: Path, name: str, into: Path) -> None:
    left = _LIMIT_BYTES
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            place = _place(into, entry.filename, name)
            mode = entry.external_attr >> 16
            if entry.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise IntegrityError(f"{name}: {entry.filename}: no regular file")
            left = _within(left - entry.file_size, name)
            with opened.open(entry) as stream:  # which gives no more than it announces
                _write(stream, place, executable=bool(mode & 0o100))


def _place(into: Path, path: str, name: str) -> Path:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise IntegrityError(f"{name}: {path!r} is not a path inside an archive")
    return into.joinpath(*parts)


def _target(into: Path, place: Path, target: str, name: str) -> str:
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(place.as_posix()), target))
    if target.startswith("/") or not (inside + "/").startswith(into.as_posix() + "/"):
        raise IntegrityError(f"{name}: the link {place.name} leaves the archive")
    return target


def _within(left: int, name: str) -> int:
    if left < 0:
        raise IntegrityError(f"{name}: more than {_LIMIT_BYTES >> 30} GiB of source")
    return left


def _write(stream: IO[bytes], place: Path, *, executable: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    with stream, place.open("xb") as file:
        for chunk in _chunks(stream):
            file.write(chunk)
    os.chmod(place, 0o755 if executable else 0o644)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk
