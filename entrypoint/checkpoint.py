# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what a task saves for the attempt after it.

Each save is stored at a fresh name, and then named by `manifest.json`, with the size and digest of
each of its files: the newest whole save is found, or the one before it, and never a mixture.
"""

from __future__ import annotations

import os

from .errors import InputsCorruptError, InputsMissingError, OutputsError, UserError
from .storage import join, storage_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST = "manifest.json"
CONTENT = "content"


class Checkpoint:
    """Saves under one prefix, and restores from the previous attempt's, or else from the same."""

    __slots__ = ("path", "previous")

    def __init__(self, path: str | None, previous: str | None) -> None:
        self.path = path
        self.previous = previous

    def save(self, source: str | bytes | os.PathLike[str]) -> None:
        """Bytes, or a file or directory: complete when this returns, else as if never called."""
        if self.path is None:
            raise UserError("there is no --checkpoint-path to save to", "USER:Checkpoint")
        content = source if isinstance(source, bytes) else os.fspath(source)
        name = os.urandom(16).hex()
        place = join(self.path, name)
        old = self._manifest_of(self.path)
        try:
            files = _described(content)
            storage = storage_for(self.path)
            storage.store(content, join(place, CONTENT))
            storage.store(_manifest(name, files), join(self.path, MANIFEST))
            if old is not None:
                storage.clear(self.path, [old["name"]])
        except OSError as error:
            raise OutputsError(f"saving a checkpoint to {self.path}: {error}") from error

    def restore(self) -> str | None:
        """A local path that holds what was saved last, to be read only; None if nothing was."""
        for prefix in (self.previous, self.path):
            manifest = None if prefix is None else self._manifest_of(prefix)
            if prefix is not None and manifest is not None:
                return _fetched(join(join(prefix, manifest["name"]), CONTENT), manifest["files"])
        return None

    def read(self) -> bytes | None:
        """The bytes, or the one file, that was saved last; None if nothing was."""
        path = self.restore()
        if path is None:
            return None
        with open(path, "rb") as file:
            return file.read()

    @staticmethod
    def _manifest_of(prefix: str) -> dict[str, Any] | None:
        from json import loads

        uri = join(prefix, MANIFEST)
        try:
            with open(storage_for(uri).fetch(uri), "rb") as file:
                manifest = loads(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputsMissingError(f"reading {uri}: {error}") from error
        except ValueError as error:
            raise InputsCorruptError(f"reading {uri}: {error}") from error
        if not isinstance(manifest, dict) or not _is_plain_name(manifest.get("name")):
            raise InputsCorruptError(f"{uri} is no checkpoint's manifest")
        return manifest


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and len(name) == 32 and name.isalnum()


def _manifest(name: str, files: dict[str, Any]) -> bytes:
    from json import dumps

    return dumps({"name": name, "files": files}, sort_keys=True).encode()


def _fetched(uri: str, expected: dict[str, Any]) -> str:
    try:
        path = storage_for(uri).fetch(uri)
        found = _described(path)
    except OSError as error:
        raise InputsMissingError(f"reading {uri}: {error}") from error
    if found != expected:
        raise InputsCorruptError(f"the checkpoint {uri} is not what was saved")
    return path


def _described(source: str | bytes) -> dict[str, dict[str, Any]]:
    """Size and digest of each file by its path below the source; "" is the source itself."""
    if isinstance(source, bytes):
        return {"": _entry([source])}
    if not os.path.isdir(source):
        return {"": _file_entry(source)}
    found = {}
    for folder, _, names in os.walk(source):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, source)] = _file_entry(path)
    return found


def _file_entry(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        return _entry(iter(lambda: file.read(1 << 20), b""))


def _entry(chunks: Any) -> dict[str, Any]:
    from hashlib import sha256

    digest, size = sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "digest": f"sha256:{digest.hexdigest()}"}
