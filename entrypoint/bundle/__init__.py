# SPDX-License-Identifier: Apache-2.0
"""The code bundle of fast-execute: fetched, verified, unpacked as hostile, and put on the path.

`archives` reads the formats and refuses what no code bundle holds, `install` moves what was
unpacked to its place.
"""

from __future__ import annotations

import os
import sys

from ..digests import check
from ..errors import InputsMissingError, OutputsError
from ..storage import scheme_of, storage_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contract import Command

PICKLE = "pkl.gz"


def prepare(command: Command) -> None:
    """Whatever fast-execute adds to a command: its code, importable by it and by what it starts."""
    directory = os.path.abspath(command.options.get("dest-dir") or os.curdir)
    uri = command.options.get("additional-distribution")
    if uri is not None:
        try:
            os.makedirs(directory, exist_ok=True)
            _unpack(_fetched(uri), _name_of(uri), directory, command.options.get("bundle-digest"))
        except OSError as error:
            raise OutputsError(f"unpacking {uri} into {directory}: {error}") from error
    if directory not in sys.path:
        sys.path.insert(0, directory)
    for_programs = [directory, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(for_programs)


def _fetched(uri: str) -> str:
    try:
        return storage_for(uri).fetch(uri)
    except OSError as error:
        raise InputsMissingError(f"reading {uri}: {error.strerror or error}") from error


def _name_of(uri: str) -> str:
    """The last part of the URI, which tells the format; a signed URL has more after it."""
    if scheme_of(uri) in ("http", "https"):
        uri = uri.partition("#")[0].partition("?")[0]
    return uri.rpartition("/")[2]


def _unpack(path: str, name: str, directory: str, digest: str | None) -> None:
    from . import archives, install

    if digest is not None:
        with open(path, "rb") as file:
            check(iter(lambda: file.read(1 << 20), b""), digest, "the code bundle")
    if name.endswith(PICKLE):
        install.place_file(path, os.path.join(directory, PICKLE))
        return
    staging = install.Staging(directory)
    try:
        archives.unpack(path, name, staging)
        staging.move_to(directory)
    finally:
        staging.discard()
