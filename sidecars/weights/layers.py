# SPDX-License-Identifier: Apache-2.0
"""Files out of a layer of an image: regular ones alone, each whole or absent, never outside."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from ..errors import FilesError
from ..files import is_safe_path
from .remote import wanted

_CHUNK_BYTES = 1 << 20


def unpack(layer: str, folder: str, include: Sequence[str]) -> dict[str, str]:
    """Put the layer's files into the folder, and the layer away; gives their sha256 by path.

    What was found is noted beside where the layer was, so that it need not come a second time.
    """
    found: dict[str, str] = {}
    try:
        with tarfile.open(layer, "r:*") as archive:
            for member in archive:
                path = member.name.removeprefix("./").rstrip("/")
                if member.isdir() or (member.isreg() and not wanted(path, include)):
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or not is_safe_path(path):
                    raise FilesError(f"a layer holds {member.name!r:.200}, which is no plain file")
                found[path] = _write(content, os.path.join(folder, path))
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FilesError(f"a layer is no tar that can be read: {error}") from error
    with open(f"{layer}.json", "w") as notes:
        notes.write(json.dumps(found))
    os.unlink(layer)
    return found


def unpacked(layer: str, folder: str) -> dict[str, str] | None:
    """What an earlier attempt took out of this layer; None if there is anything left to do."""
    with suppress(OSError, ValueError), open(f"{layer}.json") as notes:
        found = json.load(notes)
        if isinstance(found, dict) and all(
            os.path.isfile(os.path.join(folder, path)) for path in found
        ):
            return found
    return None


def _write(content: IO[bytes], target: str) -> str:
    parent, name = os.path.split(target)
    os.makedirs(parent, exist_ok=True)
    part, computed = os.path.join(parent, f".{name}.part"), hashlib.sha256()
    with open(part, "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            computed.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    return computed.hexdigest()
