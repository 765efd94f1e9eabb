# SPDX-License-Identifier: Apache-2.0
"""Files on this machine: plain paths and `file://` URIs (taken as they are, without %-decoding).

Whatever is stored is written under a temporary name in the same directory, flushed to disk, and
renamed: a reader sees all of it or nothing, after a kill and after a power cut alike.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PARTIAL = ".partial-"


def path_of(uri: str) -> str:
    path = uri[len("file://") :] if uri[:7].lower() == "file://" else uri
    return os.path.abspath(path)


def fetch(uri: str) -> str:
    path = path_of(uri)
    os.stat(path)
    return path


def store(source: str | bytes, uri: str) -> None:
    target = path_of(uri)
    directory = os.path.dirname(target)
    os.makedirs(directory, exist_ok=True)
    temporary = os.path.join(directory, _PARTIAL + os.urandom(8).hex())
    try:
        if isinstance(source, bytes):
            _write(source, temporary)
        else:
            _copy(source, temporary)
        os.rename(temporary, target)
    except BaseException:
        _discard(temporary)
        raise
    _flush_directory(directory)


def clear(directory: str, names: Iterable[str]) -> None:
    path = path_of(directory)
    try:
        present = os.listdir(path)
    except FileNotFoundError:
        return
    wanted = set(names)
    for name in present:
        if name in wanted or name.startswith(_PARTIAL):
            _discard(os.path.join(path, name))


def _write(data: bytes, path: str) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy(source: str, path: str) -> None:
    import shutil

    if not os.path.isdir(source):
        shutil.copyfile(source, path)
        _flush(path)
        return
    shutil.copytree(source, path, copy_function=shutil.copyfile)
    for folder, _, names in os.walk(path):
        for name in names:
            _flush(os.path.join(folder, name))


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_directory(path: str) -> None:
    """Make a rename last. Some network file systems can't, and keep it anyway."""
    try:
        _flush(path)
    except OSError:
        return


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError:
        if not os.path.isdir(path):
            raise
        import shutil

        shutil.rmtree(path, ignore_errors=True)
